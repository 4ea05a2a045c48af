import { Skeleton } from '@mantine/core'
import { useElementSize } from '@mantine/hooks'
import { lazy, Suspense, useMemo, useRef } from 'react'
import type { Figure } from '~/api'
import { adapt, type Held, heightOf, holdAxes, readFigure } from './adapt'
import classes from './Plot.module.css'

const PlotlyChart = lazy(() => import('./PlotlyChart'))

interface Props {
  figure: Figure
  /** Names what is drawn; the reader's zoom is kept while it stays the same. */
  view: string
  /** Axes only ever widen while the figure grows. */
  growing?: boolean
  height?: number
  onSelectRun?: (id: string) => void
}

/** Draws any figure of the server. The one component on the page that does. */
export function Plot({ figure, view, growing = false, height = 420, onSelectRun }: Props) {
  const { ref, width } = useElementSize()
  const tall = heightOf(figure.figure, height)
  const held = useHeldAxes(figure, view, growing)
  const drawn = useMemo(
    () => adapt(readFigure(figure.figure), { revision: view, width, height: tall, held }),
    [figure, view, width, tall, held],
  )
  const blank = <Skeleton height={tall} aria-label="Loading the chart" />
  return (
    <div ref={ref} className={classes.plot} style={{ minHeight: tall }}>
      <Suspense fallback={blank}>
        {width > 0 ? (
          <figure className={classes.figure} aria-label={`${figure.title}. ${figure.caption}`}>
            <PlotlyChart figure={drawn} onSelectRun={onSelectRun} />
          </figure>
        ) : (
          blank
        )}
      </Suspense>
    </div>
  )
}

/** Axis extents that survive from one state of a growing figure to the next. */
function useHeldAxes(figure: Figure, view: string, growing: boolean): Held | undefined {
  const memory = useRef<{ view: string; held: Held } | null>(null)
  return useMemo(() => {
    const before = memory.current?.view === view ? memory.current.held : undefined
    if (!growing) return before
    const held = holdAxes(readFigure(figure.figure), before ?? {})
    memory.current = { view, held }
    return held
  }, [figure, view, growing])
}
