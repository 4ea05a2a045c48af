import { useQuery } from '@tanstack/react-query'
import type { Run } from '~/api'
import { catalogueQuery } from '~/data/queries'

/** "SoftAdaClip at ε = 2, seed 1". */
export function useRunTitle(run: Run | undefined): string {
  const { data } = useQuery(catalogueQuery)
  if (!run) return 'Run'
  const method =
    data?.plugins.find((one) => one.kind === 'method' && one.name === run.method)?.title ?? run.method
  return `${method}${run.epsilon === null ? '' : ` at ε = ${run.epsilon}`}, seed ${run.seed}`
}
