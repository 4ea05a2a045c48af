import type { MetricInfo } from '~/api'
import type { TradeoffView } from './views'

const PREFERRED_X = ['epsilon']
const PREFERRED_Y = ['loss_gap', 'accuracy_gap', 'worst_group_accuracy', 'accuracy']

function first(names: readonly string[], metrics: readonly MetricInfo[]): string {
  return names.find((name) => metrics.some((metric) => metric.name === name)) ?? names[0] ?? ''
}

/** Privacy across and fairness up, unless the view says otherwise. Pure. */
export function chooseAxes(view: TradeoffView, metrics: readonly MetricInfo[]) {
  return {
    x: view.x ?? first(PREFERRED_X, metrics),
    y: view.y ?? first(PREFERRED_Y, metrics),
    split: view.split ?? ('test' as const),
  }
}
