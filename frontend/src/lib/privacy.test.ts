import { describe, expect, it } from 'vitest'
import type { MeasurementOut } from '~/api'
import { auditsOf } from './audits'
import { ofGroup } from './privacy'

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
})

describe('audits', () => {
  it('are found by what they leave, each with its own figures', () => {
    const one = (metric: string, value: number | null, subgroup = 'all') =>
      ({ metric, value, subgroup }) as MeasurementOut
    const measurements = [
      one('one_run_audit_p_at_claim', 0.25),
      one('one_run_audit_epsilon', 0.5),
      one('one_run_audit_correct', 22),
      one('one_run_audit_guesses', 50),
      one('many_run_audit_p_at_claim', 1),
      one('other_p_at_claim', 1, 'sex=Female'),
      one('loss', 0.3),
    ]
    expect(auditsOf({ measurements })).toEqual([
      { audit: 'one_run_audit', bound: 0.5, p: 0.25, correct: 22, guesses: 50 },
      { audit: 'many_run_audit', bound: null, p: 1, correct: null, guesses: null },
    ])
  })
})
