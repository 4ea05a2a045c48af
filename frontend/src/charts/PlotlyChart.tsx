import { useMemo } from 'react'
import createPlotlyComponent from 'react-plotly.js/factory'
import { brushed, type Point, settingsAt } from '~/lib/selection'
import type { PlotlyFigure } from './adapt'
import Plotly from './plotly'

const Chart = createPlotlyComponent(Plotly)

/** What a reader did to marks: which settings they are of, and whether to add to what was selected. */
export type OnPick = (settings: number[], how: 'click' | 'add' | 'area') => void

interface Props {
  figure: PlotlyFigure
  onSelectRun?: (id: string) => void
  onPick?: OnPick
}

/** Without a pointer that hovers the buttons would lie over the picture for good. */
const HOVERS = window.matchMedia('(hover: hover)').matches

const BUTTONS = ['toImage', 'autoScale2d']
const CONFIG = {
  responsive: false,
  displaylogo: false,
  displayModeBar: HOVERS && ('hover' as const),
  // Figures are of people's data: nothing is ever sent to somebody else's server.
  showSendToCloud: false,
  plotlyServerURL: '',
}

interface PlotEvent {
  points?: (Point & { customdata?: unknown })[]
  event?: { shiftKey?: boolean; ctrlKey?: boolean; metaKey?: boolean }
}

/** The run behind a clicked mark, where the figure names it in `customdata`. */
function runOf(event: PlotEvent): string | undefined {
  const custom = event.points?.[0]?.customdata
  const values = Array.isArray(custom) ? custom.flat(2) : [custom]
  return values.find((value): value is string => typeof value === 'string' && /^[0-9a-f]{20}$/.test(value))
}

/** The one place that touches Plotly's React component; loaded on demand. */
export default function PlotlyChart({ figure, onSelectRun, onPick }: Props) {
  const config = useMemo(
    () => ({
      ...CONFIG,
      modeBarButtonsToRemove: onPick ? BUTTONS : [...BUTTONS, 'lasso2d', 'select2d'],
      doubleClick: onPick ? (false as const) : ('reset' as const),
    }),
    [onPick],
  )
  return (
    <Chart
      data={figure.data}
      layout={figure.layout}
      config={config}
      onClick={(event: PlotEvent) => {
        if (onPick) {
          const { shiftKey, ctrlKey, metaKey } = event.event ?? {}
          const held = shiftKey || ctrlKey || metaKey
          onPick(settingsAt(figure.data, event.points ?? []), held ? 'add' : 'click')
          return
        }
        const run = runOf(event)
        if (run) onSelectRun?.(run)
      }}
      onSelected={(event?: PlotEvent) => {
        // Plotly also says "selected" when a click changed nothing.
        if (onPick && event?.points?.length) onPick(settingsAt(figure.data, event.points), 'area')
      }}
      onRestyle={(change: [Record<string, unknown>, number[]?]) => {
        const touched = Object.keys(change[0] ?? {}).some((key) => key.includes('constraintrange'))
        if (!onPick || !touched) return
        const found = figure.data.map((trace, place) => withRanges(trace, place, change)).map(brushed)
        const settings = found.find((one) => one !== null)
        onPick(settings ?? [], 'area')
      }}
    />
  )
}

/** A trace with the brushes that an event brings; those made before are on the trace itself. */
function withRanges(
  trace: Record<string, unknown>,
  place: number,
  [change, traces]: [Record<string, unknown>, number[]?],
): Record<string, unknown> {
  if (trace.type !== 'parcoords' || (traces && !traces.includes(place))) return trace
  const dimensions = (Array.isArray(trace.dimensions) ? trace.dimensions : []) as Record<string, unknown>[]
  for (const [key, value] of Object.entries(change)) {
    const found = /^dimensions\[(\d+)\]\.constraintrange$/.exec(key)
    const dimension = found && dimensions[Number(found[1])]
    // Kept on the dimension, so that the next event finds every brush and drawing anew keeps them.
    if (dimension) dimension.constraintrange = Array.isArray(value) ? value[0] : undefined
  }
  return trace
}
