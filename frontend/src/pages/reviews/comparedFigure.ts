import type { ComparedRow, Comparison, Figure } from '~/api'
import { inert } from '~/charts/text'
import { interval, number } from '~/lib/format'
import { letter, worstSentences } from '~/lib/reviews'

const INK = { light: '#1d232a', dark: '#d6dae0' }
const LINE = { light: '#e5e8ec', dark: '#2a3038' }
/** Okabe-Ito, with a symbol each: letters and symbols tell settings apart without the hue. */
const HUES = ['#0072b2', '#d55e00', '#009e73', '#cc79a7', '#e69f00', '#56b4e9']
const SYMBOLS = ['circle', 'square', 'diamond', 'triangle-up', 'cross', 'x']

/** One metric of every group and setting, with intervals, from the frozen numbers alone. Small groups are hollow. */
export function comparedFigure(
  comparison: Comparison,
  rows: readonly ComparedRow[],
  theme: 'light' | 'dark',
): Figure {
  const { settings } = comparison
  const title = rows[0]?.title ?? ''
  const step = 0.7 / Math.max(1, settings.length)
  const data = settings.map((setting, place) => {
    const known = rows.flatMap((row, at) => {
      const cell = row.cells[place]
      return cell && cell.mean !== null ? [{ row, cell, mean: cell.mean, at }] : []
    })
    const hue = HUES[place % HUES.length]
    return {
      type: 'scatter',
      mode: 'markers+text',
      name: letter(place),
      x: known.map((one) => one.mean),
      y: known.map((one) => one.at + (place - (settings.length - 1) / 2) * step),
      text: known.map(() => letter(place)),
      textposition: 'top center',
      textfont: { size: 10 },
      cliponaxis: false,
      meta: { settings: known.map(() => setting.setting_id) },
      error_x: {
        type: 'data',
        array: known.map((one) => Math.max(0, (one.cell.high ?? one.mean) - one.mean)),
        arrayminus: known.map((one) => Math.max(0, one.mean - (one.cell.low ?? one.mean))),
        color: hue,
        thickness: 1.2,
        width: 0,
      },
      marker: {
        size: 8,
        color: hue,
        symbol: known.map((one) => SYMBOLS[place % SYMBOLS.length] + (one.row.small ? '-open' : '')),
      },
      hovertext: known.map(
        (one) =>
          `${letter(place)} ${inert(setting.label.slice(0, 80))}<br>${inert(one.row.subgroup_title)}: ${number(one.mean)} (${interval(one.cell.low, one.cell.high)})<br>${one.cell.seeds} seeds, n ${one.cell.n ?? 'unknown'}`,
      ),
      hoverinfo: 'text',
    }
  })
  return {
    name: 'compared',
    title: worstSentences(rows, settings)[0] ?? `${title} of every group under each setting`,
    caption: `${title}, mean over seeds with 95 % Student t interval, ${comparison.split} split, frozen numbers. ${settings
      .map((one, i) => `${letter(i)}: ${one.label}`)
      .join('; ')}. Hollow: small groups.`,
    figure: {
      data,
      layout: {
        height: 110 + rows.length * Math.max(34, 22 * settings.length),
        margin: { l: 10, r: 20, t: 14, b: 50 },
        font: { color: INK[theme] },
        showlegend: false,
        hovermode: 'closest',
        xaxis: {
          title: { text: inert(title + (rows[0]?.unit ? `, ${rows[0].unit}` : '')), font: { size: 13 } },
          gridcolor: LINE[theme],
          zeroline: false,
        },
        yaxis: {
          tickmode: 'array',
          tickvals: rows.map((_, at) => at),
          ticktext: rows.map((row) => inert(row.subgroup_title.slice(0, 40))),
          range: [rows.length - 0.4, -0.6],
          automargin: true,
          gridcolor: LINE[theme],
          zeroline: false,
        },
      },
    },
    columns: [{ title: 'Group', numeric: false }],
    rows: rows.map((row) => [row.subgroup_title]),
    empty: null,
  }
}
