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

/** Privacy across and fairness up, unless the view says otherwise. Pure. */
export function chooseAxes(view: TradeoffView, metrics: readonly MetricInfo[]) {
  return {
    x: knownMetric(view.x, metrics, first(PREFERRED_X, metrics)),
    y: knownMetric(view.y, metrics, first(PREFERRED_Y, metrics)),
    split: view.split ?? ('test' as const),
  }
}
