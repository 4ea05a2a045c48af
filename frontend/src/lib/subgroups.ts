import type { JobDetail, MetricInfo } from '~/api'
import { subgroupTitle, words } from './format'

/** Below this many rows a subgroup's figure is mostly chance; the figures draw it hollow. */
export const SMALL_GROUP = 20

export const isSmall = (n: number | null | undefined): boolean =>
  n !== null && n !== undefined && n < SMALL_GROUP

const INTERSECTION = ' & '

/** "sex & race": a way to part the rows. A gap is between its groups; "sex=Female" is one group. */
export const isPartition = (name: string): boolean => name !== 'all' && !name.includes('=')

/** The partitions that studies asked for, in their order. */
export function partitionsOf(jobs: readonly JobDetail[]): string[] {
  const names = jobs.flatMap((job) =>
    (job.spec.dataset.subgroups ?? []).map((one) => [one].flat().join(INTERSECTION)),
  )
  return [...new Set(names)]
}

/** Gaps and worst groups are figures of a partition; all else is of a group. */
export const isGap = (metric: MetricInfo | undefined): boolean => metric?.kind === 'fairness'

export interface SubgroupMenuData {
  label: string
  options: { value: string; label: string }[]
  chosen: string | undefined
}

/** What may be chosen for a metric, and what is chosen where the view says nothing that fits. */
export function subgroupMenu(
  metric: MetricInfo | undefined,
  wanted: string | undefined,
  jobs: readonly JobDetail[],
): SubgroupMenuData {
  const measured = jobs.flatMap((job) => job.subgroups ?? [])
  if (isGap(metric)) {
    const partitions = [...new Set([...partitionsOf(jobs), ...measured.filter(isPartition)])]
    return {
      label: 'Between',
      options: partitions.map((name) => ({ value: name, label: `groups of ${partitionTitle(name)}` })),
      chosen: wanted && partitions.includes(wanted) ? wanted : partitions[0],
    }
  }
  const groups = [...new Set(['all', ...measured.filter((name) => !isPartition(name))])]
  // Before the first run is measured nobody knows better than the address.
  if (wanted && !isPartition(wanted) && measured.length === 0) groups.push(wanted)
  return {
    label: 'Subgroup',
    options: groups.map((name) => ({ value: name, label: subgroupTitle(name) })),
    chosen: wanted && groups.includes(wanted) ? wanted : 'all',
  }
}

/** Without the groups that an intersection among them already implies: of women and Black women, Black women. */
export function finest(names: readonly string[]): string[] {
  const parts = names.map((name) => name.split(INTERSECTION))
  const within = (few: string[], many: string[]) =>
    few.length < many.length && few.every((part) => many.includes(part))
  return names.filter((_, i) => !parts.some((other) => within(parts[i] ?? [], other)))
}

/** "sex & age_band" as "sex × age band". */
export function partitionTitle(name: string): string {
  return name.split(INTERSECTION).map(words).join(' × ')
}

/** Any subgroup in words, partitions included. */
export function anySubgroupTitle(name: string): string {
  return isPartition(name) ? `between groups of ${partitionTitle(name)}` : subgroupTitle(name)
}
