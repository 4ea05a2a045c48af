import { Button, Group, NativeSelect, Skeleton, Stack, Text, TextInput } from '@mantine/core'
import { useDebouncedCallback } from '@mantine/hooks'
import { IconPlus, IconSearch } from '@tabler/icons-react'
import { useInfiniteQuery } from '@tanstack/react-query'
import { getRouteApi, Link } from '@tanstack/react-router'
import type { ReviewSummary } from '~/api'
import { Empty } from '~/components/Empty'
import { PageHeader } from '~/components/PageHeader'
import { ProblemNotice } from '~/components/ProblemNotice'
import { ReviewStatus } from '~/components/ReviewStatus'
import { usePerson } from '~/data/person'
import { reviewsQuery } from '~/data/reviews'
import { ago, moment } from '~/lib/format'
import type { ReviewsView } from '~/lib/reviewViews'
import classes from './ReviewsPage.module.css'

const route = getRouteApi('/reviews')

/** All reviews: those that ask something of you first, then the newest. */
export function ReviewsPage() {
  const view = route.useSearch()
  const navigate = route.useNavigate()
  const you = usePerson()
  const query = useInfiniteQuery(reviewsQuery(view, you))
  const found = query.data?.pages.flatMap((page) => page.items) ?? []
  const filtered = Boolean(view.status || view.text)
  const empty = query.data !== undefined && found.length === 0
  const set = (part: ReviewsView) =>
    navigate({ search: (old) => ({ ...old, ...part }), replace: true, resetScroll: false })
  const search = useDebouncedCallback((text: string) => set({ text: text.trim() || undefined }), 250)
  return (
    <>
      <PageHeader
        title="Reviews"
        actions={
          <Button
            leftSection={<IconPlus size={15} aria-hidden />}
            renderRoot={(props) => <Link to="/reviews/new" search={{}} {...props} />}
          >
            New review
          </Button>
        }
      />
      <Stack gap="md">
        {!(empty && !filtered) && (
          <Group gap="sm">
            <TextInput
              aria-label="Search reviews"
              placeholder="Search by title"
              leftSection={<IconSearch size={15} aria-hidden />}
              defaultValue={view.text ?? ''}
              onChange={(event) => search(event.currentTarget.value)}
              style={{ flex: '1 1 220px', maxWidth: 360 }}
            />
            <NativeSelect
              aria-label="Status"
              value={view.status ?? ''}
              onChange={(event) =>
                set({ status: (event.currentTarget.value || undefined) as ReviewsView['status'] })
              }
              data={[
                { value: '', label: 'Any status' },
                { value: 'open', label: 'Open' },
                { value: 'changes_requested', label: 'Changes requested' },
                { value: 'approved', label: 'Approved' },
                { value: 'rejected', label: 'Rejected' },
              ]}
            />
          </Group>
        )}
        {query.error && !query.data && <ProblemNotice error={query.error} onRetry={() => query.refetch()} />}
        {query.isPending && <Skeleton height={240} aria-label="Loading the reviews" />}
        {empty && (filtered ? <NothingFound /> : <FirstReview />)}
        {found.length > 0 && (
          <ul className={classes.list}>
            {[...found]
              .sort((a, b) => Number((b.asked?.length ?? 0) > 0) - Number((a.asked?.length ?? 0) > 0))
              .map((one) => (
                <Row key={one.id} review={one} />
              ))}
          </ul>
        )}
        {query.hasNextPage && (
          <Button
            variant="default"
            loading={query.isFetchingNextPage}
            onClick={() => query.fetchNextPage()}
            mx="auto"
          >
            Show more
          </Button>
        )}
      </Stack>
    </>
  )
}

function Row({ review }: { review: ReviewSummary }) {
  return (
    <li className={classes.row}>
      <div className={classes.what}>
        <Link to="/reviews/$id" params={{ id: review.id }} className={classes.title}>
          {review.title}
        </Link>
        {review.asked?.map((one) => (
          <div key={one} className={classes.asked}>
            Asked of you: {one}
          </div>
        ))}
        <Text size="xs" c="dimmed" truncate="end">
          {review.author} · {review.settings} settings{review.question && ` · ${review.question}`}
        </Text>
      </div>
      <div>
        <ReviewStatus status={review.status} />
      </div>
      <Text size="xs" c="dimmed">
        {review.approvals} of {review.required_approvals} approvals
      </Text>
      <Text size="xs" c="dimmed" title={moment(review.created_at)}>
        {ago(review.created_at)}
      </Text>
    </li>
  )
}

function FirstReview() {
  return (
    <Empty
      title="Decide together, and be able to say why a year later"
      actions={
        <>
          <Button renderRoot={(props) => <Link to="/reviews/new" search={{}} {...props} />}>
            Start a review
          </Button>
          <Button variant="default" renderRoot={(props) => <Link to="/explore" {...props} />}>
            Choose settings in Explore
          </Button>
        </>
      }
    >
      <Text inherit>
        A review freezes the numbers of two to six settings. The people you name compare them, comment on a
        metric, a group or a run, and approve, ask for changes or reject, with a reason. Nothing that was said
        can be changed without showing.
      </Text>
    </Empty>
  )
}

function NothingFound() {
  return (
    <Empty
      title="No review fits these filters"
      actions={
        <Button variant="default" renderRoot={(props) => <Link to="/reviews" search={{}} {...props} />}>
          Clear the filters
        </Button>
      }
    />
  )
}
