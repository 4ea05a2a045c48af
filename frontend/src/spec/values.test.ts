import { describe, expect, it } from 'vitest'
import { epsilonSchema } from '~/test/fixtures'
import { fieldsOf } from './schema'
import { complaint, fromTags, fromText, seedsFromText, seedsToText, toTags } from './values'

const property = (schema: Record<string, unknown>) => {
  const [found] = fieldsOf({ properties: { p: schema } })
  if (!found) throw new Error('no field')
  return found
}
const [epsilon] = fieldsOf(epsilonSchema)
if (!epsilon) throw new Error('no epsilon')

describe('sweeps', () => {
  it('turn tags into nothing, a value, or a list, and back', () => {
    expect(fromTags(epsilon, [])).toBeUndefined()
    expect(fromTags(epsilon, ['2'])).toBe(2)
    expect(fromTags(epsilon, ['0.5', ' 1e1', '0.5'])).toEqual([0.5, 10])
    expect(toTags(epsilon, undefined)).toEqual([])
    expect(toTags(epsilon, 2)).toEqual(['2'])
    expect(toTags(epsilon, [0.5, 10])).toEqual(['0.5', '10'])
  })

  it('keep text that is not a number, so that nothing typed is lost', () => {
    expect(fromTags(epsilon, ['1', 'two'])).toEqual([1, 'two'])
    expect(complaint(epsilon, [1, 'two'])).toBe('Expected a number, above 0, at most 1,000; got two.')
  })

  it('of lists keep one list apart from several', () => {
    const hidden = property({ type: 'array', items: { type: 'integer' }, sweepable: true })
    expect(toTags(hidden, [64, 32])).toEqual(['64 32'])
    expect(toTags(hidden, [[64, 32], [128]])).toEqual(['64 32', '128'])
    expect(fromTags(hidden, ['64 32'])).toEqual([64, 32])
    expect(fromTags(hidden, ['64 32', '128'])).toEqual([[64, 32], [128]])
  })
})

describe('fromText', () => {
  it('reads a choice of numbers as a number', () => {
    const kernel = property({ type: 'integer', enum: [3, 5] })
    expect(fromText(kernel, '5')).toBe(5)
    expect(complaint(kernel, 5)).toBeUndefined()
    expect(fromText(property({ type: 'string', enum: ['3', '5'] }), '5')).toBe('5')
  })

  it('reads each kind, and an empty field as the default', () => {
    expect(fromText(epsilon, '  ')).toBeUndefined()
    expect(fromText(property({ type: 'boolean' }), 'yes')).toBe(true)
    expect(fromText(property({ type: 'array', items: { type: 'integer' } }), '64, 32')).toEqual([64, 32])
    expect(fromText(property({ type: 'object' }), '{"a": 1}')).toEqual({ a: 1 })
    expect(fromText(property({ type: 'object' }), '{"a"')).toBe('{"a"')
  })
})

describe('complaint', () => {
  it('is silent where all is well, and names expectation and value where not', () => {
    expect(complaint(epsilon, undefined)).toBeUndefined()
    expect(complaint(epsilon, [0.5, 8])).toBeUndefined()
    expect(complaint(epsilon, 0)).toContain('got 0')
    expect(complaint(property({ type: 'integer', minimum: 1 }), 1.5)).toContain('a whole number')
    expect(complaint(property({ enum: ['sgd', 'adam'] }), 'lion')).toBe('Expected sgd or adam; got lion.')
  })
})

describe('seeds', () => {
  it('are how many, or which', () => {
    expect(seedsFromText('10')).toBe(10)
    expect(seedsFromText('0, 1, 2')).toEqual([0, 1, 2])
    expect(seedsFromText('7,')).toEqual([7])
    for (const seeds of [10, [0, 1, 2], [7]]) expect(seedsFromText(seedsToText(seeds))).toEqual(seeds)
  })
})
