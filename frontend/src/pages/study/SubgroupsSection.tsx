import { getRouteApi } from '@tanstack/react-router'
import type { JobDetail } from '~/api'
import { MetricMenu } from '~/charts/AxisMenus'
import { FigureCard } from '~/charts/FigureCard'
import { isLive } from '~/data/queries'

const route = getRouteApi('/studies/$id')

/** Who pays: one metric for every subgroup. */
export function SubgroupsSection({ job }: { job: JobDetail }) {
  const { metric = 'loss', split } = route.useSearch()
  const navigate = route.useNavigate()
  return (
    <FigureCard
      name="subgroups"
      label="Subgroups"
      request={{ job_id: [job.id], metric, split }}
      growing={isLive(job.status)}
      controls={
        <MetricMenu
          label="Metric"
          value={metric}
          perSubgroup
          onChange={(next) =>
            navigate({ search: (old) => ({ ...old, metric: next }), replace: true, resetScroll: false })
          }
        />
      }
      table="beside"
    />
  )
}
