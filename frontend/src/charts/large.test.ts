import { describe, expect, it } from 'vitest'
import { isLarge, LARGE, onCard } from './large'

const many = { type: 'scatter', x: Array.from({ length: LARGE }, (_, i) => i), y: [] }
const few = { type: 'scatter', x: [1, 2] }
const lines = { type: 'parcoords', x: many.x }

describe('large figures', () => {
  it('are those with a trace of very many marks', () => {
    expect(isLarge([few, many])).toBe(true)
    expect(isLarge([few, lines, { type: 'scatter' }])).toBe(false)
  })

  it('go to the graphics card trace by trace, where there is one', () => {
    expect(onCard([few, many, lines], () => true).map((trace) => trace.type)).toEqual([
      'scatter',
      'scattergl',
      'parcoords',
    ])
    expect(onCard([many], () => false)).toEqual([many])
    expect(
      onCard([few], () => {
        throw new Error('nobody needs to ask')
      }),
    ).toEqual([few])
  })
})
