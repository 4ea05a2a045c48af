import { describe, expect, it } from 'vitest'
import { adapt, extentOf, heightOf, hold, holdAxes, readFigure } from './adapt'

const figure = (y: number[]) =>
  readFigure({
    data: [{ type: 'scatter', x: [0.5, 1, 2], y, error_y: { array: [0.1, 0.1, 0.1] } }],
    layout: { xaxis: { type: 'log' }, yaxis: {} },
  })

describe('extents', () => {
  it('include error bars and lines drawn across, and are logarithmic on a log axis', () => {
    const drawn = figure([1, 2, 3])
    drawn.layout.shapes = [{ x0: 0, x1: 1, xref: 'paper', y0: 5, y1: 5 }]
    expect(extentOf(drawn, 'y')).toEqual({ low: 0.9, high: 5 })
    expect(extentOf(drawn, 'x')?.high).toBeCloseTo(Math.log10(2))
    expect(extentOf(readFigure({ data: [{ x: ['a'], y: ['b'] }] }), 'x')).toBeNull()
  })

  it('stay while the data fit and widen with room when they do not', () => {
    const first = hold(undefined, { low: 1, high: 2 })
    expect(hold(first, { low: 1.2, high: 1.9 })).toBe(first)
    const next = hold(first, { low: 1, high: 24 })
    expect(next.high).toBeGreaterThan(24)
    expect(next.low).toBeLessThan(0)
  })

  it('close in once the data have become too small to read', () => {
    const wide = hold(undefined, { low: 0, high: 10 })
    const close = hold(wide, { low: 4, high: 5 })
    expect(close.low).toBeGreaterThan(3.8)
    expect(close.high).toBeLessThan(5.2)
  })

  it('leave an axis alone whose range the server chose', () => {
    const drawn = figure([1, 2, 3])
    drawn.layout.yaxis = { range: [0, 1] }
    expect(holdAxes(drawn, {})).not.toHaveProperty('y')
  })
})

it('takes the height that a figure with many rows asks for', () => {
  expect(heightOf({ layout: { height: 700 } }, 420)).toBe(700)
  expect(heightOf({}, 420)).toBe(420)
})

describe('adapt', () => {
  it('fits the page, keeps the zoom, and lets a narrow page scroll', () => {
    const { layout } = adapt(figure([1, 2, 3]), {
      revision: 'a',
      width: 360,
      height: 300,
      held: { y: { low: 0, high: 4 } },
    })
    expect(layout).toMatchObject({
      width: 360,
      uirevision: 'a',
      dragmode: false,
      paper_bgcolor: 'rgba(0,0,0,0)',
    })
    expect(layout.yaxis).toMatchObject({ range: [0, 4], autorange: false })
    expect(layout.xaxis).toEqual({ type: 'log' })
  })
})
