/** The run table's rows: runs alone, or groups of them that can be opened. Pure. */
import type { GroupCell, Run, RunColumns, RunGroup, RunGroups } from '~/api'
import { type Order, sortRows } from '~/lib/sort'

export interface RunRow {
  kind: 'run'
  key: string
  run: Run
  values: Readonly<Record<string, number | null>>
}

export interface GroupRow {
  kind: 'group'
  key: string
  group: RunGroup
  /** What the group's runs share, by what they are grouped by. */
  shared: Readonly<Record<string, unknown>>
  cells: Readonly<Record<string, GroupCell>>
}

export type Row = RunRow | GroupRow

/** Each run with its numbers. */
export function runRows(runs: readonly Run[], columns: RunColumns | undefined): RunRow[] {
  const places = new Map(columns?.run_ids.map((id, place) => [id, place]))
  return runs.map((run) => {
    const place = places.get(run.id)
    const values: Record<string, number | null> = {}
    columns?.metrics.forEach((metric, m) => {
      values[metric] = place === undefined ? null : (columns.values[m]?.[place] ?? null)
    })
    return { kind: 'run', key: run.id, run, values }
  })
}

export function groupRows(groups: RunGroups | undefined): GroupRow[] {
  return (groups?.items ?? []).map((group) => ({
    kind: 'group',
    key: `group ${JSON.stringify(group.key)}`,
    group,
    shared: Object.fromEntries((groups?.by ?? []).map((name, place) => [name, group.key[place]])),
    cells: Object.fromEntries(
      (groups?.metrics ?? []).flatMap((metric, place) => {
        const cell = group.cells[place]
        return cell ? [[metric, cell]] : []
      }),
    ),
  }))
}

type By = (row: Row) => string | number | null | undefined

/**
 * Groups in order, each followed by its runs in order where it is open. A group none of whose runs is shown is left
 * out, so that a filter of runs is one of groups too.
 */
export function tableRows(
  runs: readonly RunRow[],
  groups: readonly GroupRow[] | null,
  open: ReadonlySet<string>,
  by: By | undefined,
  order: Order | undefined,
): readonly Row[] {
  const down = order?.down ?? false
  if (!groups) return sortRows(runs, by, down)
  const of = new Map<number, RunRow[]>()
  for (const row of runs) {
    const there = of.get(row.run.setting_id)
    if (there) there.push(row)
    else of.set(row.run.setting_id, [row])
  }
  const shown = groups.filter((row) => row.group.setting_ids.some((id) => of.has(id)))
  return sortRows<Row>(shown, by, down).flatMap((row) => {
    if (row.kind !== 'group' || !open.has(row.key)) return [row]
    const inside = row.group.setting_ids.flatMap((id) => of.get(id) ?? [])
    return [row, ...sortRows(inside, by, down)]
  })
}

/** The ticked settings after these were ticked, or unticked where all of them were. */
export function toggled(select: readonly number[], ids: readonly number[]): number[] {
  const all = ids.every((id) => select.includes(id))
  return all ? select.filter((id) => !ids.includes(id)) : [...new Set([...select, ...ids])]
}
