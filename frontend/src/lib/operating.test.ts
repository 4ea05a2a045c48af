import { describe, expect, it } from 'vitest'
import { metrics } from '~/test/fixtures'
import {
  constraintsText,
  numberText,
  objectivesText,
  operating,
  parseConstraints,
  parseNumber,
  parseObjectives,
  presets,
  scaleOf,
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

  it('have a side, a weight and a tie, and exceptions beside them', () => {
    const text = 'accuracy@worst:sex/validation^high*2~0.01;loss~0'
    expect(objectivesText(parseObjectives(text))).toBe(text)
    expect(parseObjectives(text)[0]).toMatchObject({
      higher: true,
      weight: 2,
      tolerance: 0.01,
      groups: 'worst',
    })
    for (const odd of ['loss~-1', 'loss*x', 'loss^up', 'loss*1e9']) expect(parseObjectives(odd)).toEqual([])
    expect(operating({ ill: '1', alarms: '3,x,1', across: 'loss' })).toMatchObject({
      ill: true,
      alarms: [1, 3],
      across: 'loss',
    })
    expect(operating({ alarms: 'x' }).alarms).toBeUndefined()
  })
})

describe('numbers as people type them', () => {
  it('may be per cent, with a comma, or powers of ten', () => {
    const read = (text: string) => parseNumber(text)
    expect(['0.5 %', '0,5%', '80 %', '1e-3', '-2', ' 4 '].map(read)).toEqual([
      0.005, 0.005, 0.8, 0.001, -2, 4,
    ])
    expect(['', '%', 'x', '1.2.3', 'Infinity'].map(read)).toEqual([null, null, null, null, null])
    for (const value of [0.005, 0.049, 0.8, 1, 0])
      for (const share of [true, false]) expect(parseNumber(numberText(value, share))).toBe(value)
    expect(numberText(0.005, true)).toBe('0.5 %')
  })

  it('lie on a scale that runs both ways', () => {
    for (const [low, high, log] of [
      [0.25, 4, true],
      [0, 4, true],
      [-1, 1, false],
    ] as const) {
      const scale = scaleOf(low, high, log)
      expect([scale.place(low), scale.place(high)]).toEqual([0, 1])
      for (const place of [0, 0.25, 0.5, 1]) expect(scale.place(scale.value(place))).toBeCloseTo(place, 2)
    }
    expect(scaleOf(0.25, 4, true).value(0.5)).toBe(1)
  })
})
