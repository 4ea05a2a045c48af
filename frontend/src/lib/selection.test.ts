import { describe, expect, it } from 'vitest'
import { brushed, clicked, lit, selectable, settingsAt, settingsOf } from './selection'

const marks = { type: 'scatter', mode: 'lines+markers', x: [1, 2, 3], meta: { settings: [7, 8, null] } }
const level = { type: 'scatter', mode: 'lines', meta: { settings: [9, 9] } }
const plain = { type: 'scatter', mode: 'lines' }
const lines = {
  type: 'parcoords',
  meta: { settings: [7, 8, 9] },
  line: {
    color: [0, 1, 1],
    colorscale: [
      [0, 'a'],
      [0.5, 'a'],
      [0.5, 'b'],
      [1, 'b'],
    ],
    cmin: -0.5,
    cmax: 1.5,
  },
  dimensions: [{ values: [1, 2, 3] }, { values: [3, 2, 1] }],
}

describe('selection', () => {
  it('reads settings and nothing else out of a trace', () => {
    expect(settingsOf(marks)).toEqual([7, 8, null])
    expect(settingsOf({ meta: { settings: ['7', {}, 8] } })).toEqual([null, null, 8])
    expect(settingsOf({ meta: 'x' })).toEqual([])
    expect([...selectable([marks, level, plain])]).toEqual([7, 8, 9])
  })

  it('finds the settings behind marks, each once', () => {
    const points = [
      { curveNumber: 0, pointNumber: 1 },
      { curveNumber: 0, pointNumber: 1 },
      { curveNumber: 0, pointNumber: 2 },
      { curveNumber: 1, pointNumbers: [0, 1] },
      { curveNumber: 9, pointNumber: 0 },
    ]
    expect(settingsAt([marks, level, plain], points)).toEqual([8, 9])
  })

  it('selects one, adds with a key held, and takes away again', () => {
    expect([...clicked(new Set(), [7], false)]).toEqual([7])
    expect([...clicked(new Set([7]), [8], false)]).toEqual([8])
    expect([...clicked(new Set([7]), [8], true)]).toEqual([7, 8])
    expect([...clicked(new Set([7, 8]), [8], true)]).toEqual([7])
    expect([...clicked(new Set([7]), [7], false)]).toEqual([])
    expect([...clicked(new Set([7, 8]), [7], false)]).toEqual([7])
    expect([...clicked(new Set([7]), [], false)]).toEqual([7])
  })

  it('lights marks, dims levels of others, and leaves the rest as it is', () => {
    const [a, b, c] = lit([marks, level, plain], new Set([8]), 'grey')
    expect(a).toMatchObject({ selectedpoints: [1], unselected: { marker: { opacity: 0.12 } } })
    expect(b?.opacity).toBe(0.25)
    expect(b?.selectedpoints).toBeUndefined()
    expect(c).toBe(plain)
  })

  it('draws a figure that has none of the selected settings as it is', () => {
    expect(lit([marks], new Set([99]), 'grey')).toEqual([marks])
    expect(lit([marks], new Set(), 'grey')).toEqual([marks])
  })

  it('gives the other parallel lines a step of their own and keeps every colour', () => {
    const [drawn] = lit([lines], new Set([8]), 'grey') as [{ line: Record<string, unknown> }]
    expect(drawn.line.color).toEqual([-1, 1, -1])
    const scale = drawn.line.colorscale as [number, string][]
    const low = drawn.line.cmin as number
    const high = drawn.line.cmax as number
    const colourOf = (code: number) => {
      const at = (code - low) / (high - low)
      return scale.filter(([from]) => from <= at).at(-1)?.[1]
    }
    expect([-1, 0, 1].map(colourOf)).toEqual(['grey', 'a', 'b'])
  })

  it('reads a brush, several stretches of an axis included', () => {
    expect(brushed(lines)).toBeNull()
    const first = {
      ...lines,
      dimensions: [{ values: [1, 2, 3], constraintrange: [1.5, 3] }, { values: [3, 2, 1] }],
    }
    expect(brushed(first)).toEqual([8, 9])
    const both = {
      ...lines,
      dimensions: [
        {
          values: [1, 2, 3],
          constraintrange: [
            [0, 1],
            [3, 4],
          ],
        },
        { values: [3, 2, 1], constraintrange: [0, 2] },
      ],
    }
    expect(brushed(both)).toEqual([9])
  })
})
