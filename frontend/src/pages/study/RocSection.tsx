import { getRouteApi } from '@tanstack/react-router'
import type { JobDetail } from '~/api'
import { FigureCard } from '~/charts/FigureCard'
import { isLive } from '~/data/queries'
import { isPartition } from '~/lib/subgroups'

const route = getRouteApi('/studies/$id')

/** What an attacker still learns. */
export function RocSection({ job }: { job: JobDetail }) {
  const { subgroup: wanted } = route.useSearch()
  const subgroup = wanted && !isPartition(wanted) ? wanted : undefined
  return (
    <FigureCard
      name="roc"
      label="Membership inference"
      request={{ job_id: [job.id], subgroup }}
      growing={isLive(job.status)}
    />
  )
}
