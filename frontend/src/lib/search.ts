/** Every view is a link: short, readable search parameters, validated when they are read. */

export type RawSearch = Record<string, string | undefined>

/** `?jobs=a,b&x=loss_gap`; empty and absent are the same. */
export function parseSearch(text: string): RawSearch {
  const found: RawSearch = {}
  for (const [key, value] of new URLSearchParams(text)) found[key] = value
  return found
}

export function stringifySearch(search: Record<string, unknown>): string {
  const parts = new URLSearchParams()
  for (const [key, value] of Object.entries(search)) {
    if (value === undefined || value === null || value === '') continue
    const text = Array.isArray(value)
      ? value.join(',')
      : value === true
        ? '1'
        : value === false
          ? '0'
          : String(value)
    if (text) parts.set(key, text)
  }
  const text = parts.toString().replaceAll('%2C', ',')
  return text ? `?${text}` : ''
}

export function text(value: unknown): string | undefined {
  return typeof value === 'string' && value.trim() ? value : undefined
}

export function oneOf<T extends string>(value: unknown, allowed: readonly T[]): T | undefined {
  return allowed.find((entry) => entry === value)
}

export function list(value: unknown): string[] | undefined {
  const entries = Array.isArray(value) ? value.map(String) : typeof value === 'string' ? value.split(',') : []
  const kept = [...new Set(entries.map((entry) => entry.trim()).filter(Boolean))]
  return kept.length ? kept : undefined
}

export function flag(value: unknown): boolean | undefined {
  if (value === true || value === '1' || value === 'true') return true
  if (value === false || value === '0' || value === 'false') return false
  return undefined
}

/** A metric, subgroup or id: whatever fits in a name, never markup. */
export function name(value: unknown): string | undefined {
  const found = text(value)
  return found && found.length <= 200 ? found : undefined
}

/** A number that can end an axis. */
export function finite(value: unknown): number | undefined {
  const found =
    typeof value === 'number' ? value : typeof value === 'string' && value.trim() ? Number(value) : Number.NaN
  return Number.isFinite(found) ? found : undefined
}

/** Numbers that an address keeps, at most: it has to stay one that can be sent. */
export const MOST_NUMBERS = 2_000

/** "3-5,9" as whole numbers, ascending, each once; what is none is dropped. */
export function numbers(value: unknown): number[] {
  const found = new Set<number>()
  for (const part of list(typeof value === 'number' ? String(value) : value) ?? []) {
    const [, first, last] = /^(\d{1,15})(?:-(\d{1,15}))?$/.exec(part) ?? []
    if (first === undefined) continue
    for (let one = Number(first); one <= Number(last ?? first) && found.size < MOST_NUMBERS; one += 1)
      found.add(one)
  }
  return [...found].sort((a, b) => a - b)
}

/** The inverse: neighbours are written as one stretch. Undefined for none. */
export function stretches(all: Iterable<number>): string | undefined {
  const parts: [number, number][] = []
  for (const one of [...new Set(all)].sort((a, b) => a - b).slice(0, MOST_NUMBERS)) {
    const last = parts.at(-1)
    if (last && one === last[1] + 1) last[1] = one
    else parts.push([one, one])
  }
  return parts.map(([low, high]) => (low === high ? `${low}` : `${low}-${high}`)).join(',') || undefined
}
