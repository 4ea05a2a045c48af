import { useQuery } from '@tanstack/react-query'
import { catalogueQuery } from '~/data/queries'
import { chooseAxes } from '~/lib/axes'
import type { TradeoffView } from '~/lib/views'

/** The axes of a trade-off: what the address says, and good defaults for the rest. */
export function useAxes(view: TradeoffView) {
  const { data } = useQuery(catalogueQuery)
  return chooseAxes(view, data?.metrics ?? [])
}
