import type { Figure } from '~/api'
import { toCsv } from '~/lib/csv'
import { type Chosen, lit } from '~/lib/selection'
import { readFigure } from './adapt'
import { wrapped } from './text'

/** Characters of the title and of the caption that one line of a picture holds. */
const TITLE = 105
const CAPTION = 150

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
  const title = wrapped(figure.title, TITLE)
  const caption = wrapped(figure.caption, CAPTION)
  const url = await Plotly.toImage(
    {
      data: lit(data, chosen, dim),
      layout: {
        ...layout,
        paper_bgcolor: background,
        title: {
          text: title.join('<br>'),
          x: 0.02,
          y: 1,
          xanchor: 'left',
          yanchor: 'top',
          pad: { t: 18 },
          font: { size: 16 },
        },
        margin: { ...margin, t: 44 + 21 * title.length, b: (margin.b ?? 56) + 21 + 15 * caption.length },
        annotations: [
          ...annotations,
          {
            text: caption.join('<br>'),
            align: 'left',
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
    {
      format,
      width: 1000,
      height: 620 + 21 * (title.length - 1) + 15 * (caption.length - 1),
      scale: format === 'png' ? 2 : 1,
    },
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
