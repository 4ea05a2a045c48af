import { describe, expect, it } from 'vitest'
import { readBundle } from './bundle'

describe('a rerun bundle from a file', () => {
  it('leaves the measured numbers out and keeps everything else', () => {
    const text = JSON.stringify({
      format: 'x',
      spec: { name: 'A' },
      runs: [{ key: 'a' }],
      series: [{ values: [1] }],
    })
    expect(readBundle(text)).toEqual({ format: 'x', spec: { name: 'A' }, runs: [{ key: 'a' }], series: [] })
  })

  it.each(['', '{', 'null', '[]', '{"spec": 1, "runs": []}', '{"spec": {}}'])(
    'says why %j is none',
    (text) => {
      expect(readBundle(text)).toMatch(/^Expected/)
    },
  )
})
