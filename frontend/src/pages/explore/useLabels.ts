import { useComputedColorScheme } from '@mantine/core'
import { useQuery } from '@tanstack/react-query'
import { useMemo } from 'react'
import { figureQuery } from '~/data/queries'
import type { FigureRequest } from '~/data/types'

/** Names of the settings that the trade-off's table lists: the figure that is on the page anyway. */
export function useLabels(request: FigureRequest, enabled: boolean): ReadonlyMap<number, string> {
  const theme = useComputedColorScheme('light')
  const { data } = useQuery({ ...figureQuery('tradeoff', { ...request, theme }), enabled })
  return useMemo(() => {
    const column = data?.columns.findIndex((one) => one.title === 'Setting') ?? -1
    const labels = new Map<number, string>()
    data?.row_settings?.forEach((setting, row) => {
      const label = data.rows[row]?.[column]
      if (setting !== null && typeof label === 'string') labels.set(setting, label)
    })
    return labels
  }, [data])
}
