import type { MetricInfo } from '~/api'
import type { TradeoffView } from './views'

const PREFERRED_X = ['epsilon']
const PREFERRED_Y = ['loss_gap', 'accuracy_gap', 'worst_group_accuracy', 'accuracy']

/** What the address asks for where it is on offer, else the first that is. Pure. */
export function among<T>(wanted: T | undefined, offered: readonly T[]): T | undefined {
  return wanted !== undefined && offered.includes(wanted) ? wanted : offered[0]
}

/** The metric that the address names where the catalogue has it, else the usual one. Pure. */
export function knownMetric(
  wanted: string | undefined,
  metrics: readonly MetricInfo[],
  usual: string,
): string {
  return wanted && metrics.some((metric) => metric.name === wanted) ? wanted : usual
}

function first(names: readonly string[], metrics: readonly MetricInfo[]): string {
  return names.find((name) => metrics.some((metric) => metric.name === name)) ?? names[0] ?? ''
}

/** `training.learning_rate`: what settings differ in can be an axis too. */
const isParameter = (name: string | undefined): name is string =>
  name !== undefined && /^(method|training|model|dataset)\.\w+$/.test(name)

/** Privacy across and fairness up, unless the view says otherwise. Pure. */
export function chooseAxes(view: TradeoffView, metrics: readonly MetricInfo[]) {
  const axis = (wanted: string | undefined, usual: readonly string[]) =>
    isParameter(wanted) ? wanted : knownMetric(wanted, metrics, first(usual, metrics))
  return {
    x: axis(view.x, PREFERRED_X),
    y: axis(view.y, PREFERRED_Y),
    split: view.split ?? ('test' as const),
  }
}
