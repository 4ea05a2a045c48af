import type { MetricInfo } from '~/api'

const KINDS: Record<string, string> = {
  privacy: 'Privacy',
  fairness: 'Fairness',
  utility: 'Utility',
  attack: 'Attacks',
  cost: 'Cost',
}

export interface MenuGroup {
  group: string
  items: { value: string; label: string }[]
}

/** Metrics by kind, in the catalogue's order; a chosen metric that it lacks keeps a place. */
export function metricMenu(metrics: readonly MetricInfo[], chosen: string, perSubgroup = false): MenuGroup[] {
  const fitting = metrics.filter(
    // A gap is between groups, so no one group has it.
    (metric) => !perSubgroup || (metric.per_subgroup !== false && metric.kind !== 'fairness'),
  )
  const groups = Object.entries(KINDS).map(([kind, group]) => ({
    group,
    items: fitting
      .filter((metric) => (metric.kind ?? 'utility') === kind)
      .map((metric) => ({ value: metric.name, label: metric.title })),
  }))
  if (!fitting.some((metric) => metric.name === chosen))
    groups.unshift({ group: 'Chosen', items: [{ value: chosen, label: chosen.replaceAll('_', ' ') }] })
  return groups.filter((group) => group.items.length > 0)
}

/** "smaller is better", "larger is better", or nothing. */
export function direction(metric: MetricInfo): string {
  if (metric.higher_is_better === true) return 'higher is better'
  if (metric.higher_is_better === false) return 'lower is better'
  return ''
}

export const metricOf = (metrics: readonly MetricInfo[], name: string) =>
  metrics.find((metric) => metric.name === name)
