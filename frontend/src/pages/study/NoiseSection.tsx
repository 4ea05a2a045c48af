import { Text } from '@mantine/core'
import { useQuery } from '@tanstack/react-query'
import type { JobDetail } from '~/api'
import { NoiseTable } from '~/components/NoiseTable'
import { Panel } from '~/components/Panel'
import { Term } from '~/components/Term'
import { catalogueQuery, previewQuery } from '~/data/queries'

/** How much noise each privacy budget costs: the same for every seed. */
export function NoiseSection({ job }: { job: JobDetail }) {
  const { data: catalogue } = useQuery(catalogueQuery)
  const { data: preview } = useQuery({ ...previewQuery(job.spec), staleTime: Number.POSITIVE_INFINITY })
  if (!preview || preview.noise.length === 0) return null
  const titles = new Map(catalogue?.plugins.filter((p) => p.kind === 'method').map((p) => [p.name, p.title]))
  return (
    <Panel title="Noise that each privacy budget needs">
      <Text size="sm" c="dimmed" mb="sm">
        Every step adds Gaussian noise of <Term name="sigma">σ</Term> times the{' '}
        <Term name="clipping">clipping threshold</Term>; the claim is <Term name="epsilon">ε</Term> at{' '}
        <Term name="delta">δ</Term>, for adding or removing one row.
      </Text>
      <NoiseTable noise={preview.noise} titles={titles} />
    </Panel>
  )
}
