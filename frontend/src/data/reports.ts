import { queryOptions } from '@tanstack/react-query'
import * as api from '~/api'
import { unwrap } from './http'
import { keys } from './queries'

/** Settings of studies that have a result, by name. */
export const settingsQuery = (jobs: readonly string[]) =>
  queryOptions({
    queryKey: [...keys.figures, 'settings', jobs],
    queryFn: async ({ signal }) => {
      const query = { job_id: [...jobs], y: 'loss', choose: 'all' }
      const { curves } = await unwrap(api.curvesGetCurves({ query, signal }))
      return curves.flatMap((curve) =>
        curve.points.map((point) => ({ setting: point.setting_id, label: point.label })),
      )
    },
  })
