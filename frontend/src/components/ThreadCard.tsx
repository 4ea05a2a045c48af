import { Button, Group, Text } from '@mantine/core'
import { IconCheck, IconRotate } from '@tabler/icons-react'
import { memo, useState } from 'react'
import type { Anchor, NewComment, Thread } from '~/api'
import { useDraftText } from '~/lib/draftText'
import type { AnchorNames } from '~/lib/reviews'
import { AnchorChip } from './AnchorChip'
import { CommentBox } from './CommentBox'
import { CommentText, CommentView } from './CommentView'
import classes from './Thread.module.css'

export interface ThreadActions {
  answer: (thread: number, text: string, done: () => void) => void
  edit: (comment: number, text: string) => void
  settle: (thread: number, resolved: boolean) => void
  show: (anchor: Anchor) => void
}

interface Props {
  thread: Thread
  unsent: readonly NewComment[]
  names: AnchorNames
  people: readonly string[]
  you: string | null
  maySettle: boolean
  draftKey: string
  actions: ThreadActions
}

const sameUnsent = (a: readonly NewComment[], b: readonly NewComment[]) =>
  a.length === b.length && a.every((one, i) => one === b[i])

/** A comment with its answers. Drawn anew only when it changes: there may be hundreds. */
export const ThreadCard = memo(
  function ThreadCard({ thread, unsent, names, people, you, maySettle, draftKey, actions }: Props) {
    const [first, ...answers] = thread.comments
    if (!first) return null
    const edit = (person: string, id: number) =>
      person === you ? (text: string) => actions.edit(id, text) : undefined
    return (
      <li
        className={classes.thread}
        data-resolved={thread.resolved || undefined}
        id={`thread-${thread.id}`}
        aria-label={`Thread ${thread.id}`}
      >
        <Group gap={6}>
          <AnchorChip anchor={thread.anchor} names={names} onClick={() => actions.show(thread.anchor)} />
          {thread.resolved && (
            <Text size="xs" c="dimmed">
              <IconCheck size={12} aria-hidden /> resolved{thread.resolved_by && ` by ${thread.resolved_by}`}
            </Text>
          )}
        </Group>
        <CommentView comment={first} onEdit={edit(first.person, first.id)} people={people} />
        {(answers.length > 0 || unsent.length > 0) && (
          <div className={classes.answers}>
            {answers.map((one) => (
              <CommentView key={one.id} comment={one} onEdit={edit(one.person, one.id)} people={people} />
            ))}
            {unsent.map((one) => (
              <Unsent key={one.text} text={one.text} you={you} />
            ))}
          </div>
        )}
        {you && (
          <Answer
            thread={thread}
            people={people}
            draftKey={draftKey}
            maySettle={maySettle}
            actions={actions}
          />
        )}
      </li>
    )
  },
  (before, after) =>
    before.thread === after.thread &&
    before.names === after.names &&
    before.people === after.people &&
    before.you === after.you &&
    before.maySettle === after.maySettle &&
    before.actions === after.actions &&
    sameUnsent(before.unsent, after.unsent),
)

interface AnswerProps extends Pick<Props, 'thread' | 'people' | 'draftKey' | 'maySettle' | 'actions'> {}

function Answer({ thread, people, draftKey, maySettle, actions }: AnswerProps) {
  const [text, setText] = useDraftText(draftKey)
  const [open, setOpen] = useState(text !== '')
  const send = () => {
    if (!text.trim()) return
    setOpen(false)
    actions.answer(thread.id, text.trim(), () => setText(''))
  }
  return (
    <>
      {open && (
        <CommentBox
          label={`Answer in thread ${thread.id}`}
          hideLabel
          value={text}
          onChange={setText}
          people={people}
          onSubmit={send}
          inputRef={(node) => {
            if (node && !text) node.focus()
          }}
        />
      )}
      <Group gap="xs">
        {open ? (
          <>
            <Button size="compact-sm" disabled={!text.trim()} onClick={send}>
              Answer
            </Button>
            <Button size="compact-sm" variant="subtle" color="gray" onClick={() => setOpen(false)}>
              Not now
            </Button>
          </>
        ) : (
          <Button size="compact-sm" variant="default" onClick={() => setOpen(true)}>
            {text ? 'Continue your answer' : 'Answer'}
          </Button>
        )}
        {maySettle && (
          <Button
            size="compact-sm"
            variant="subtle"
            color="gray"
            leftSection={
              thread.resolved ? <IconRotate size={13} aria-hidden /> : <IconCheck size={13} aria-hidden />
            }
            onClick={() => actions.settle(thread.id, !thread.resolved)}
          >
            {thread.resolved ? 'Reopen' : 'Resolve'}
          </Button>
        )}
      </Group>
    </>
  )
}

/** A comment on its way to the server. */
export function Unsent({ text, you }: { text: string; you: string | null }) {
  return (
    <div className={classes.comment} aria-busy>
      <Text size="sm" className={classes.who}>
        {you}{' '}
        <Text span size="xs" c="dimmed" fw={400}>
          sending
        </Text>
      </Text>
      <Text size="sm" className={classes.text} data-unsent>
        <CommentText text={text} mentions={[]} />
      </Text>
    </div>
  )
}
