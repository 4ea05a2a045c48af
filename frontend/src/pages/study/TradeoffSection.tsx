import { getRouteApi } from '@tanstack/react-router'
import type { JobDetail } from '~/api'
import { MetricMenu, SplitMenu, SubgroupMenu } from '~/charts/AxisMenus'
import { FigureCard } from '~/charts/FigureCard'
import { useAxes } from '~/charts/useAxes'
import { isLive } from '~/data/queries'
import type { TradeoffView } from '~/lib/views'

const route = getRouteApi('/studies/$id')

/** The main figure: two metrics against each other, growing while the study runs. */
export function TradeoffSection({ job, onSelectRun }: { job: JobDetail; onSelectRun: (id: string) => void }) {
  const view = route.useSearch()
  const navigate = route.useNavigate()
  const { axes, menu, request, ready } = useAxes(view, [job])
  const set = (part: TradeoffView) => navigate({ search: (old) => ({ ...old, ...part }), resetScroll: false })
  return (
    <FigureCard
      name="tradeoff"
      label="Trade-off"
      request={{ job_id: [job.id], ...request }}
      growing={isLive(job.status)}
      ready={ready}
      height={440}
      onSelectRun={onSelectRun}
      controls={
        <>
          <MetricMenu label="Vertical axis" value={axes.y} onChange={(y) => set({ y })} />
          <MetricMenu label="Horizontal axis" value={axes.x} onChange={(x) => set({ x })} />
          <SubgroupMenu menu={menu} onChange={(subgroup) => set({ subgroup })} />
          <SplitMenu
            value={axes.split}
            onChange={(split) => set({ split: split as TradeoffView['split'] })}
          />
        </>
      }
    />
  )
}
