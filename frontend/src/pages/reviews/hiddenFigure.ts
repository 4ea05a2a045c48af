import { useComputedColorScheme } from '@mantine/core'
import { useMemo } from 'react'
import type { Figure, HiddenMean, Task } from '~/api'
import { inert } from '~/charts/text'
import { words } from '~/lib/format'

const INK = { light: '#1d232a', dark: '#d6dae0' }
const LINE = { light: '#e5e8ec', dark: '#2a3038' }
const POINT = { light: '#0072b2', dark: '#79b8e2' }

/** Mean answers with intervals, one row for each hidden value. */
export function useHiddenFigure(task: Task, field: string, means: readonly HiddenMean[]): Figure {
  const theme = useComputedColorScheme('light')
  return useMemo(() => hiddenFigure(task, field, means, theme), [task, field, means, theme])
}

export function hiddenFigure(
  task: Pick<Task, 'scale' | 'raters' | 'items'>,
  field: string,
  means: readonly HiddenMean[],
  theme: 'light' | 'dark',
): Figure {
  const known = means.filter((one) => one.mean !== null)
  const values = task.scale.points.map((point) => point.value)
  const names = known.map((one) => inert((one.value || 'none').slice(0, 40)))
  const arm = (one: HiddenMean, end: 'low' | 'high') => {
    const at = one[end]
    return at === null || one.mean === null ? 0 : Math.abs(at - one.mean)
  }
  return {
    name: 'ratings',
    title: `Mean answer by ${words(field)}`,
    caption: `Mean over items with 95 % Student t interval over items; ${task.raters.length} raters, ${task.items} items. “Unsure” is left out. No test is made.`,
    figure: {
      data: [
        {
          type: 'scatter',
          mode: 'markers',
          x: known.map((one) => one.mean),
          y: names,
          error_x: {
            type: 'data',
            array: known.map((one) => arm(one, 'high')),
            arrayminus: known.map((one) => arm(one, 'low')),
            color: POINT[theme],
          },
          marker: { size: 9, color: POINT[theme] },
          hovertemplate: '%{y}: %{x:.3f}<extra></extra>',
        },
      ],
      layout: {
        margin: { l: 10, r: 16, t: 8, b: 48 },
        font: { color: INK[theme] },
        showlegend: false,
        xaxis: {
          title: { text: 'Mean answer', font: { size: 13 } },
          range: [Math.min(...values) - 0.2, Math.max(...values) + 0.2],
          gridcolor: LINE[theme],
          zeroline: false,
        },
        yaxis: { type: 'category', automargin: true, autorange: 'reversed', gridcolor: LINE[theme] },
      },
    },
    columns: [{ title: words(field), numeric: false }],
    rows: known.map((one) => [one.value]),
    empty: null,
  }
}
