import { useQuery } from '@tanstack/react-query'
import type { JobDetail } from '~/api'
import { catalogueQuery } from '~/data/queries'
import { chooseAxes, knownMetric } from '~/lib/axes'
import { metricOf } from '~/lib/metrics'
import { subgroupMenu } from '~/lib/subgroups'
import type { TradeoffView } from '~/lib/views'

/** The axes of a trade-off and its subgroup: what the address says, and good defaults for the rest. */
export function useAxes(view: TradeoffView, jobs: readonly JobDetail[]) {
  const { data } = useQuery(catalogueQuery)
  const metrics = data?.metrics ?? []
  const axes = chooseAxes(view, metrics)
  const menu = subgroupMenu(metricOf(metrics, axes.y), view.subgroup, jobs)
  return { axes, menu, request: { ...axes, subgroup: menu.chosen }, ready: data !== undefined }
}

/** One metric by its name; `ready` once it is known which there are. */
export function useMetric(wanted: string | undefined, usual: string): { metric: string; ready: boolean } {
  const { data } = useQuery(catalogueQuery)
  return { metric: knownMetric(wanted, data?.metrics ?? [], usual), ready: data !== undefined }
}
