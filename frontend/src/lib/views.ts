/** What each page keeps in its address. Unknown or odd values are dropped, never shown. */
import type { JobStatus } from '~/data/types'
import { budget } from './budgets'
import { type OperatingView, operating } from './operating'
import { finite, flag, list, name, numbers, oneOf, stretches, text } from './search'

type Raw = Record<string, unknown>

const STATUSES: readonly JobStatus[] = ['queued', 'running', 'succeeded', 'failed', 'cancelled']
const SPLITS = ['test', 'validation', 'train'] as const

/** What a trade-off is drawn of; what is absent has a default that the page chooses. */
export interface TradeoffView {
  x?: string
  y?: string
  subgroup?: string
  split?: (typeof SPLITS)[number]
}

const tradeoff = (raw: Raw): TradeoffView => ({
  x: name(raw.x),
  y: name(raw.y),
  subgroup: name(raw.subgroup),
  split: oneOf(raw.split, SPLITS),
})

export interface NewStudyView {
  preset?: string
  from?: string
  as?: 'form' | 'json' | 'code'
}

export const newStudy = (raw: Raw): NewStudyView => ({
  preset: name(raw.preset),
  from: name(raw.from),
  as: oneOf(raw.as, ['form', 'json', 'code']),
})

/** The calculator's fields as they were typed; what is absent has the default. */
export interface CalculatorView {
  n?: string
  batch?: string
  epochs?: string
  delta?: string
  epsilons?: string
  sigmas?: string
  /** The σ whose ε is drawn along the training. */
  at?: string
  tries?: string
  drawn?: (typeof DISTRIBUTIONS)[number]
}

/** How a number of trainings may be drawn. */
export const DISTRIBUTIONS = ['geometric', 'logarithmic', 'poisson'] as const

export const calculator = (raw: Raw): CalculatorView => ({
  n: name(raw.n),
  batch: name(raw.batch),
  epochs: name(raw.epochs),
  delta: name(raw.delta),
  epsilons: name(raw.epsilons),
  sigmas: name(raw.sigmas),
  at: name(raw.at),
  tries: name(raw.tries),
  drawn: oneOf(raw.drawn, DISTRIBUTIONS),
})

/** The fields of the Gaussian task as they were typed; what is absent has the default. */
export interface GaussianView {
  n?: string
  d?: string
  k?: string
  sigma?: string
  eps?: string
  mu?: string
  as?: 'norm'
  moves?: 'l2'
  measure?: 'advantage' | 'tpr_1' | 'tpr_01' | 'gap'
}

export const gaussian = (raw: Raw): GaussianView => ({
  n: name(raw.n),
  d: name(raw.d),
  k: name(raw.k),
  sigma: name(raw.sigma),
  eps: name(raw.eps),
  mu: name(raw.mu),
  as: oneOf(raw.as, ['norm'] as const),
  moves: oneOf(raw.moves, ['l2'] as const),
  measure: oneOf(raw.measure, ['advantage', 'tpr_1', 'tpr_01', 'gap'] as const),
})

export const JOB_ORDERS = ['created', 'name', 'status', 'runs'] as const

export interface StudiesView {
  status?: JobStatus
  text?: string
  dataset?: string
  method?: string
  tag?: string
  preset?: string
  archived?: 'yes' | 'any'
  sort?: (typeof JOB_ORDERS)[number]
  /** Smallest, first or oldest on top. */
  up?: boolean
}

export const studies = (raw: Raw): StudiesView => ({
  status: oneOf(raw.status, STATUSES),
  text: text(raw.text)?.slice(0, 200),
  dataset: name(raw.dataset),
  method: name(raw.method),
  tag: name(raw.tag),
  preset: name(raw.preset),
  archived: oneOf(raw.archived, ['yes', 'any'] as const),
  sort: oneOf(raw.sort, JOB_ORDERS),
  up: flag(raw.up),
})

export interface StudyView extends TradeoffView, OperatingView {
  metric?: string
  attack?: string
  /** Budget at which subgroups and attacks are compared. */
  at?: number
  /** Group whose ROC curves are drawn. */
  group?: string
  /** Method that the reductions are relative to. */
  against?: string
  /** Metric whose reductions are shown. */
  compared?: string
  /** Attributes between whose groups the gaps of reductions and claims are. */
  between?: string
  /** Method whose clipping is shown, and the attributes whose groups it is shown for. */
  bends?: string
  groups?: string
  run?: string
  filter?: string
  sort?: string
  down?: boolean
  /** What the run table is grouped by: `method`, or parameters. */
  by?: string[]
  /** Metrics that the run table has columns of, and columns that it leaves out. */
  columns?: string[]
  hide?: string[]
  /** Settings whose runs are ticked. */
  select?: number[]
}

export const study = (raw: Raw): StudyView => ({
  ...tradeoff(raw),
  ...operating(raw),
  metric: name(raw.metric),
  attack: name(raw.attack),
  at: budget(raw.at),
  group: name(raw.group),
  against: name(raw.against),
  compared: name(raw.compared),
  between: name(raw.between),
  bends: name(raw.bends),
  groups: name(raw.groups),
  run: name(raw.run),
  filter: text(raw.filter)?.slice(0, 200),
  sort: name(raw.sort),
  down: flag(raw.down),
  by: list(raw.by)?.slice(0, 4),
  columns: list(raw.columns)?.slice(0, 12),
  hide: list(raw.hide),
  select: numbers(raw.select),
})

const PANELS = ['parallel', 'subgroups', 'intersections', 'audit', 'roc', 'history'] as const
export type ExplorePanel = (typeof PANELS)[number]

export interface ExploreView extends TradeoffView, OperatingView {
  jobs?: string[]
  frontier?: boolean
  /** Whether settings that predict one class for nearly everybody can be on the frontier. */
  degenerate?: boolean
  xSubgroup?: string
  color?: string
  size?: string
  facet?: string
  ranges?: 'free'
  xLog?: boolean
  yLog?: boolean
  xMin?: number
  xMax?: number
  yMin?: number
  yMax?: number
  /** `all`: every setting; a metric: the one that is best in it on the validation split. */
  choose?: string
  /** Settings that are lit up everywhere. */
  select?: string
  panel?: ExplorePanel
  metric?: string
  metrics?: string[]
  attack?: string
  /** Of which method the intersections are, and which quantity along training is drawn. */
  method?: string
  quantity?: string
  order?: 'gap'
  at?: number
  /** Results that finished later are left out, and the short link that says so. */
  asOf?: string
  link?: string
}

const moment = (value: unknown): string | undefined => {
  const found = text(value)
  return found && /^\d{4}-\d{2}-\d{2}T[\d:.]+(Z|[+-]\d{2}:\d{2})$/.test(found) ? found : undefined
}

export const explore = (raw: Raw): ExploreView => ({
  ...tradeoff(raw),
  ...operating(raw),
  jobs: list(raw.jobs),
  frontier: flag(raw.frontier),
  degenerate: flag(raw.degenerate),
  xSubgroup: name(raw.xSubgroup),
  color: name(raw.color),
  size: name(raw.size),
  facet: name(raw.facet),
  ranges: oneOf(raw.ranges, ['free']),
  xLog: flag(raw.xLog),
  yLog: flag(raw.yLog),
  xMin: finite(raw.xMin),
  xMax: finite(raw.xMax),
  yMin: finite(raw.yMin),
  yMax: finite(raw.yMax),
  choose: name(raw.choose),
  select: stretches(numbers(raw.select)),
  panel: oneOf(raw.panel, PANELS),
  metric: name(raw.metric),
  metrics: list(raw.metrics)?.slice(0, 12),
  attack: name(raw.attack),
  method: name(raw.method),
  quantity: name(raw.quantity),
  order: oneOf(raw.order, ['gap']),
  at: budget(raw.at),
  asOf: moment(raw.asOf),
  link: name(raw.link),
})

export interface RunView {
  metric?: string
  history?: string
  attack?: string
  /** Attributes whose groups the figure of clipping shows. */
  groups?: string
  /** Order of the subgroups. */
  sort?: string
  down?: boolean
}

export const run = (raw: Raw): RunView => ({
  metric: name(raw.metric),
  history: name(raw.history),
  attack: name(raw.attack),
  groups: name(raw.groups),
  sort: name(raw.sort),
  down: flag(raw.down),
})
