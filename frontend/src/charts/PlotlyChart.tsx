import createPlotlyComponent from 'react-plotly.js/factory'
import type { PlotlyFigure } from './adapt'
import Plotly from './plotly'

const Chart = createPlotlyComponent(Plotly)

interface Props {
  figure: PlotlyFigure
  onSelectRun?: (id: string) => void
}

/** Without a pointer that hovers the buttons would lie over the picture for good. */
const HOVERS = window.matchMedia('(hover: hover)').matches

const CONFIG = {
  responsive: false,
  displaylogo: false,
  displayModeBar: HOVERS && ('hover' as const),
  modeBarButtonsToRemove: ['toImage', 'lasso2d', 'select2d', 'autoScale2d'],
  // Figures are of people's data: nothing is ever sent to somebody else's server.
  showSendToCloud: false,
  plotlyServerURL: '',
  doubleClick: 'reset' as const,
}

/** The run behind a clicked mark, where the figure names it in `customdata`. */
function runOf(event: { points?: { customdata?: unknown }[] }): string | undefined {
  const custom = event.points?.[0]?.customdata
  const values = Array.isArray(custom) ? custom.flat(2) : [custom]
  return values.find((value): value is string => typeof value === 'string' && /^[0-9a-f]{20}$/.test(value))
}

/** The one place that touches Plotly's React component; loaded on demand. */
export default function PlotlyChart({ figure, onSelectRun }: Props) {
  return (
    <Chart
      data={figure.data}
      layout={figure.layout}
      config={CONFIG}
      onClick={(event) => {
        const run = runOf(event)
        if (run) onSelectRun?.(run)
      }}
    />
  )
}
