import { Button, Code, Group, Skeleton, Text, TextInput } from '@mantine/core'
import { IconShieldCheck } from '@tabler/icons-react'
import { useInfiniteQuery, useMutation } from '@tanstack/react-query'
import { type FormEvent, useState } from 'react'
import type { ReviewDetail } from '~/api'
import * as api from '~/api'
import { Panel } from '~/components/Panel'
import { ProblemNotice } from '~/components/ProblemNotice'
import { unwrap } from '~/data/http'
import { download, reviewEventsQuery } from '~/data/reviews'
import { moment } from '~/lib/format'
import { said } from '~/lib/reviews'
import classes from './ReviewPage.module.css'

/** Everything that ever happened to the review, and whether it is still what was written. */
export function HistoryTab({ review, you }: { review: ReviewDetail; you: string | null }) {
  const query = useInfiniteQuery(reviewEventsQuery(review.id, review.events, you))
  const entries = query.data?.pages.flatMap((page) => page.items) ?? []
  return (
    <Panel
      title="History"
      aside={
        <Button
          size="xs"
          variant="default"
          onClick={() =>
            download(`/api/reviews/${review.id}/export`, `equipoise-review-${review.id}.json`, you)
          }
        >
          Download the whole review
        </Button>
      }
    >
      {review.verification.intact ? (
        <Text size="sm" className={classes.intact}>
          <IconShieldCheck size={17} aria-hidden /> {review.verification.sentence}
        </Text>
      ) : (
        <Text size="sm" c="red" fw={600}>
          {review.verification.problems.join(' ')}
        </Text>
      )}
      <Noted review={review} />
      {query.error && !query.data && <ProblemNotice error={query.error} onRetry={() => query.refetch()} />}
      {query.isPending && <Skeleton height={240} mt="md" aria-label="Loading the history" />}
      {entries.length > 0 && (
        <ol className={classes.entries} aria-label="Entries, oldest first">
          {entries.map((entry) => (
            <li key={entry.number} className={classes.entry}>
              <Text size="sm" c="dimmed" className="tabular">
                {entry.number}
              </Text>
              <div>
                <Text size="sm">
                  <strong>{entry.person}</strong> {said(entry)}
                </Text>
                <Text size="xs" c="dimmed">
                  {moment(entry.created_at)}{' '}
                  <span className={classes.hash} title={entry.hash}>
                    {entry.hash.slice(0, 12)}
                  </span>
                </Text>
              </div>
            </li>
          ))}
        </ol>
      )}
      {query.hasNextPage && (
        <Button
          mt="sm"
          size="xs"
          variant="default"
          loading={query.isFetchingNextPage}
          onClick={() => query.fetchNextPage()}
        >
          Show more
        </Button>
      )}
    </Panel>
  )
}

/** A hash that somebody kept elsewhere proves later that nothing was rewritten. */
function Noted({ review }: { review: ReviewDetail }) {
  const [typed, setTyped] = useState('')
  const check = useMutation({
    mutationFn: (head: string) =>
      unwrap(api.reviewsVerifyReview({ path: { review_id: review.id }, query: { head } })),
  })
  const submit = (event: FormEvent) => {
    event.preventDefault()
    check.mutate(typed.trim().toLowerCase())
  }
  return (
    <div style={{ margin: '10px 0 14px' }}>
      <Text size="xs" c="dimmed">
        Each entry contains the hash of the one before. Keep the last one somewhere else, such as in a letter
        or a ticket: whoever can write to the database could otherwise compute a new history.
      </Text>
      <Text size="xs" mt={4} style={{ overflowWrap: 'anywhere' }}>
        Last entry: <Code>{review.verification.head}</Code>
      </Text>
      <form onSubmit={submit}>
        <Group gap="xs" align="flex-end" mt={6}>
          <TextInput
            size="xs"
            label="A hash that you noted earlier"
            value={typed}
            onChange={(event) => setTyped(event.currentTarget.value)}
            style={{ flex: '1 1 220px' }}
          />
          <Button
            size="xs"
            variant="default"
            type="submit"
            disabled={!typed.trim()}
            loading={check.isPending}
          >
            Is it still there?
          </Button>
        </Group>
      </form>
      {check.error && <ProblemNotice error={check.error} />}
      {check.data && (
        <Text size="sm" mt={6} role="status" c={check.data.intact ? undefined : 'red'} fw={600}>
          {check.data.intact ? `Yes. ${check.data.sentence}` : check.data.sentence}
        </Text>
      )}
    </div>
  )
}
