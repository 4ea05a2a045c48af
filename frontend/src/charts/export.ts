import type { Figure } from '~/api'
import { toCsv } from '~/lib/csv'
import { type Chosen, lit } from '~/lib/selection'
import { readFigure } from './adapt'

function save(name: string, url: string) {
  const link = document.createElement('a')
  link.href = url
  link.download = name
  link.click()
}

const fileName = (figure: Figure, ending: string) => `equipoise-${figure.name}.${ending}`

/** The picture with its sentence above and its caption below, on the page's background. */
export async function saveImage(
  figure: Figure,
  format: 'png' | 'svg',
  background: string,
  chosen: Chosen = new Set(),
): Promise<void> {
  const { default: Plotly } = await import('./plotly')
  const { data, layout } = readFigure(figure.figure)
  const dim = 'rgba(128,128,128,0.2)'
  const margin = (layout.margin ?? {}) as Record<string, number>
  const annotations = Array.isArray(layout.annotations) ? layout.annotations : []
  const url = await Plotly.toImage(
    {
      data: lit(data, chosen, dim),
      layout: {
        ...layout,
        paper_bgcolor: background,
        title: { text: figure.title, x: 0.02, xanchor: 'left', font: { size: 16 } },
        margin: { ...margin, t: 64, b: (margin.b ?? 56) + 36 },
        annotations: [
          ...annotations,
          {
            text: figure.caption,
            xref: 'paper',
            yref: 'paper',
            x: 0,
            y: 0,
            yshift: -(margin.b ?? 56) - 6,
            xanchor: 'left',
            yanchor: 'top',
            showarrow: false,
            font: { size: 11 },
          },
        ],
      },
    },
    { format, width: 1000, height: 620, scale: format === 'png' ? 2 : 1 },
  )
  save(fileName(figure, format), url)
}

/** Exactly the numbers that are drawn. */
export function saveCsv(figure: Figure): void {
  const header = figure.columns.map((column) =>
    column.unit ? `${column.title} (${column.unit})` : column.title,
  )
  const url = URL.createObjectURL(new Blob([toCsv([header, ...figure.rows])], { type: 'text/csv' }))
  save(fileName(figure, 'csv'), url)
  window.setTimeout(() => URL.revokeObjectURL(url), 10_000)
}
