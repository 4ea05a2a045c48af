/** What the Gaussian task is asked: text as typed, places on sliders, and the request that they mean. All pure. */
import type { GaussianRequest, Problem } from '~/api'
import type { GaussianView } from '~/lib/views'
import { problemsAt, sentence } from '~/spec/problems'

export const NUMBERS = ['n', 'd', 'k', 'sigma', 'eps', 'mu'] as const
export type NumberName = (typeof NUMBERS)[number]

/** Both regimes are in sight: with fewer rows the robust estimator leaks less, with more it leaks more. */
export const DEFAULTS = {
  n: '200',
  d: '100',
  k: '50',
  sigma: '1',
  eps: '0.24',
  mu: '0.3',
  as: 'coordinate' as 'coordinate' | 'norm',
  moves: 'linf' as 'linf' | 'l2',
  measure: 'auc' as NonNullable<GaussianRequest['measure']>,
}
export type Fields = typeof DEFAULTS
export type FieldName = keyof Fields
export type Complaints = Partial<Record<NumberName, string>>
const NAMES = Object.keys(DEFAULTS) as FieldName[]

const WHOLE: readonly NumberName[] = ['n', 'd', 'k']

/** Every field, those that the address lacks with their defaults. */
export const filled = (view: GaussianView): Fields =>
  Object.fromEntries(NAMES.map((name) => [name, view[name] ?? DEFAULTS[name]])) as Fields

/** The fields that differ from the defaults; an empty one is no part of an address. */
export const part = (fields: Fields): GaussianView =>
  Object.fromEntries(
    NAMES.filter((name) => fields[name].trim() && fields[name] !== DEFAULTS[name]).map((name) => [
      name,
      fields[name],
    ]),
  ) as GaussianView

/** Where the server's names for fields differ from the address's. */
const SERVER: Record<NumberName, keyof GaussianRequest> = {
  n: 'rows',
  d: 'dimensions',
  k: 'informative',
  sigma: 'sigma',
  eps: 'epsilon',
  mu: 'signal',
}

/** The number that a text means, not a number if none. */
export const parse = (text: string) =>
  Number(text.trim().replace(/(?<=\d)[, _](?=\d{3}\b)/g, '') || Number.NaN)

/** The request, or what is wrong with each field that is no number. Limits are the server's to check. */
export function read(fields: Fields): { request: GaussianRequest | null; complaints: Complaints } {
  const complaints: Complaints = {}
  const value = (name: NumberName, whole: boolean) => {
    const found = parse(fields[name])
    if (whole && !Number.isInteger(found)) complaints[name] = 'Expected a whole number, such as 100.'
    else if (!Number.isFinite(found)) complaints[name] = 'Expected a number, such as 0.3.'
    return found
  }
  const request: GaussianRequest = {
    rows: value('n', true),
    dimensions: value('d', true),
    informative: value('k', true),
    sigma: value('sigma', false),
    epsilon: value('eps', false),
    signal: value('mu', false),
    signal_as: fields.as,
    perturbation: fields.moves,
    measure: fields.measure,
  }
  return { request: Object.keys(complaints).length ? null : request, complaints }
}

/** The server's problems, each below its field. */
export function complaintsOf(problems: readonly Problem[]): Complaints {
  const found: Complaints = {}
  for (const name of NUMBERS) {
    const [line] = problemsAt(problems, SERVER[name]).map(sentence)
    if (line) found[name] = line
  }
  return found
}

/** A slider's way from its place, 0 to 1, to a number and back. */
export interface Scale {
  value: (place: number) => number
  place: (value: number) => number
}

const clamp = (place: number) => Math.min(1, Math.max(0, Number.isFinite(place) ? place : 0))
const digits = (value: number, count: number) => Number(value.toPrecision(count))

const logarithmic = (low: number, high: number, whole: boolean): Scale => ({
  value: (place) => {
    const found = digits(low * (high / low) ** place, 3)
    return whole ? Math.round(found) : found
  },
  place: (value) => clamp(Math.log(value / low) / Math.log(high / low)),
})

/** Fine near 0, where ε and μ are told apart by hundredths. */
const cubic = (high: number): Scale => ({
  value: (place) => digits(high * place ** 3, 3),
  place: (value) => clamp(Math.cbrt(value / high)),
})

export function scaleOf(name: NumberName, fields: Fields): Scale {
  if (name === 'n') return logarithmic(2, 10_000, true)
  if (name === 'd') return logarithmic(1, 1000, true)
  if (name === 'sigma') return logarithmic(0.1, 10, false)
  if (name !== 'k') return cubic(10)
  const d = Math.max(1, parse(fields.d) || 1)
  return { value: (place) => Math.round(d * place), place: (value) => clamp(value / d) }
}

/** The fields after a slider was moved; fewer coordinates than are informative take those along. */
export function slid(fields: Fields, name: NumberName, place: number): Fields {
  const scale = scaleOf(name, fields)
  const before = parse(fields[name])
  const way = Math.sign(place - scale.place(before))
  let value = scale.value(place)
  // A step of the slider that is less than a whole number would otherwise lead back to where it was.
  if (value === before && WHOLE.includes(name)) value = before + way
  const next = { ...fields, [name]: String(value) }
  return name === 'd' && parse(next.k) > parse(next.d) ? { ...next, k: next.d } : next
}
