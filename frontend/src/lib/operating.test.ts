import { describe, expect, it } from 'vitest'
import { metrics } from '~/test/fixtures'
import {
  constraintsText,
  objectivesText,
  operating,
  parseConstraints,
  parseObjectives,
  presets,
} from './operating'

describe('constraints in the address', () => {
  it('come back as they were', () => {
    const text =
      'epsilon<=4;worst_group_accuracy@sex>=0.8;accuracy@every:sex & race/validation>=0.7~sure;loss@age=<=30<=1~0.9'
    expect(constraintsText(parseConstraints(text))).toBe(text)
    expect(parseConstraints(text)[3]).toMatchObject({ subgroup: 'age=<=30', judge: 'share', share: 0.9 })
    expect(parseConstraints(text)[2]).toMatchObject({ groups: 'every', split: 'validation', judge: 'sure' })
  })

  it('drop what they cannot mean', () => {
    for (const odd of [
      'epsilon',
      'epsilon<4',
      'epsilon<=x',
      '<=4',
      'a<=1~2',
      'accuracy@worst:all>=1',
      'A B<=1',
    ])
      expect(parseConstraints(odd)).toEqual([])
    expect(operating({ c: 'x;epsilon<=4', o: 'a*0;loss*2', rule: 'best' })).toEqual({
      c: 'epsilon<=4',
      o: 'loss*2',
      rule: undefined,
    })
    expect(parseConstraints(Array(50).fill('epsilon<=4').join(';'))).toHaveLength(20)
  })

  it('have objectives with weights', () => {
    expect(objectivesText(parseObjectives('loss*2;loss_gap@sex'))).toBe('loss*2;loss_gap@sex')
    expect(objectivesText([])).toBeUndefined()
  })

  it('offer only what was measured', () => {
    const [first] = metrics
    if (!first) throw new Error('no metric')
    const known = [
      ...metrics,
      { ...first, name: 'worst_group_accuracy' },
      { ...first, name: 'lira_tpr_at_0_1pct_fpr' },
    ]
    const labels = (partitions: string[], attacks: string[]) =>
      presets(known, partitions, attacks).map((one) => one.label)
    expect(labels([], [])).toEqual(['ε ≤ 4'])
    expect(labels(['sex'], [])).toEqual(['ε ≤ 4', 'Worst group accuracy ≥ 0.80'])
    expect(labels([], ['lira'])).toEqual(['ε ≤ 4', 'LiRA: TPR at 0.1 % FPR ≤ 0.5 %'])
  })
})
