import { Skeleton } from '@mantine/core'
import { useQuery } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import type { Worker } from '~/api'
import { CodeBlock } from '~/components/CodeBlock'
import { type Column, DataTable } from '~/components/DataTable'
import { Empty } from '~/components/Empty'
import { PageHeader } from '~/components/PageHeader'
import { ProblemNotice } from '~/components/ProblemNotice'
import { StateDot, type Tone } from '~/components/StateDot'
import { workersQuery } from '~/data/queries'
import { ago, moment } from '~/lib/format'
import { DeliveriesSection } from './DeliveriesSection'
import classes from './WorkersPage.module.css'

const TONES: Record<Worker['status'], Tone> = { online: 'good', gone: 'alarm', stopped: 'unknown' }

const COLUMNS: Column<Worker>[] = [
  {
    key: 'status',
    title: 'Status',
    cell: (worker) => <StateDot tone={TONES[worker.status]}>{worker.status}</StateDot>,
  },
  { key: 'host', title: 'Machine', cell: (worker) => worker.host },
  { key: 'device', title: 'Device', cell: (worker) => worker.device },
  { key: 'queues', title: 'Queues', cell: (worker) => worker.queues.join(', ') },
  {
    key: 'jobs',
    title: 'Works on',
    cell: (worker) =>
      worker.jobs?.length
        ? worker.jobs.map((id) => (
            <Link key={id} to="/studies/$id" params={{ id }} className={classes.job}>
              study {id.slice(0, 8)}
            </Link>
          ))
        : 'nothing',
  },
  {
    key: 'started',
    title: 'Started',
    cell: (worker) => <time title={moment(worker.started_at)}>{ago(worker.started_at)}</time>,
  },
  {
    key: 'heard',
    title: 'Last heard of',
    cell: (worker) => <time title={moment(worker.heartbeat_at)}>{ago(worker.heartbeat_at)}</time>,
  },
]

/** Who trains. */
export function WorkersPage() {
  const { data, error, isPending, refetch } = useQuery(workersQuery)
  const workers = data?.items ?? []
  return (
    <>
      <PageHeader
        title="Workers"
        lead="Processes that train, attack and measure. Each takes studies from the queue."
      />
      {error && !data && <ProblemNotice error={error} onRetry={() => refetch()} />}
      {isPending && <Skeleton height={140} role="status" aria-label="Loading the workers" />}
      {data && workers.length === 0 && (
        <Empty title="No worker has started yet">
          Studies wait in the queue until one does. On the machine that should train, run:
          <div style={{ marginTop: 12 }}>
            <CodeBlock code="equipoise worker" label="command that starts a worker" />
          </div>
        </Empty>
      )}
      {workers.length > 0 && (
        <DataTable label="Workers" columns={COLUMNS} rows={workers} rowKey={(worker) => worker.id} />
      )}
      <DeliveriesSection />
    </>
  )
}
