import { useQuery } from '@tanstack/react-query'
import type { JobDetail } from '~/api'
import { catalogueQuery } from '~/data/queries'
import { ago, moment, plural, subgroupTitle, words } from '~/lib/format'
import { seedsToText } from '~/spec/values'

/** In one line: data, model, methods, seeds, when. */
export function StudyLead({ job }: { job: JobDetail }) {
  const { data } = useQuery(catalogueQuery)
  const title = (kind: string, name: string) =>
    data?.plugins.find((plugin) => plugin.kind === kind && plugin.name === name)?.title ?? words(name)
  const seeds = job.spec.seeds
  const parts = [
    title('dataset', job.dataset),
    title('model', job.model),
    [...new Set(job.methods)].map((name) => title('method', name)).join(', '),
    typeof seeds === 'number' ? plural(seeds, 'seed') : `seeds ${seedsToText(seeds)}`,
  ]
  const groups = (job.spec.dataset.subgroups ?? []).map((one) => [one].flat().map(subgroupTitle).join(' × '))
  return (
    <>
      {parts.join(' · ')}
      {groups.length > 0 && ` · by ${groups.join(', ')}`} ·{' '}
      <time dateTime={job.created_at} title={moment(job.created_at)}>
        {ago(job.created_at)}
      </time>
    </>
  )
}
