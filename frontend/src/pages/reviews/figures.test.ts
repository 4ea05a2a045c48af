import { describe, expect, it } from 'vitest'
import type { ComparedRow, Comparison, HiddenMean, Task } from '~/api'
import { answered } from '~/data/reviews'
import { comparedFigure } from './comparedFigure'
import { hiddenFigure } from './hiddenFigure'

const cell = (mean: number | null, low: number | null = null, high: number | null = null) => ({
  mean,
  low,
  high,
  seeds: 3,
  n: 12,
  values: [],
})
const row = (subgroup: string, cells: ComparedRow['cells'], small = false): ComparedRow => ({
  metric: 'loss',
  subgroup,
  title: 'Loss',
  subgroup_title: `<b>${subgroup}</b>`,
  unit: 'nats',
  higher_is_better: false,
  small,
  cells,
  best: [],
  tests: [],
})
const settings = [
  { setting_id: 4, label: '<a href="x">A</a>' },
  { setting_id: 9, label: 'B' },
] as Comparison['settings']

describe('the figure of the frozen numbers', () => {
  const rows = [
    row('s=1', [cell(0.5, 0.4, 0.7), cell(null)]),
    row('s=2', [cell(0.6), cell(0.2, 0.1, 0.3)], true),
  ]
  const comparison = { split: 'test', settings, rows } as Comparison
  const figure = comparedFigure(comparison, rows, 'light')
  const data = figure.figure.data as Record<string, unknown>[]

  it('draws what was measured with its interval, named by setting', () => {
    expect(data.map((trace) => trace.x)).toEqual([[0.5, 0.6], [0.2]])
    const error = data[0]?.error_x as { array: number[]; arrayminus: number[] }
    expect(error.array.map((one) => Number(one.toFixed(6)))).toEqual([0.2, 0])
    expect(error.arrayminus.map((one) => Number(one.toFixed(6)))).toEqual([0.1, 0])
    expect(data.map((trace) => trace.meta)).toEqual([{ settings: [4, 4] }, { settings: [9] }])
  })

  it('leaves small groups hollow and lets no name be markup', () => {
    expect(data[0]?.marker).toMatchObject({ symbol: ['circle', 'circle-open'] })
    const layout = figure.figure.layout as { yaxis: { ticktext: string[] } }
    expect(layout.yaxis.ticktext[0]).toBe('&lt;b&gt;s=1&lt;/b&gt;')
    expect(JSON.stringify(data)).not.toMatch(/<a |<b>/)
  })
})

describe('the figure of ratings', () => {
  it('leaves out what has no mean and lets no hidden value be markup', () => {
    const mean = (value: string, at: number | null): HiddenMean => ({
      field: 'method',
      value,
      mean: at,
      low: at === null ? null : at - 1,
      high: at === null ? null : at + 0.5,
      items: 3,
      answers: 6,
      unsure: 0,
    })
    const task = { scale: { points: [{ value: 1 }, { value: 4 }] }, raters: ['A', 'B'], items: 9 } as Task
    const figure = hiddenFigure(task, 'method', [mean('<i>x</i>', 2), mean('y', null)], 'dark')
    const [trace] = figure.figure.data as Record<string, unknown>[]
    expect(trace?.x).toEqual([2])
    expect(trace?.y).toEqual(['&lt;i&gt;x&lt;/i&gt;'])
    expect(trace?.error_x).toMatchObject({ array: [0.5], arrayminus: [1] })
  })
})

describe('an answer', () => {
  it('counts, and counts no more when it is taken back', () => {
    const item = (id: number) => ({ id, kind: 'text' as const, content: '', hidden: {}, rating: null })
    const task = { content: [item(1), item(2)], unanswered: 2 } as unknown as Task
    const after = answered(task, 2, { item: 2, value: null })
    expect(after.unanswered).toBe(1)
    expect(after.content[1]?.rating).toEqual({ item: 2, value: null })
    expect(answered(after, 2, null).unanswered).toBe(2)
  })
})
