import { describe, expect, it } from 'vitest'
import { epsilonSchema } from '~/test/fixtures'
import { fieldsOf, rangeText } from './schema'

const field = (property: Record<string, unknown>, defs = {}) => {
  const [found] = fieldsOf({ type: 'object', properties: { p: property }, $defs: defs })
  if (!found) throw new Error('no field')
  return found
}

describe('fieldsOf', () => {
  it('reads numbers with their bounds, and what may be swept or folded', () => {
    const [epsilon, delta] = fieldsOf(epsilonSchema)
    expect(epsilon).toMatchObject({
      key: 'epsilon',
      kind: 'number',
      above: 0,
      maximum: 1000,
      sweepable: true,
    })
    expect(delta).toMatchObject({ kind: 'number', nullable: true, advanced: true, sweepable: false })
  })

  it('reads choices, switches, lists and references', () => {
    expect(field({ enum: ['sgd', 'adam'], type: 'string' })).toMatchObject({
      kind: 'choice',
      choices: ['sgd', 'adam'],
    })
    expect(field({ const: 'only' })).toMatchObject({ kind: 'choice', choices: ['only'] })
    expect(field({ type: 'boolean' }).kind).toBe('flag')
    expect(field({ type: 'array', items: { type: 'integer' } })).toMatchObject({
      kind: 'list',
      items: 'number',
    })
    expect(field({ $ref: '#/$defs/Kind' }, { Kind: { enum: ['a', 'b'], title: 'Kind' } })).toMatchObject({
      kind: 'choice',
      title: 'Kind',
    })
  })

  it('falls back to JSON for what it cannot draw', () => {
    expect(field({ type: 'object' }).kind).toBe('json')
    expect(field({ anyOf: [{ type: 'number' }, { type: 'string' }] }).kind).toBe('json')
    expect(field({ type: 'array', items: { type: 'array', items: { type: 'number' } } }).kind).toBe('json')
    expect(fieldsOf({})).toEqual([])
  })
})

describe('rangeText', () => {
  it('says the range in words', () => {
    expect(rangeText(field({ type: 'number', exclusiveMinimum: 0, maximum: 100 }))).toBe(
      'above 0, at most 100',
    )
    expect(rangeText(field({ type: 'integer', minimum: 1, maximum: 1000 }))).toBe('1 to 1,000')
    expect(rangeText(field({ type: 'string' }))).toBe('')
  })
})
