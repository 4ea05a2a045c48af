import { Button, Group, Kbd, Progress, Text } from '@mantine/core'
import { IconArrowBackUp, IconEyeOff } from '@tabler/icons-react'
import { useEffect, useRef, useState } from 'react'
import type { NewRating, Task } from '~/api'
import { Panel } from '~/components/Panel'
import { useRate } from '~/data/reviews'
import { answerOf, nextItem } from '~/lib/ratings'
import classes from './TaskPage.module.css'

interface Props {
  reviewId: string
  task: Task
  you: string | null
}

interface Given {
  place: number
  before: NewRating | null
}

/** One item at a time, answered with a key or a button; covered until uncovered where the task warns. */
export function RatingScreen({ reviewId, task, you }: Props) {
  const { content, scale } = task
  const [place, setPlace] = useState(() => nextItem(content))
  const [past, setPast] = useState<Given[]>([])
  const [uncovered, setUncovered] = useState(!task.warning)
  const rate = useRate(reviewId, task.id, you)
  const item = content[place]
  const done = content.length - task.unanswered

  const answer = (value: number | null) => {
    if (!item || !uncovered) return
    setPast((old) => [...old, { place, before: item.rating ?? null }])
    rate.mutate({ item: item.id, value })
    const after = content.map((one, i) => (i === place ? { ...one, rating: { item: one.id, value } } : one))
    setPlace(nextItem(after, place))
  }
  /** Back to the last answer; where it replaced another, that one stands again. */
  const undo = () => {
    const last = past.at(-1)
    if (!last) return
    setPast((old) => old.slice(0, -1))
    setPlace(last.place)
    if (last.before) rate.mutate(last.before)
  }
  const keys = useRef<(event: KeyboardEvent) => void>(() => undefined)
  keys.current = (event) => {
    const target = event.target as HTMLElement
    if (event.ctrlKey || event.metaKey || event.altKey || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName))
      return
    if (event.key === 'Backspace' || event.key.toLowerCase() === 'z') undo()
    else if (event.key === 'ArrowLeft') setPlace((old) => Math.max(0, old - 1))
    else if (event.key === 'ArrowRight') setPlace((old) => Math.min(content.length - 1, old + 1))
    else {
      const value = answerOf(event.key, scale)
      if (value === undefined) return
      answer(value)
    }
    event.preventDefault()
  }
  useEffect(() => {
    const listen = (event: KeyboardEvent) => keys.current(event)
    window.addEventListener('keydown', listen)
    return () => window.removeEventListener('keydown', listen)
  }, [])

  if (!item) return null
  return (
    <Panel aria-label="Rate">
      <Group justify="space-between" gap="xs" mb={6}>
        <Text size="sm" role="status" className="tabular">
          Item {place + 1} of {content.length}, {done} answered
        </Text>
        <Group gap="xs">
          <Button
            size="compact-sm"
            variant="subtle"
            color="gray"
            disabled={past.length === 0}
            leftSection={<IconArrowBackUp size={14} aria-hidden />}
            onClick={undo}
          >
            Undo
          </Button>
        </Group>
      </Group>
      <Progress value={(100 * done) / content.length} size="sm" mb="md" aria-label="Answered items" />
      {task.instructions && (
        <Text mb="sm" style={{ whiteSpace: 'pre-wrap', overflowWrap: 'anywhere' }}>
          {task.instructions}
        </Text>
      )}
      {uncovered ? (
        <section className={classes.item} aria-label={`Item ${place + 1}`} aria-live="polite">
          {item.content}
        </section>
      ) : (
        <div className={classes.covered}>
          <IconEyeOff size={26} stroke={1.4} aria-hidden />
          <Text fw={600} maw={520} style={{ overflowWrap: 'anywhere' }}>
            {task.warning}
          </Text>
          <Button variant="default" onClick={() => setUncovered(true)}>
            Show the texts
          </Button>
        </div>
      )}
      <div className={classes.answers} style={{ marginTop: 14 }}>
        {scale.points.map((point) => (
          <Button
            key={point.value}
            variant={item.rating?.value === point.value ? 'filled' : 'default'}
            aria-pressed={item.rating?.value === point.value}
            disabled={!uncovered}
            leftSection={<Kbd size="xs">{point.value}</Kbd>}
            onClick={() => answer(point.value)}
          >
            {point.label || point.value}
          </Button>
        ))}
        {scale.unsure !== false && (
          <Button
            variant={item.rating && item.rating.value === null ? 'filled' : 'default'}
            aria-pressed={Boolean(item.rating && item.rating.value === null)}
            disabled={!uncovered}
            leftSection={<Kbd size="xs">u</Kbd>}
            onClick={() => answer(null)}
          >
            unsure
          </Button>
        )}
      </div>
      <Group justify="space-between" mt="md" gap="xs">
        <Button
          size="compact-sm"
          variant="default"
          disabled={place === 0}
          onClick={() => setPlace(place - 1)}
        >
          Previous
        </Button>
        <Text size="xs" c="dimmed">
          Keys: the numbers{scale.unsure !== false && ', u'}, ← →, Backspace undoes
        </Text>
        <Button
          size="compact-sm"
          variant="default"
          disabled={place === content.length - 1}
          onClick={() => setPlace(place + 1)}
        >
          Next
        </Button>
      </Group>
      {task.unanswered === 0 && (
        <Text size="sm" mt="md" fw={600} role="status">
          All items are answered. You can still change answers until the task is closed.
        </Text>
      )}
    </Panel>
  )
}
