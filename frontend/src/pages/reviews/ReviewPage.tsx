import { Anchor as Jump, Paper, Tabs, Text } from '@mantine/core'
import { IconAlertTriangle, IconSnowflake } from '@tabler/icons-react'
import { useQuery } from '@tanstack/react-query'
import { getRouteApi, Link } from '@tanstack/react-router'
import { useMemo, useRef, useState } from 'react'
import type { Anchor, ReviewDetail } from '~/api'
import { AuditAlarm } from '~/components/AuditAlarm'
import alarm from '~/components/AuditAlarm.module.css'
import { PageHeader } from '~/components/PageHeader'
import { PageSkeleton } from '~/components/PageSkeleton'
import { ProblemNotice } from '~/components/ProblemNotice'
import { ReportMenu } from '~/components/ReportMenu'
import { ReviewStatus } from '~/components/ReviewStatus'
import { usePerson } from '~/data/person'
import { catalogueQuery } from '~/data/queries'
import { comparisonQuery, peopleQuery, reviewQuery } from '~/data/reviews'
import { ago, integer, moment } from '~/lib/format'
import { namesOf } from '~/lib/reviews'
import type { ReviewView } from '~/lib/reviewViews'
import { type About, AboutProvider, openThreads } from './About'
import { ComparisonTab } from './ComparisonTab'
import { DecisionPanel } from './DecisionPanel'
import { Discussion } from './Discussion'
import { HistoryTab } from './HistoryTab'
import { MembersTab } from './MembersTab'
import { RatingsTab } from './RatingsTab'
import classes from './ReviewPage.module.css'

const route = getRouteApi('/reviews/$id')

/** One review: what was frozen, what is said of it, what is decided. */
export function ReviewPage() {
  const { id } = route.useParams()
  const you = usePerson()
  const query = useQuery(reviewQuery(id, you))
  if (!query.data)
    return query.error ? (
      <ProblemNotice error={query.error} onRetry={() => query.refetch()} />
    ) : (
      <PageSkeleton />
    )
  return <Review review={query.data} you={you} />
}

const NOBODY: readonly string[] = []

function Review({ review, you }: { review: ReviewDetail; you: string | null }) {
  const { tab = 'comparison' } = route.useSearch()
  const navigate = route.useNavigate()
  const [anchor, setAnchor] = useState<Anchor>({ kind: 'review' })
  const input = useRef<HTMLTextAreaElement>(null)
  const names = useNames(review)
  const { data: known = NOBODY } = useQuery(peopleQuery)
  const people = useMemo(
    () => [...new Set([...known, ...review.members.map((one) => one.name)])],
    [known, review.members],
  )
  const about = useMemo<About>(
    () => ({
      names,
      open: openThreads(review.threads),
      comment: (next) => {
        setAnchor(next)
        input.current?.focus()
        input.current?.scrollIntoView({ block: 'center' })
      },
    }),
    [names, review.threads],
  )
  const open = review.threads.filter((thread) => !thread.resolved).length
  return (
    <AboutProvider value={about}>
      <PageHeader
        title={review.title}
        // An approval that may have been written by somebody else is none.
        badge={<ReviewStatus status={review.verification.intact ? review.status : 'altered'} />}
        lead={
          <>
            By {review.author}, <span title={moment(review.created_at)}>{ago(review.created_at)}</span>.{' '}
            {review.missing}{' '}
            <Jump href="#discussion" size="sm" hiddenFrom="lg">
              Discussion ({open} open)
            </Jump>
          </>
        }
        actions={<ReportMenu review={review.id} />}
      />
      <Altered review={review} />
      <AuditAlarm alarm={review.alarms.join(' ')} />
      {(review.you?.asked.length ?? 0) > 0 && (
        <div className={classes.asked} style={{ marginBottom: 14 }}>
          <Text size="sm" fw={600}>
            Asked of you
          </Text>
          {review.you?.asked.map((one) => (
            <Text size="sm" key={one}>
              {one}
            </Text>
          ))}
        </div>
      )}
      {review.question && (
        <Text mb="sm" className={classes.question}>
          {review.question}
        </Text>
      )}
      <Frozen review={review} />
      <div className={classes.layout} style={{ marginTop: 16 }}>
        <Tabs
          value={tab}
          keepMounted={false}
          style={{ minWidth: 0 }}
          onChange={(next) =>
            navigate({
              search: (old) => ({
                ...old,
                tab: next === 'comparison' ? undefined : (next as ReviewView['tab']),
              }),
              resetScroll: false,
            })
          }
        >
          <Tabs.List mb="md">
            <Tabs.Tab value="comparison">Comparison</Tabs.Tab>
            <Tabs.Tab value="ratings">
              Ratings {review.tasks.length > 0 && `(${review.tasks.length})`}
            </Tabs.Tab>
            <Tabs.Tab value="history">History ({review.events})</Tabs.Tab>
            <Tabs.Tab value="members">Members ({review.members.length})</Tabs.Tab>
          </Tabs.List>
          <Tabs.Panel value="comparison">
            <ComparisonTab review={review} />
          </Tabs.Panel>
          <Tabs.Panel value="ratings">
            <RatingsTab review={review} people={people} you={you} />
          </Tabs.Panel>
          <Tabs.Panel value="history">
            <HistoryTab review={review} you={you} />
          </Tabs.Panel>
          <Tabs.Panel value="members">
            <MembersTab review={review} people={people} you={you} />
          </Tabs.Panel>
        </Tabs>
        <div className={classes.side}>
          <DecisionPanel review={review} you={you} />
          <Discussion
            review={review}
            names={names}
            people={people}
            you={you}
            anchor={anchor}
            onAnchor={setAnchor}
            input={input}
          />
        </div>
      </div>
    </AboutProvider>
  )
}

/** Titles of metrics and groups as the snapshot has them; the catalogue's until that is there. */
function useNames(review: ReviewDetail) {
  const { data: catalogue } = useQuery(catalogueQuery)
  const { data: comparison } = useQuery(
    comparisonQuery(review.id, { split: 'test', metric: [], subgroup: [] }),
  )
  const compared = review.compared
  return useMemo(() => {
    const metrics = new Map(catalogue?.metrics.map((one) => [one.name, one.title]))
    const subgroups = new Map<string, string>()
    for (const one of comparison?.available ?? []) metrics.set(one.metric, one.title)
    for (const row of comparison?.rows ?? []) subgroups.set(row.subgroup, row.subgroup_title)
    return namesOf({ compared }, { metrics, subgroups })
  }, [catalogue, comparison, compared])
}

/** Somebody wrote to the database past the review: says what was altered. */
function Altered({ review }: { review: ReviewDetail }) {
  if (review.verification.intact) return null
  return (
    <Paper className={alarm.notice} p="md" mb="md" role="alert">
      <div style={{ display: 'flex', gap: 10 }}>
        <IconAlertTriangle size={20} className={alarm.icon} aria-hidden />
        <div className={alarm.body}>
          <Text fw={600}>This review was altered outside of it</Text>
          {review.verification.problems.map((one) => (
            <Text size="sm" key={one}>
              {one}
            </Text>
          ))}
        </div>
      </div>
    </Paper>
  )
}

function Frozen({ review }: { review: ReviewDetail }) {
  const { newer } = review
  return (
    <div className={classes.frozen}>
      <Text size="sm">
        <IconSnowflake size={14} aria-hidden style={{ verticalAlign: -2 }} /> Numbers frozen on{' '}
        {moment(review.moment)}, from{' '}
        {review.jobs.map((job, i) => (
          <span key={job.id}>
            {i > 0 && ', '}
            {newer.deleted_jobs.some((one) => one.id === job.id) ? (
              job.name
            ) : (
              <Link to="/studies/$id" params={{ id: job.id }}>
                {job.name}
              </Link>
            )}
          </span>
        ))}
        .
      </Text>
      {newer.runs > 0 && (
        <Text size="sm" mt={2}>
          <strong>
            {newer.runs === 1 ? '1 newer run exists' : `${integer(newer.runs)} newer runs exist`}
          </strong>
          , {newer.of_settings === 0 ? 'none' : integer(newer.of_settings)} of them of the compared settings.{' '}
          <Link to="/explore" search={{ jobs: review.jobs.map((job) => job.id) } as never}>
            See the current results
          </Link>
        </Text>
      )}
      {newer.deleted_jobs.length > 0 && (
        <Text size="sm" mt={2}>
          {newer.sentence}
        </Text>
      )}
      {review.cut && (
        <Text size="xs" c="dimmed" mt={2}>
          {review.cut}
        </Text>
      )}
      {review.operating_point && (
        <Text size="sm" mt={2}>
          About the operating point that {review.operating_point.person} chose:{' '}
          {review.operating_point.reason}
        </Text>
      )}
    </div>
  )
}
