import { Button, Stack, Text } from '@mantine/core'
import { useQuery } from '@tanstack/react-query'
import { getRouteApi, Link } from '@tanstack/react-router'
import { Fragment } from 'react'
import type { RunDetail } from '~/api'
import { AuditAlarm } from '~/components/AuditAlarm'
import { MeasurementTable } from '~/components/MeasurementTable'
import { PageHeader } from '~/components/PageHeader'
import { PageSkeleton } from '~/components/PageSkeleton'
import { Panel } from '~/components/Panel'
import { PrivacyBlock } from '~/components/PrivacyBlock'
import { ProblemNotice } from '~/components/ProblemNotice'
import { ReportMenu } from '~/components/ReportMenu'
import { RunConfiguration } from '~/components/RunConfiguration'
import { StatusBadge } from '~/components/StatusBadge'
import { Term } from '~/components/Term'
import { useRunTitle } from '~/components/useRunTitle'
import { runQuery } from '~/data/queries'
import { duration, moment } from '~/lib/format'
import { ExposedSection } from './ExposedSection'
import { HistorySection } from './HistorySection'
import { RunClippingSection } from './RunClippingSection'
import classes from './RunPage.module.css'
import { RunRocSection } from './RunRocSection'
import { RunSubgroups } from './RunSubgroups'

const route = getRouteApi('/runs/$id')

/** One training whole: what it was, how it went, what it gave, what it leaks. */
export function RunPage() {
  const { id } = route.useParams()
  const { data: run, error, refetch } = useQuery(runQuery(id))
  const title = useRunTitle(run)
  if (!run) return error ? <ProblemNotice error={error} onRetry={() => refetch()} /> : <PageSkeleton />
  return (
    <>
      <PageHeader
        title={title}
        badge={<StatusBadge status={run.status} />}
        lead={<Lead run={run} />}
        actions={run.jobs.slice(0, 1).map((job) => (
          <Fragment key={job}>
            {run.finished_at && <ReportMenu jobs={[job]} settings={[run.setting_id]} />}
            <Button
              variant="default"
              renderRoot={(props) => <Link to="/studies/$id" params={{ id: job }} {...props} />}
            >
              Its study
            </Button>
          </Fragment>
        ))}
      />
      <AuditAlarm alarm={run.alarm} />
      <div className={classes.columns}>
        <Stack gap="md" className={classes.main}>
          {run.message && (
            <Panel title={run.status === 'diverged' ? 'What happened' : 'Message'}>
              <Text size="sm">{run.message}</Text>
            </Panel>
          )}
          <HistorySection run={run} />
          <RunClippingSection run={run} />
          <Panel title="Everybody, test split">
            <MeasurementTable measurements={run.measurements} />
          </Panel>
          <Panel title="Gaps between groups">
            <MeasurementTable measurements={run.measurements} only="gaps" />
          </Panel>
          <RunSubgroups run={run} />
          <RunRocSection run={run} />
          <ExposedSection run={run} />
        </Stack>
        <Stack gap="md">
          <Panel title="Privacy">
            <PrivacyBlock run={run} />
          </Panel>
          <Panel title="Configuration">
            <RunConfiguration run={run} />
          </Panel>
        </Stack>
      </div>
    </>
  )
}

function Lead({ run }: { run: RunDetail }) {
  return (
    <>
      {run.finished_at ? `Finished ${moment(run.finished_at)}` : 'Not finished'}
      {run.wall_seconds !== null && ` · ${duration(run.wall_seconds)}`}
      {run.engine && ` · engine ${run.engine}`}
      {run.degenerate && (
        <>
          {' · '}
          <Term name="degenerate">degenerate</Term>
        </>
      )}
    </>
  )
}
