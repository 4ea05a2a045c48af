/** Between what a person types and what a specification holds. Pure. */
import type { Field } from './schema'
import { rangeText } from './schema'

/** One value as text, in the form in which it can be typed again. */
export function toText(value: unknown): string {
  if (value === null || value === undefined) return ''
  if (typeof value === 'string') return value
  if (Array.isArray(value)) return value.map(toText).join(' ')
  return typeof value === 'object' ? JSON.stringify(value) : String(value)
}

const NUMBER = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i

function numberOrText(text: string): number | string {
  const trimmed = text.trim()
  return NUMBER.test(trimmed) ? Number(trimmed) : trimmed
}

/** What the text means for this field. Text that does not fit is kept, so that nothing typed is lost. */
export function fromText(field: Field, text: string): unknown {
  const trimmed = text.trim()
  if (trimmed === '') return undefined
  switch (field.kind) {
    case 'number':
    case 'integer':
      return numberOrText(trimmed)
    case 'flag':
      return /^(true|yes|1)$/i.test(trimmed) ? true : /^(false|no|0)$/i.test(trimmed) ? false : trimmed
    case 'list':
      return splitList(trimmed).map((part) => (field.items === 'text' ? part : numberOrText(part)))
    case 'choice':
      return field.items === 'text' ? trimmed : numberOrText(trimmed)
    case 'json':
      try {
        return JSON.parse(trimmed)
      } catch {
        return trimmed
      }
    default:
      return trimmed
  }
}

/** Commas, semicolons or blanks separate entries. */
export function splitList(text: string): string[] {
  return text.split(/[\s,;]+/).filter(Boolean)
}

const isSweep = (field: Field, value: unknown): value is unknown[] =>
  Array.isArray(value) && (field.kind !== 'list' || value.some(Array.isArray))

/** The entries of a swept parameter as tags: a lone value is one tag, an absent one none. */
export function toTags(field: Field, value: unknown): string[] {
  if (value === undefined || value === null) return []
  return isSweep(field, value) ? value.map(toText) : [toText(value)]
}

/** Tags as a value: none means the default, one a value, several a sweep. Repeated entries are dropped. */
export function fromTags(field: Field, tags: string[]): unknown {
  const values = [...new Set(tags.map((tag) => tag.trim()).filter(Boolean))].map((tag) =>
    fromText(field, tag),
  )
  if (values.length === 0) return undefined
  return values.length === 1 ? values[0] : values
}

/** Why the value cannot be, in words, before the server says so; undefined where it can. */
export function complaint(field: Field, value: unknown): string | undefined {
  if (value === undefined || value === null) return undefined
  const entries = field.sweepable && isSweep(field, value) ? value : [value]
  for (const entry of entries) {
    const found = complaintOfOne(field, entry)
    if (found) return found
  }
  return undefined
}

function complaintOfOne(field: Field, value: unknown): string | undefined {
  if (field.kind === 'number' || field.kind === 'integer') {
    const range = rangeText(field)
    const wanted = `Expected ${field.kind === 'integer' ? 'a whole number' : 'a number'}${range ? `, ${range}` : ''}; got ${toText(value)}.`
    if (typeof value !== 'number') return wanted
    if (field.kind === 'integer' && !Number.isInteger(value)) return wanted
    if (field.above !== undefined && value <= field.above) return wanted
    if (field.below !== undefined && value >= field.below) return wanted
    if (field.minimum !== undefined && value < field.minimum) return wanted
    if (field.maximum !== undefined && value > field.maximum) return wanted
  }
  if (field.kind === 'choice' && !field.choices.includes(String(value)))
    return `Expected ${field.choices.join(' or ')}; got ${toText(value)}.`
  if (field.kind === 'json' && typeof value === 'string') return 'Expected JSON, such as [64, 32].'
  return undefined
}

/** "10" is how many seeds; "0, 1, 2" or "7," is which. */
export function seedsFromText(text: string): unknown {
  const trimmed = text.trim()
  if (!trimmed) return undefined
  return trimmed.includes(',') ? splitList(trimmed).map(numberOrText) : numberOrText(trimmed)
}

export function seedsToText(seeds: unknown): string {
  if (!Array.isArray(seeds)) return toText(seeds)
  return seeds.length === 1 ? `${seeds[0]},` : seeds.join(', ')
}
