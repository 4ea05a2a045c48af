import { Skeleton, useComputedColorScheme } from '@mantine/core'
import { useElementSize } from '@mantine/hooks'
import { lazy, Suspense, useMemo, useRef } from 'react'
import type { Figure } from '~/api'
import { type Chosen, clicked, lit } from '~/lib/selection'
import { adapt, type Held, heightOf, holdAxes, readFigure } from './adapt'
import { isLarge, onCard } from './large'
import classes from './Plot.module.css'

const PlotlyChart = lazy(() => import('./PlotlyChart'))
const LargeChart = lazy(async () => {
  await import('./plotlyGl')
  return import('./PlotlyChart')
})

interface Props {
  figure: Figure
  /** Names what is drawn; the reader's zoom is kept while it stays the same. */
  view: string
  /** Axes only ever widen while the figure grows. */
  growing?: boolean
  height?: number
  onSelectRun?: (id: string) => void
  /** Settings that are lit up; with `onChoose` marks can be clicked, boxed and lassoed. */
  chosen?: Chosen
  onChoose?: (chosen: Set<number>) => void
  /** What a drag does where marks can be selected. */
  drag?: 'zoom' | 'select' | 'lasso'
}

const NOTHING: Chosen = new Set()
/** Parallel lines that are not selected; the scale of a figure takes no transparency. */
const DIM = { light: '#e3e6ea', dark: '#33383f' }

/** Draws any figure of the server. The one component on the page that does. */
export function Plot(props: Props) {
  const { figure, view, growing = false, height = 420, onSelectRun, chosen = NOTHING, onChoose, drag } = props
  const theme = useComputedColorScheme('light')
  const { ref, width } = useElementSize()
  const tall = heightOf(figure.figure, height)
  const held = useHeldAxes(figure, view, growing)
  const drawn = useMemo(
    () => adapt(readFigure(figure.figure), { revision: view, width, height: tall, held }),
    [figure, view, width, tall, held],
  )
  const shown = useMemo(() => {
    // What is lit is ours: a revision of its own takes the outline and the marks of the drag away again.
    const ours = { selections: [], selectionrevision: [...chosen].join(), ...(drag && { dragmode: drag }) }
    const layout = onChoose ? { ...drawn.layout, ...ours } : drawn.layout
    return { data: lit(onCard(drawn.data), chosen, DIM[theme]), layout }
  }, [drawn, chosen, onChoose, drag, theme])
  const latest = useRef(chosen)
  latest.current = chosen
  const pick = useMemo(
    () =>
      onChoose &&
      ((settings: number[], how: 'click' | 'add' | 'area') =>
        onChoose(how === 'area' ? new Set(settings) : clicked(latest.current, settings, how === 'add'))),
    [onChoose],
  )
  const large = useMemo(() => isLarge(drawn.data), [drawn.data])
  const Chart = large ? LargeChart : PlotlyChart
  // Marks on the card learn where they are on the screen when they are drawn in a mode that selects.
  const mode = large ? drag : undefined
  const blank = <Skeleton height={tall} role="status" aria-label="Loading the chart" />
  return (
    <div ref={ref} className={classes.plot} style={{ minHeight: tall }}>
      <Suspense fallback={blank}>
        {width > 0 ? (
          <figure className={classes.figure} aria-label={`${figure.title}. ${figure.caption}`}>
            <Chart key={mode} figure={shown} onSelectRun={onSelectRun} onPick={pick} />
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
