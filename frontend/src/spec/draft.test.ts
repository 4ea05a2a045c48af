import { describe, expect, it } from 'vitest'
import { catalogue, preset } from '~/test/fixtures'
import {
  asDraft,
  looksLikeDraft,
  starter,
  subgroupOptions,
  toggleChoice,
  toggleSubgroup,
  withParam,
} from './draft'

describe('a draft', () => {
  it('starts from the quickstart, but is not it', () => {
    const draft = starter(catalogue, [preset])
    expect(draft.methods).toHaveLength(2)
    expect(draft).toMatchObject({ name: 'Untitled study', preset: null })
    expect(asDraft(preset.spec).preset).toBe('quickstart')
  })

  it('starts from whatever is available where there is no preset', () => {
    const draft = starter(catalogue, [])
    expect(draft.dataset).toEqual({ name: 'adult', subgroups: ['sex', 'race'] })
    expect(draft.methods).toEqual([
      { name: 'sgd', params: {} },
      { name: 'dp_sgd', params: { epsilon: [0.5, 1, 2, 4] } },
    ])
  })

  it('returns a parameter to its default by removing it', () => {
    expect(withParam({ a: 1, b: 2 }, 'a', undefined)).toEqual({ b: 2 })
    expect(withParam(undefined, 'a', [1, 2])).toEqual({ a: [1, 2] })
  })

  it('never changes the preset it came from', () => {
    const draft = asDraft(preset.spec)
    draft.methods.pop()
    expect(preset.spec.methods).toHaveLength(2)
  })
})

describe('subgroups', () => {
  it('are offered alone, in pairs, and all three together', () => {
    expect(subgroupOptions(['sex', 'race', 'age']).crossed).toEqual([
      ['sex', 'race'],
      ['sex', 'age'],
      ['race', 'age'],
      ['sex', 'race', 'age'],
    ])
    expect(subgroupOptions(['sex']).crossed).toEqual([])
  })

  it('are switched on and off, intersections apart from attributes', () => {
    const on = toggleSubgroup(['sex'], ['sex', 'race'])
    expect(on).toEqual(['sex', ['sex', 'race']])
    expect(toggleSubgroup(on, ['sex', 'race'])).toEqual(['sex'])
    expect(toggleSubgroup(on, 'sex')).toEqual([['sex', 'race']])
  })
})

it('attacks keep their parameters when another is added', () => {
  const chosen = [{ name: 'lira', params: { shadows: 8 } }]
  expect(toggleChoice(chosen, 'loss_threshold', true)).toEqual([...chosen, { name: 'loss_threshold' }])
  expect(toggleChoice(chosen, 'lira', false)).toEqual([])
})

it('only what the form can show passes for a draft', () => {
  expect(looksLikeDraft(preset.spec)).toBe(true)
  for (const bad of [null, [], 'x', {}, { dataset: {}, model: { name: 'mlp' }, methods: [] }])
    expect(looksLikeDraft(bad)).toBe(false)
})
