import { Button, Group, Text } from '@mantine/core'
import { useQuery } from '@tanstack/react-query'
import { getRouteApi, Link } from '@tanstack/react-router'
import { NameForm } from '~/components/NameForm'
import { PageHeader } from '~/components/PageHeader'
import { PageSkeleton } from '~/components/PageSkeleton'
import { Panel } from '~/components/Panel'
import { ProblemNotice } from '~/components/ProblemNotice'
import { usePerson } from '~/data/person'
import { download, reviewQuery, taskQuery } from '~/data/reviews'
import { CloseTask } from './CloseTask'
import { RatingImport } from './RatingImport'
import { RatingScreen } from './RatingScreen'
import { TaskResultsView } from './TaskResultsView'

const route = getRouteApi('/reviews/$id/tasks/$task')

/** One rating task: its items one by one while it is open, its results once it is closed. */
export function TaskPage() {
  const { id, task: number } = route.useParams()
  const you = usePerson()
  const query = useQuery(taskQuery(id, Number(number), you))
  const { data: review } = useQuery(reviewQuery(id, you))
  const task = query.data
  if (!task)
    return query.error ? (
      <ProblemNotice error={query.error} onRetry={() => query.refetch()} />
    ) : (
      <PageSkeleton />
    )
  const mine = you !== null && task.raters.includes(you)
  const mayClose = !task.closed && you !== null && (task.person === you || review?.you?.role === 'author')
  return (
    <>
      <PageHeader
        title={task.title}
        lead={
          <>
            Blind rating in{' '}
            <Link
              to="/reviews/$id"
              params={{ id }}
              search={{ tab: 'ratings' }}
              style={{ overflowWrap: 'anywhere' }}
            >
              {review?.title ?? 'the review'}
            </Link>
            , {task.items} items, {task.closed ? 'closed' : 'open'}.
          </>
        }
        actions={
          <>
            <Button
              variant="default"
              onClick={() =>
                download(`/api/reviews/${id}/tasks/${task.id}/export`, `ratings-${id}-${task.id}.csv`, you)
              }
            >
              {task.closed ? 'Ratings as CSV' : 'Your ratings as CSV'}
            </Button>
            {mayClose && <CloseTask reviewId={id} task={task} you={you} />}
          </>
        }
      />
      {task.closed && <TaskResultsView task={task} />}
      {!task.closed && mine && (
        <>
          <RatingScreen key={`${task.id} ${you}`} reviewId={id} task={task} you={you} />
          <RatingImport reviewId={id} task={task} you={you} />
        </>
      )}
      {!task.closed && !mine && (
        <Panel title="You are not one of the raters">
          {you ? (
            <Text size="sm">
              {task.raters.join(', ')} {task.raters.length === 1 ? 'rates' : 'rate'} these items. What the
              items hide and what was answered is shown when the task is closed.
            </Text>
          ) : (
            <NameForm to="rate" />
          )}
          <Group mt="sm" gap="md">
            {task.raters.map((name) => (
              <Text size="sm" key={name}>
                {name}: {task.rated[name] ?? 0} of {task.items}
              </Text>
            ))}
          </Group>
        </Panel>
      )}
    </>
  )
}
