/** Constraints and objectives as they stand in the address: `c=epsilon<=4;accuracy@every:sex>=0.8~sure`. Pure. */
import type { Constraint, MetricInfo, Objective } from '~/api'
import { flag, name, numbers } from './search'

export interface OperatingView {
  /** Constraints, separated by semicolons. */
  c?: string
  /** Objectives in order; `*2` is a weight, `~0.01` what counts as a tie, `^low` that low is good. */
  o?: string
  rule?: 'weighted'
  /** Also settings that mostly diverged or predict one class, and those whose claimed ε an audit refutes. */
  ill?: boolean
  alarms?: number[]
  /** Horizontal axis of the figure. */
  across?: string
}

const MOST = { constraints: 20, objectives: 10 }
const METRIC = /^[a-z][a-z0-9_]{0,63}$/
const SPLITS = ['train', 'validation', 'test'] as const
type Split = (typeof SPLITS)[number]

interface Subject {
  metric: string
  subgroup: string
  groups: 'one' | 'worst' | 'every'
  split: Split
}

/** `accuracy@worst:sex/validation`. */
function subject(text: string): Subject | null {
  const split = SPLITS.find((one) => text.endsWith(`/${one}`))
  const rest = split ? text.slice(0, -split.length - 1) : text
  const at = rest.indexOf('@')
  const metric = (at < 0 ? rest : rest.slice(0, at)).trim()
  let subgroup = at < 0 ? 'all' : rest.slice(at + 1).trim()
  let groups: Subject['groups'] = 'one'
  for (const kind of ['worst', 'every'] as const)
    if (subgroup.startsWith(`${kind}:`)) {
      groups = kind
      subgroup = subgroup.slice(kind.length + 1)
    }
  if (!METRIC.test(metric) || !subgroup || subgroup.length > 300) return null
  if (groups !== 'one' && (subgroup === 'all' || subgroup.includes('='))) return null
  return { metric, subgroup, groups, split: split ?? 'test' }
}

function subjectText(one: {
  metric: string
  subgroup?: string
  groups?: Subject['groups']
  split?: Split
}): string {
  const kind = one.groups && one.groups !== 'one' ? `${one.groups}:` : ''
  const group = one.subgroup && one.subgroup !== 'all' ? `@${kind}${one.subgroup}` : ''
  return `${one.metric}${group}${one.split && one.split !== 'test' ? `/${one.split}` : ''}`
}

const finite = (text: string): number | null => {
  const value = text.trim() === '' ? Number.NaN : Number(text)
  return Number.isFinite(value) ? value : null
}

function parseConstraint(text: string): Constraint | null {
  const place = Math.max(text.lastIndexOf('<='), text.lastIndexOf('>='))
  if (place < 1) return null
  const about = subject(text.slice(0, place))
  const [number = '', how] = text.slice(place + 2).split('~')
  const threshold = finite(number)
  if (!about || threshold === null) return null
  const operator = text.startsWith('<=', place) ? '<=' : '>='
  const share = how !== undefined && how !== 'sure' ? finite(how) : null
  if (how !== undefined && how !== 'sure' && (share === null || share <= 0 || share > 1)) return null
  const judge = how === 'sure' ? 'sure' : share !== null ? 'share' : 'mean'
  return { ...about, operator, threshold, judge, share: share ?? 1 }
}

const OBJECTIVE = /^(.+?)(?:\^(high|low))?(?:\*([^*~^]+))?(?:~([^*~^]+))?$/

/** What is no constraint is dropped. */
export function parseConstraints(text: string | undefined): Constraint[] {
  return (text ?? '')
    .split(';')
    .flatMap((one) => parseConstraint(one.trim()) ?? [])
    .slice(0, MOST.constraints)
}

export function constraintsText(constraints: readonly Constraint[]): string | undefined {
  const texts = constraints.map((one) => {
    const how = one.judge === 'sure' ? '~sure' : one.judge === 'share' ? `~${one.share ?? 1}` : ''
    return `${subjectText(one)}${one.operator}${one.threshold}${how}`
  })
  return texts.join(';') || undefined
}

export function parseObjectives(text: string | undefined): Objective[] {
  return (text ?? '')
    .split(';')
    .flatMap((one) => {
      const found = OBJECTIVE.exec(one.trim())
      const about = subject(found?.[1] ?? '')
      const weight = found?.[3] === undefined ? 1 : finite(found[3])
      const tolerance = found?.[4] === undefined ? undefined : finite(found[4])
      if (!about || about.groups === 'every' || weight === null || weight <= 0 || weight > 1e6) return []
      if (tolerance === null || (tolerance !== undefined && tolerance < 0)) return []
      const side = found?.[2] && { higher: found[2] === 'high' }
      return [
        { ...about, groups: about.groups, weight, ...side, ...(tolerance !== undefined && { tolerance }) },
      ]
    })
    .slice(0, MOST.objectives)
}

export function objectivesText(objectives: readonly Objective[]): string | undefined {
  const texts = objectives.map((one) => {
    const side = typeof one.higher === 'boolean' ? (one.higher ? '^high' : '^low') : ''
    const weight = (one.weight ?? 1) === 1 ? '' : `*${one.weight}`
    return `${subjectText(one)}${side}${weight}${typeof one.tolerance === 'number' ? `~${one.tolerance}` : ''}`
  })
  return texts.join(';') || undefined
}

/** The part of an address that is about operating points, cleaned. */
export const operating = (raw: Record<string, unknown>): OperatingView => ({
  c: constraintsText(parseConstraints(typeof raw.c === 'string' ? raw.c.slice(0, 4000) : undefined)),
  o: objectivesText(parseObjectives(typeof raw.o === 'string' ? raw.o.slice(0, 4000) : undefined)),
  rule: raw.rule === 'weighted' ? 'weighted' : undefined,
  ill: flag(raw.ill),
  alarms: numbers(raw.alarms).length ? numbers(raw.alarms).slice(0, 1000) : undefined,
  across: name(raw.across),
})

/** The one example that an empty page offers: private enough, and fair to the worst group. */
export function example(partitions: readonly string[], metrics: readonly MetricInfo[]): OperatingView {
  const limits = presets(metrics, partitions, []).map((one) => one.constraint)
  const goals = metrics.some((one) => one.name === 'accuracy') ? 'accuracy' : undefined
  return { c: constraintsText(limits), o: goals }
}

/** A share of one, which people also say in per cent. */
export const isShare = (metric: MetricInfo | undefined): boolean => metric?.low === 0 && metric.high === 1

/** "0.5 %" is 0.005, "0,8" is 0.8; null where it is no number. */
export function parseNumber(text: string): number | null {
  const clean = text.trim().replace('−', '-')
  const percent = clean.endsWith('%')
  const digits = (percent ? clean.slice(0, -1) : clean).trim().replace(/^(-?\d*),(\d+)$/, '$1.$2')
  const value = finite(digits)
  return value === null ? null : percent ? Number((value / 100).toPrecision(12)) : value
}

/** How a threshold stands in its field: small shares in per cent, all else as the metric has it. */
export function numberText(value: number, share: boolean): string {
  return share && value !== 0 && Math.abs(value) < 0.05
    ? `${Number((100 * value).toPrecision(6))} %`
    : String(value)
}

/** The scale of a slider: places from 0 to 1 over what settings have, logarithmic for what spans decades. */
export function scaleOf(low: number, high: number, log: boolean) {
  const curved = log && low > 0 && high > low
  const span = high - low || Math.abs(high) || 1
  return {
    place: (value: number) => (curved ? Math.log(value / low) / Math.log(high / low) : (value - low) / span),
    value: (place: number) =>
      Number((curved ? low * (high / low) ** place : low + place * span).toPrecision(3)),
  }
}

export interface Preset {
  label: string
  constraint: Constraint
}

/** Usual constraints on what was measured; shares are of one, as metrics have them. */
export function presets(
  metrics: readonly MetricInfo[],
  partitions: readonly string[],
  attacks: readonly string[],
): Preset[] {
  const has = (name: string) => name === 'epsilon' || metrics.some((metric) => metric.name === name)
  const usual = { groups: 'one', split: 'test', judge: 'mean', share: 1 } as const
  const found: Preset[] = [
    {
      label: 'ε ≤ 4',
      constraint: { ...usual, metric: 'epsilon', subgroup: 'all', operator: '<=', threshold: 4 },
    },
  ]
  const [first] = partitions
  if (first && has('worst_group_accuracy'))
    found.push({
      label: 'Worst group accuracy ≥ 0.80',
      constraint: {
        ...usual,
        metric: 'worst_group_accuracy',
        subgroup: first,
        operator: '>=',
        threshold: 0.8,
      },
    })
  for (const [attack, title] of [
    ['lira', 'LiRA'],
    ['loss_threshold', 'Loss attack'],
  ])
    if (attacks.some((one) => one === attack) && has(`${attack}_tpr_at_0_1pct_fpr`))
      found.push({
        label: `${title}: TPR at 0.1 % FPR ≤ 0.5 %`,
        constraint: {
          ...usual,
          metric: `${attack}_tpr_at_0_1pct_fpr`,
          subgroup: 'all',
          operator: '<=',
          threshold: 0.005,
        },
      })
  return found
}
