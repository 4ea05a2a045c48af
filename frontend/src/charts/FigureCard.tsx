import { useComputedColorScheme } from '@mantine/core'
import { useMediaQuery } from '@mantine/hooks'
import { useQuery } from '@tanstack/react-query'
import { figureQuery } from '~/data/queries'
import type { FigureName, FigureRequest } from '~/data/types'
import { type FigureLook, FigurePanel, NARROW_SCREEN } from './FigurePanel'

interface Props extends FigureLook {
  name: FigureName
  request: FigureRequest
  /** Of this review's snapshot, instead of studies. */
  review?: string
  /** False while it is not yet known what to ask for. */
  ready?: boolean
}

/** Told to the server on a phone, which then writes labels on two lines. */
export const NARROW = 340

/** A chart as a sentence with evidence, asked of the server. */
export function FigureCard({ name, request, review, ready = true, ...look }: Props) {
  const theme = useComputedColorScheme('light')
  const narrow = useMediaQuery(NARROW_SCREEN, false, { getInitialValueInEffect: false })
  const query = useQuery({
    ...figureQuery(name, { ...request, theme, width: narrow ? NARROW : undefined }, review),
    enabled: ready,
  })
  return (
    <FigurePanel
      {...look}
      figure={query.data}
      view={JSON.stringify({ ...request, name })}
      pending={query.isPending}
      stale={query.isPlaceholderData}
      error={query.error}
      onRetry={() => query.refetch()}
    />
  )
}
