import { Button, Group, Text } from '@mantine/core'
import { Link } from '@tanstack/react-router'
import { useState } from 'react'
import type { ReviewDetail, TaskSummary } from '~/api'
import { Panel } from '~/components/Panel'
import { ago } from '~/lib/format'
import { NewTaskForm } from './NewTaskForm'
import classes from './ReviewPage.module.css'

interface Props {
  review: ReviewDetail
  people: readonly string[]
  you: string | null
}

/** Rating tasks of a review. */
export function RatingsTab({ review, people, you }: Props) {
  const [making, setMaking] = useState(false)
  const may = review.verification.intact && Boolean(review.you?.role)
  return (
    <Panel
      title="Blind ratings"
      aside={
        may &&
        !making && (
          <Button size="xs" variant="default" onClick={() => setMaking(true)}>
            New rating task
          </Button>
        )
      }
    >
      {making ? (
        <NewTaskForm review={review} people={people} you={you} onDone={() => setMaking(false)} />
      ) : review.tasks.length === 0 ? (
        <Text size="sm" c="dimmed">
          A rating task gives texts or predictions to people who do not see which method or scorer they come
          from. When it is closed it says how far the raters agree, and what they thought of each method.
          {!may && ' Members of the review can make one.'}
        </Text>
      ) : (
        <ul className={classes.threads}>
          {review.tasks.map((task) => (
            <TaskRow key={task.id} review={review} task={task} you={you} />
          ))}
        </ul>
      )}
    </Panel>
  )
}

function TaskRow({ review, task, you }: { review: ReviewDetail; task: TaskSummary; you: string | null }) {
  const mine = you !== null && task.raters.includes(you)
  const left = task.items - (task.rated[you ?? ''] ?? 0)
  return (
    <li>
      <Group justify="space-between" gap="xs">
        <div style={{ minWidth: 0, overflowWrap: 'anywhere' }}>
          <Text size="sm" fw={500}>
            {task.title}
          </Text>
          <Text size="xs" c="dimmed">
            {task.closed ? 'Closed' : 'Open'}, {task.items} items, by {task.person} {ago(task.created_at)}:{' '}
            {task.raters.map((name) => `${name} ${task.rated[name] ?? 0}`).join(', ')}
          </Text>
        </div>
        <Button
          size="xs"
          variant={mine && !task.closed && left > 0 ? 'filled' : 'default'}
          renderRoot={(props) => (
            <Link
              to="/reviews/$id/tasks/$task"
              params={{ id: review.id, task: String(task.id) }}
              {...props}
            />
          )}
        >
          {task.closed ? 'See the results' : mine && left > 0 ? `Rate ${left} items` : 'Open'}
        </Button>
      </Group>
    </li>
  )
}
