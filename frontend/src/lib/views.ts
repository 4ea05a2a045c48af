/** What each page keeps in its address. Unknown or odd values are dropped, never shown. */
import type { JobStatus } from '~/data/types'
import { budget } from './budgets'
import { type OperatingView, operating } from './operating'
import { flag, list, name, oneOf, text } from './search'

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
}

export const calculator = (raw: Raw): CalculatorView => ({
  n: name(raw.n),
  batch: name(raw.batch),
  epochs: name(raw.epochs),
  delta: name(raw.delta),
  epsilons: name(raw.epsilons),
  sigmas: name(raw.sigmas),
})

export interface StudiesView {
  status?: JobStatus
  text?: string
}

export const studies = (raw: Raw): StudiesView => ({
  status: oneOf(raw.status, STATUSES),
  text: text(raw.text)?.slice(0, 200),
})

export interface StudyView extends TradeoffView {
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
}

export const study = (raw: Raw): StudyView => ({
  ...tradeoff(raw),
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
})

export interface ExploreView extends TradeoffView, OperatingView {
  jobs?: string[]
  frontier?: boolean
}

export const explore = (raw: Raw): ExploreView => ({
  ...tradeoff(raw),
  ...operating(raw),
  jobs: list(raw.jobs),
  frontier: flag(raw.frontier),
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
