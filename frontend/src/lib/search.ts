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

/** Whole numbers, each once; what is none is dropped. */
export function numbers(value: unknown): number[] | undefined {
  const entries = typeof value === 'number' ? [value] : (list(value) ?? []).map(Number)
  const kept = [...new Set(entries.filter((entry) => Number.isSafeInteger(entry) && entry >= 0))]
  return kept.length ? kept : undefined
}
