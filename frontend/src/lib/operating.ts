/** Constraints and objectives as they stand in the address: `c=epsilon<=4;accuracy@every:sex>=0.8~sure`. Pure. */
import type { Constraint, MetricInfo, Objective } from '~/api'

export interface OperatingView {
  /** Constraints, separated by semicolons. */
  c?: string
  /** Objectives in order; `*2` is a weight. */
  o?: string
  rule?: 'weighted'
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
      const [name = '', times] = one.trim().split('*')
      const about = subject(name)
      const weight = times === undefined ? 1 : finite(times)
      if (!about || about.groups === 'every' || weight === null || weight <= 0) return []
      return [{ ...about, groups: about.groups, weight }]
    })
    .slice(0, MOST.objectives)
}

export function objectivesText(objectives: readonly Objective[]): string | undefined {
  return (
    objectives.map((one) => subjectText(one) + ((one.weight ?? 1) === 1 ? '' : `*${one.weight}`)).join(';') ||
    undefined
  )
}

/** The part of an address that is about operating points, cleaned. */
export const operating = (raw: Record<string, unknown>): OperatingView => ({
  c: constraintsText(parseConstraints(typeof raw.c === 'string' ? raw.c.slice(0, 4000) : undefined)),
  o: objectivesText(parseObjectives(typeof raw.o === 'string' ? raw.o.slice(0, 4000) : undefined)),
  rule: raw.rule === 'weighted' ? 'weighted' : undefined,
})

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
