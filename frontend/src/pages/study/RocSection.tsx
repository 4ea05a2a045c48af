import { getRouteApi } from '@tanstack/react-router'
import type { JobDetail } from '~/api'
import { FigureCard } from '~/charts/FigureCard'
import { isLive } from '~/data/queries'

const route = getRouteApi('/studies/$id')

/** What an attacker still learns. */
export function RocSection({ job }: { job: JobDetail }) {
  const { subgroup } = route.useSearch()
  return (
    <FigureCard
      name="roc"
      label="Membership inference"
      request={{ job_id: [job.id], subgroup }}
      growing={isLive(job.status)}
    />
  )
}
