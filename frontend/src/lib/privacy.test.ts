import { describe, expect, it } from 'vitest'
import { ofGroup, ofRuns } from './privacy'

describe('what a guarantee becomes', () => {
  it('of several rows is the guarantee applied row after row', () => {
    const one = { epsilon: 0.7, delta: 1e-6 }
    // δ(1) = δ, δ(k + 1) = δ + e^ε δ(k).
    let delta = 0
    for (let rows = 1; rows <= 6; rows++) {
      delta = one.delta + Math.exp(one.epsilon) * delta
      expect(ofGroup(one, rows).delta).toBeCloseTo(delta, 12)
      expect(ofGroup(one, rows).epsilon).toBeCloseTo(0.7 * rows, 12)
    }
    expect(ofGroup({ epsilon: 0, delta: 1e-6 }, 3)).toEqual({ epsilon: 0, delta: 3e-6 })
  })

  it('of several runs adds up', () => {
    expect(ofRuns({ epsilon: 2, delta: 1e-5 }, 10)).toEqual({ epsilon: 20, delta: 1e-4 })
  })
})
