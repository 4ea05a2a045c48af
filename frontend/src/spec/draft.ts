/** The study being written: a specification that may still be wrong. Pure functions on it. */
import type { Catalogue, JobSpec, Plugin, Preset } from '~/api'
import type { Params } from '~/data/types'

export type SubgroupChoice = string | string[]

export interface Choice {
  name: string
  params?: Params
}

export interface MethodDraft extends Choice {
  training?: Params
}

/** The same shape as a job specification, with values that are not checked yet. */
export interface Draft {
  name?: string
  description?: string
  dataset: Choice & { subgroups?: SubgroupChoice[] }
  model: Choice
  methods: MethodDraft[]
  training?: Params
  seeds?: unknown
  evaluation?: { attacks?: Choice[] }
  tags?: string[]
  priority?: number
  preset?: string | null
}

export const asDraft = (spec: JobSpec): Draft => structuredClone(spec) as unknown as Draft
export const asSpec = (draft: Draft): JobSpec => draft as unknown as JobSpec

/** A parameter set with one value changed; `undefined` returns it to its default. */
export function withParam(params: Params | undefined, key: string, value: unknown): Params {
  const next = { ...params }
  if (value === undefined) delete next[key]
  else next[key] = value
  return next
}

export function replaceAt<T>(items: readonly T[], index: number, item: T): T[] {
  return items.map((old, i) => (i === index ? item : old))
}

export const pluginsOf = (catalogue: Catalogue, kind: Plugin['kind']): Plugin[] =>
  catalogue.plugins.filter((plugin) => plugin.kind === kind)

export const sameSubgroup = (a: SubgroupChoice, b: SubgroupChoice): boolean =>
  [a].flat().join('\u0000') === [b].flat().join('\u0000')

export function toggleSubgroup(chosen: readonly SubgroupChoice[], one: SubgroupChoice): SubgroupChoice[] {
  return chosen.some((entry) => sameSubgroup(entry, one))
    ? chosen.filter((entry) => !sameSubgroup(entry, one))
    : [...chosen, one]
}

/** Attributes, their pairs, and all of them together where there are three. */
export function subgroupOptions(attributes: readonly string[]): { single: string[]; crossed: string[][] } {
  const crossed: string[][] = []
  attributes.forEach((first, i) => {
    for (const second of attributes.slice(i + 1)) crossed.push([first, second])
  })
  if (attributes.length === 3) crossed.push([...attributes])
  return { single: [...attributes], crossed }
}

/** A good study to begin from: the quickstart's, or the first of everything that is there. */
export function starter(catalogue: Catalogue, presets: readonly Preset[]): Draft {
  const preset = presets.find((one) => one.name === 'quickstart') ?? presets[0]
  if (preset) return { ...asDraft(preset.spec), name: 'Untitled study', description: '', preset: null }
  const datasets = pluginsOf(catalogue, 'dataset')
  const dataset = datasets.find((one) => one.dataset?.available !== false) ?? datasets[0]
  return {
    name: 'Untitled study',
    dataset: {
      name: dataset?.name ?? '',
      subgroups: dataset?.dataset?.attributes?.slice(0, 2).map((attribute) => attribute.name) ?? [],
    },
    model: { name: pluginsOf(catalogue, 'model')[0]?.name ?? '' },
    methods: pluginsOf(catalogue, 'method').map((method) => newMethod(method)),
    seeds: 3,
  }
}

/** A method as it is added: private ones sweep the usual budgets. */
export function newMethod(method: Plugin): MethodDraft {
  const properties = method.params_schema.properties as Record<string, unknown> | undefined
  return {
    name: method.name,
    params: properties && 'epsilon' in properties ? { epsilon: [0.5, 1, 2, 4] } : {},
  }
}

/** Whether parsed JSON has the shape that the form can show. */
export function looksLikeDraft(value: unknown): value is Draft {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false
  const { dataset, model, methods } = value as Record<string, unknown>
  const named = (part: unknown) =>
    typeof part === 'object' && part !== null && typeof (part as Choice).name === 'string'
  return named(dataset) && named(model) && Array.isArray(methods) && methods.every(named)
}

/** The attacks that a study makes where it names none. */
export function defaultAttacks(catalogue: Catalogue): Choice[] {
  return pluginsOf(catalogue, 'attack')
    .filter((attack) => attack.name === 'loss_threshold')
    .map((attack) => ({ name: attack.name }))
}

export function toggleChoice(chosen: readonly Choice[], name: string, on: boolean): Choice[] {
  const others = chosen.filter((one) => one.name !== name)
  return on ? [...others, { name }] : others
}
