import { getRouteApi } from '@tanstack/react-router'
import type { JobDetail } from '~/api'
import { BudgetMenu, MetricMenu } from '~/charts/AxisMenus'
import { FigureCard } from '~/charts/FigureCard'
import { useMetric } from '~/charts/useAxes'
import { isLive } from '~/data/queries'
import { among } from '~/lib/axes'
import { budgetsOf } from '~/lib/budgets'
import type { StudyView } from '~/lib/views'

const route = getRouteApi('/studies/$id')

/** Who pays: one metric for every subgroup, at one budget. */
export function SubgroupsSection({ job }: { job: JobDetail }) {
  const { metric: wanted, split, at } = route.useSearch()
  const navigate = route.useNavigate()
  const budgets = budgetsOf(job)
  const epsilon = among(at, budgets)
  const { metric, ready } = useMetric(wanted, 'loss')
  const set = (part: StudyView) => navigate({ search: (old) => ({ ...old, ...part }), resetScroll: false })
  return (
    <FigureCard
      name="subgroups"
      label="Subgroups"
      request={{ job_id: [job.id], metric, split, epsilon }}
      ready={ready}
      growing={isLive(job.status)}
      controls={
        <>
          <MetricMenu label="Metric" value={metric} perSubgroup onChange={(next) => set({ metric: next })} />
          {epsilon !== undefined && (
            <BudgetMenu value={epsilon} budgets={budgets} onChange={(next) => set({ at: next })} />
          )}
        </>
      }
      table="beside"
    />
  )
}
