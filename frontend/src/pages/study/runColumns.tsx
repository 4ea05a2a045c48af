import { Checkbox, Text, UnstyledButton, VisuallyHidden } from '@mantine/core'
import { IconChevronDown, IconChevronRight } from '@tabler/icons-react'
import { Link } from '@tanstack/react-router'
import type { GroupCell, MetricInfo, Run } from '~/api'
import { AuditMark } from '~/components/AuditAlarm'
import type { Column } from '~/components/DataTable'
import { StatusBadge } from '~/components/StatusBadge'
import { Term } from '~/components/Term'
import { duration, integer, number, paramValue, plural } from '~/lib/format'
import { metricOf } from '~/lib/metrics'
import { paramTitle, sweptParams } from '~/lib/runs'
import type { GroupRow, Row } from './runRows'

interface Options {
  runs: readonly Run[]
  titles: ReadonlyMap<string, string>
  metrics: readonly string[]
  infos: readonly MetricInfo[]
  hidden: readonly string[]
  /** What is grouped by; empty for runs alone. */
  by: readonly string[]
  open: ReadonlySet<string>
  onOpen: (row: GroupRow) => void
  select: readonly number[]
  onTick: (settings: number[]) => void
}

const EPSILON = 'method.epsilon'

/** Columns of the run table: what tells runs apart, then what became of them. */
export function runColumns(options: Options): Column<Row>[] {
  const { runs, titles, metrics, infos, hidden, by } = options
  const title = (name: unknown) => titles.get(String(name)) ?? String(name)
  const shown = [
    ...(by.includes('method') ? [] : [method(title)]),
    epsilon,
    ...params(runs, by),
    seed,
    status,
    ...metrics.map((metric) => measured(metric, infos)),
    time,
    notes,
  ].filter((column) => !hidden.includes(column.key))
  return [ticks(options), ...(by.length ? [grouped(options, title)] : []), ...shown]
}

/** Columns that can be left out, as (key, name). */
export function choosable(runs: readonly Run[], by: readonly string[]): [string, string][] {
  const fixed: [string, string][] = [
    ['epsilon', 'ε'],
    ['seed', 'Seed'],
    ['status', 'Status'],
    ['time', 'Time'],
    ['notes', 'Notes'],
  ]
  return [
    ...params(runs, by).map((column): [string, string] => [column.key, paramTitle(column.key)]),
    ...fixed,
  ]
}

function ticks({ select, onTick }: Options): Column<Row> {
  const settings = (row: Row) => (row.kind === 'run' ? [row.run.setting_id] : row.group.setting_ids)
  return {
    key: 'tick',
    title: <VisuallyHidden>Select</VisuallyHidden>,
    label: 'select',
    cell: (row) => {
      const ids = settings(row)
      const on = ids.filter((id) => select.includes(id)).length
      return (
        <Checkbox
          size="xs"
          aria-label={
            row.kind === 'run'
              ? `Select the setting of run ${row.run.id}`
              : 'Select the settings of this group'
          }
          checked={on > 0 && on === ids.length}
          indeterminate={on > 0 && on < ids.length}
          onClick={(event) => event.stopPropagation()}
          onChange={() => onTick(ids)}
        />
      )
    },
  }
}

function grouped({ by, open, onOpen }: Options, title: (name: unknown) => string): Column<Row> {
  const text = (row: GroupRow) =>
    by
      .map((name) =>
        name === 'method'
          ? title(row.shared[name])
          : `${name === EPSILON ? 'ε' : paramTitle(name)} ${row.shared[name] === null ? 'none' : paramValue(row.shared[name])}`,
      )
      .join(', ')
  return {
    key: 'group',
    title: 'Group',
    sort: (row) => (row.kind === 'group' ? text(row) : row.run.seed),
    cell: (row) =>
      row.kind === 'group' ? (
        <UnstyledButton
          aria-expanded={open.has(row.key)}
          onClick={(event) => {
            event.stopPropagation()
            onOpen(row)
          }}
          style={{
            display: 'inline-flex',
            alignItems: 'center',
            gap: 6,
            fontSize: 'inherit',
            fontWeight: 500,
          }}
        >
          {open.has(row.key) ? (
            <IconChevronDown size={14} aria-hidden />
          ) : (
            <IconChevronRight size={14} aria-hidden />
          )}
          {text(row)}
        </UnstyledButton>
      ) : (
        <Link
          to="/runs/$id"
          params={{ id: row.run.id }}
          onClick={(event) => event.stopPropagation()}
          style={{ paddingLeft: 20 }}
        >
          {title(row.run.method)}
        </Link>
      ),
  }
}

const method = (title: (name: unknown) => string): Column<Row> => ({
  key: 'method',
  title: 'Method',
  sort: (row) => (row.kind === 'run' ? title(row.run.method) : null),
  cell: (row) =>
    row.kind === 'run' && (
      <Link to="/runs/$id" params={{ id: row.run.id }} onClick={(event) => event.stopPropagation()}>
        {title(row.run.method)}
      </Link>
    ),
})

const epsilon: Column<Row> = {
  key: 'epsilon',
  title: <Term name="epsilon">ε</Term>,
  label: 'epsilon',
  numeric: true,
  sort: (row) => {
    if (row.kind === 'run') return row.run.epsilon
    const shared = row.shared[EPSILON]
    return typeof shared === 'number' ? shared : null
  },
  cell: (row) => {
    if (row.kind === 'run') return number(row.run.epsilon)
    const shared = row.shared[EPSILON]
    return typeof shared === 'number' ? number(shared) : ''
  },
}

/** Parameters that differ between runs of one method, but for those that are grouped by. */
function params(runs: readonly Run[], by: readonly string[]): Column<Row>[] {
  return sweptParams(runs)
    .filter((key) => !by.includes(key))
    .map((key) => ({
      key,
      title: paramTitle(key),
      numeric: runs.some((run) => typeof run.params[key] === 'number'),
      sort: (row) => {
        const value = row.kind === 'run' ? row.run.params[key] : null
        return typeof value === 'number' || typeof value === 'string' ? value : null
      },
      cell: (row) => {
        if (row.kind === 'group') return ''
        return row.run.params[key] === undefined ? '–' : paramValue(row.run.params[key])
      },
    }))
}

const seed: Column<Row> = {
  key: 'seed',
  title: <Term name="seed">seed</Term>,
  label: 'seed',
  numeric: true,
  sort: (row) => (row.kind === 'run' ? row.run.seed : null),
  cell: (row) => (row.kind === 'run' ? row.run.seed : ''),
}

const status: Column<Row> = {
  key: 'status',
  title: 'Status',
  sort: (row) => (row.kind === 'run' ? row.run.status : row.group.runs),
  cell: (row) => (row.kind === 'run' ? <StatusBadge status={row.run.status} /> : <GroupStatus row={row} />),
}

function GroupStatus({ row: { group } }: { row: GroupRow }) {
  const done = group.succeeded + group.diverged
  const rest = [
    group.diverged && `${integer(group.diverged)} diverged`,
    group.failed && `${integer(group.failed)} failed`,
    done + group.failed < group.runs && `${integer(group.runs - done - group.failed)} to go`,
  ].filter(Boolean)
  return [plural(group.runs, 'run'), ...rest].join(', ')
}

function measured(metric: string, infos: readonly MetricInfo[]): Column<Row> {
  const info = metricOf(infos, metric)
  return {
    key: `metric.${metric}`,
    title: info?.title ?? metric,
    unit: info?.unit || undefined,
    numeric: true,
    sort: (row) => (row.kind === 'run' ? row.values[metric] : row.cells[metric]?.mean),
    cell: (row) => (row.kind === 'run' ? number(row.values[metric]) : <Mean cell={row.cells[metric]} />),
  }
}

/** A mean with its interval; that seeds cover different settings is marked. */
function Mean({ cell }: { cell: GroupCell | undefined }) {
  if (!cell || cell.mean === null) return '–'
  const half = cell.low === null ? null : cell.mean - cell.low
  const said = [
    `Mean over ${plural(cell.seeds, 'seed')}, ${plural(cell.runs, 'run')}`,
    half === null
      ? 'no interval below two seeds'
      : `95 % interval ${number(cell.low)} to ${number(cell.high)}`,
    cell.balanced ? '' : 'not every seed has every setting yet',
  ].filter(Boolean)
  return (
    <span title={`${said.join('; ')}.`}>
      {number(cell.mean)}
      {half !== null && (
        <Text span size="xs" c="dimmed">
          {' '}
          ± {number(half, 2)}
        </Text>
      )}
      {!cell.balanced && (
        <span>
          *<VisuallyHidden> incomplete</VisuallyHidden>
        </span>
      )}
    </span>
  )
}

const time: Column<Row> = {
  key: 'time',
  title: 'Time',
  numeric: true,
  sort: (row) => (row.kind === 'run' ? row.run.wall_seconds : null),
  cell: (row) => (row.kind === 'run' ? duration(row.run.wall_seconds) : ''),
}

const notes: Column<Row> = {
  key: 'notes',
  title: 'Notes',
  cell: (row) => row.kind === 'run' && <RunNotes run={row.run} />,
}

function RunNotes({ run }: { run: Run }) {
  const notes = [
    run.alarm && <AuditMark key="alarm" alarm={run.alarm} />,
    run.degenerate && (
      <Term key="degenerate" name="degenerate">
        degenerate
      </Term>
    ),
    run.reused && (
      <Term key="reused" name="reused">
        reused
      </Term>
    ),
    run.message && (
      <span key="message" title={run.message}>
        {run.message.length > 60 ? `${run.message.slice(0, 60)}…` : run.message}
      </span>
    ),
  ].filter(Boolean)
  return notes.flatMap((note, i) => (i ? [' · ', note] : [note]))
}
