import { Stack } from '@mantine/core'
import { useQuery } from '@tanstack/react-query'
import { getRouteApi } from '@tanstack/react-router'
import { AuditAlarm } from '~/components/AuditAlarm'
import { JobProgress } from '~/components/JobProgress'
import { PageHeader } from '~/components/PageHeader'
import { PageSkeleton } from '~/components/PageSkeleton'
import { ProblemNotice } from '~/components/ProblemNotice'
import { RunDrawer } from '~/components/RunDrawer'
import { StatusBadge } from '~/components/StatusBadge'
import { useJobEvents } from '~/data/events'
import { isLive, jobQuery } from '~/data/queries'
import { ClippingSection } from './ClippingSection'
import { NoiseSection } from './NoiseSection'
import { OperatingSection } from './OperatingSection'
import { ReductionSection } from './ReductionSection'
import { ReproductionSection } from './ReproductionSection'
import { RocSection } from './RocSection'
import { RunsSection } from './RunsSection'
import { StudyActions } from './StudyActions'
import { StudyLead } from './StudyLead'
import { StudyNotes } from './StudyNotes'
import classes from './StudyPage.module.css'
import { SubgroupsSection } from './SubgroupsSection'
import { TradeoffSection } from './TradeoffSection'

const route = getRouteApi('/studies/$id')

/** One study: what it does now, what it found, and every run behind it. */
export function StudyPage() {
  const { id } = route.useParams()
  const { run } = route.useSearch()
  const navigate = route.useNavigate()
  const { data: job, error, refetch } = useQuery(jobQuery(id))
  useJobEvents(id, job !== undefined && isLive(job.status))
  const select = (next: string | undefined) =>
    navigate({ search: (old) => ({ ...old, run: next }), resetScroll: false })

  if (!job) return error ? <ProblemNotice error={error} onRetry={() => refetch()} /> : <PageSkeleton />
  return (
    <>
      <PageHeader
        title={job.name}
        badge={<StatusBadge status={job.status} />}
        lead={<StudyLead job={job} />}
        actions={<StudyActions job={job} />}
      />
      <AuditAlarm alarm={job.alarm} />
      <Stack gap="md">
        <JobProgress job={job} />
        {job.problem && <ProblemNotice problem={job.problem} />}
        {(isLive(job.status) || job.finished > 0) && (
          <>
            <TradeoffSection job={job} onSelectRun={select} />
            <StudyNotes job={job} />
            <ReproductionSection job={job} />
            <ReductionSection job={job} />
            <SubgroupsSection job={job} />
            <OperatingSection job={job} />
            <ClippingSection job={job} />
            <div className={classes.pair}>
              <RocSection job={job} />
              <NoiseSection job={job} />
            </div>
          </>
        )}
        <RunsSection job={job} onSelect={select} />
      </Stack>
      <RunDrawer id={run} jobId={job.id} onClose={() => select(undefined)} />
    </>
  )
}
