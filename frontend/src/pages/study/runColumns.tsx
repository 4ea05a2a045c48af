import { Link } from '@tanstack/react-router'
import type { Run } from '~/api'
import { AuditMark } from '~/components/AuditAlarm'
import type { Column } from '~/components/DataTable'
import { StatusBadge } from '~/components/StatusBadge'
import { Term } from '~/components/Term'
import { duration, number, paramValue } from '~/lib/format'
import { paramTitle, sweptParams } from '~/lib/runs'

/** Columns of the run table: what tells runs apart, then what became of them. */
export function runColumns(runs: readonly Run[], titles: ReadonlyMap<string, string>): Column<Run>[] {
  const swept = sweptParams(runs).map(
    (key): Column<Run> => ({
      key,
      title: paramTitle(key),
      numeric: runs.some((run) => typeof run.params[key] === 'number'),
      sort: (run) => {
        const value = run.params[key]
        return typeof value === 'number' || typeof value === 'string' ? value : null
      },
      cell: (run) => (run.params[key] === undefined ? '–' : paramValue(run.params[key])),
    }),
  )
  const title = (run: Run) => titles.get(run.method) ?? run.method
  return [
    {
      key: 'method',
      title: 'Method',
      sort: title,
      cell: (run) => (
        <Link to="/runs/$id" params={{ id: run.id }} onClick={(event) => event.stopPropagation()}>
          {title(run)}
        </Link>
      ),
    },
    {
      key: 'epsilon',
      title: <Term name="epsilon">ε</Term>,
      label: 'epsilon',
      numeric: true,
      sort: (run) => run.epsilon,
      cell: (run) => number(run.epsilon),
    },
    ...swept,
    {
      key: 'seed',
      title: <Term name="seed">seed</Term>,
      label: 'seed',
      numeric: true,
      sort: (run) => run.seed,
      cell: (run) => run.seed,
    },
    {
      key: 'status',
      title: 'Status',
      sort: (run) => run.status,
      cell: (run) => <StatusBadge status={run.status} />,
    },
    {
      key: 'time',
      title: 'Time',
      numeric: true,
      sort: (run) => run.wall_seconds,
      cell: (run) => duration(run.wall_seconds),
    },
    { key: 'notes', title: 'Notes', cell: (run) => <RunNotes run={run} /> },
  ]
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
