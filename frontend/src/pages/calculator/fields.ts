/** What the calculator is asked: text as typed, and the request that it means. All pure. */
import type { AccountingRequest, Problem, SpendingRequest } from '~/api'
import { DISTRIBUTIONS } from '~/lib/views'
import { problemsAt, sentence } from '~/spec/problems'

export const ACCOUNTANTS = ['rdp', 'prv', 'pld'] as const
export type Accountant = (typeof ACCOUNTANTS)[number]

/** Adult with its usual training. δ left empty follows the rows. */
export const DEFAULTS = {
  n: '27133',
  batch: '256',
  epochs: '10',
  delta: '',
  epsilons: '0.5, 1, 2, 4, 8',
  sigmas: '0.6, 0.8, 1, 1.5',
  at: '',
  tries: '',
  drawn: 'geometric',
}
export type Fields = typeof DEFAULTS
export type FieldName = keyof Fields
export type Complaints = Partial<Record<FieldName, string>>

export const NAMES = Object.keys(DEFAULTS) as FieldName[]

/** Where the server's names for fields differ from the address's. */
const SERVER: Record<FieldName, string> = {
  n: 'rows',
  batch: 'batch_size',
  epochs: 'epochs',
  delta: 'delta',
  epsilons: 'epsilons',
  sigmas: 'sigmas',
  at: 'sigma',
  tries: 'tries',
  drawn: 'tries.distribution',
}

export const split = (text: string) => text.split(/[\s,;]+/).filter(Boolean)

const whole = (text: string) => Number(text.trim().replace(/(?<=\d)[,_ ](?=\d{3}\b)/g, '') || Number.NaN)

/** The request, or what is wrong with each field that is no number. Limits are the server's to check. */
export function read(fields: Fields): { request: AccountingRequest | null; complaints: Complaints } {
  const complaints: Complaints = {}
  const integer = (name: FieldName) => {
    const value = whole(fields[name])
    if (!Number.isInteger(value) || value < 1)
      complaints[name] = 'Expected a whole number of at least 1, such as 256.'
    return value
  }
  const many = (name: FieldName) => {
    const values = split(fields[name]).map(Number)
    if (values.some((value) => !(value > 0 && Number.isFinite(value))))
      complaints[name] = 'Expected numbers above 0, separated by commas.'
    else if (values.length > 10) complaints[name] = 'Expected at most 10 numbers. Remove some.'
    return values
  }
  const delta = fields.delta.trim() ? Number(fields.delta) : null
  if (delta !== null && !(delta > 0 && delta < 1))
    complaints.delta = 'Expected a number between 0 and 1, such as 1e-5.'
  const request: AccountingRequest = {
    rows: integer('n'),
    batch_size: integer('batch'),
    epochs: integer('epochs'),
    delta,
    epsilons: many('epsilons'),
    sigmas: many('sigmas'),
  }
  if (fields.tries.trim()) {
    const mean = whole(fields.tries)
    if (!(mean >= 1 && Number.isFinite(mean)))
      complaints.tries = 'Expected a number of at least 1, such as 30, or nothing.'
    const distribution = DISTRIBUTIONS.find((one) => one === fields.drawn)
    request.tries = { mean, ...(distribution && { distribution }) }
  }
  return { request: Object.keys(complaints).length ? null : request, complaints }
}

/** The σ whose ε is drawn: the one chosen while it is among those asked for, else the first. */
export function drawnSigma(fields: Fields, request: AccountingRequest): number | undefined {
  const asked = request.sigmas ?? []
  return asked.find((sigma) => String(sigma) === fields.at) ?? asked[0]
}

/** What is drawn of it. */
export function spendingOf(request: AccountingRequest, sigma: number): SpendingRequest {
  const { rows, batch_size, epochs, delta } = request
  return { rows, batch_size, epochs, delta, sigma }
}

/** The server's problems, each below its field. */
export function complaintsOf(problems: readonly Problem[]): Complaints {
  const found: Complaints = {}
  for (const name of NAMES) {
    const lines = problemsAt(problems, SERVER[name]).map(sentence)
    if (lines[0]) found[name] = lines[0]
  }
  return found
}
