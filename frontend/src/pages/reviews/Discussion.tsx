import { Button, CloseButton, Group, SegmentedControl, Text, VisuallyHidden } from '@mantine/core'
import { getRouteApi } from '@tanstack/react-router'
import { type RefObject, useEffect, useMemo, useRef, useState } from 'react'
import type { Anchor, NewComment, ReviewDetail } from '~/api'
import { AnchorChip } from '~/components/AnchorChip'
import { CommentBox } from '~/components/CommentBox'
import { NameForm } from '~/components/NameForm'
import { Panel } from '~/components/Panel'
import { type ThreadActions, ThreadCard, Unsent } from '~/components/ThreadCard'
import { useComment, useEditComment, useSettle, useUnsent } from '~/data/reviews'
import { useDraftText } from '~/lib/draftText'
import { type AnchorNames, anchorKey, anchorTitle, announcement, lastComment } from '~/lib/reviews'
import { AnchorMenu } from './AnchorMenu'
import classes from './ReviewPage.module.css'

const route = getRouteApi('/reviews/$id')
const NONE: readonly NewComment[] = []

interface Props {
  review: ReviewDetail
  names: AnchorNames
  people: readonly string[]
  you: string | null
  /** What a new comment is about. */
  anchor: Anchor
  onAnchor: (anchor: Anchor) => void
  input: RefObject<HTMLTextAreaElement | null>
}

/** Threads, and the box that begins one. */
export function Discussion({ review, names, people, you, anchor, onAnchor, input }: Props) {
  const { threads: which = 'open' } = route.useSearch()
  const navigate = route.useNavigate()
  const [about, setAbout] = useState<Anchor | null>(null)
  const unsent = useUnsent(review.id)
  const comment = useComment(review.id, you)
  const edit = useEditComment(review.id, you)
  const settle = useSettle(review.id, you)
  const [text, setText] = useDraftText(`review ${review.id}`)

  const calls = useRef({ comment, edit, settle })
  calls.current = { comment, edit, settle }
  const actions = useMemo<ThreadActions>(
    () => ({
      answer: (thread, said, done) => {
        calls.current.comment.mutateAsync({ thread, text: said }).then(done, () => undefined)
      },
      edit: (id, said) => calls.current.edit.mutate({ comment: id, text: said }),
      settle: (thread, resolved) => calls.current.settle.mutate({ thread, resolved }),
      show: setAbout,
    }),
    [],
  )
  const send = () => {
    const said = text.trim()
    if (!said) return
    // Gone from the box at once; back, with its anchor, where the server refuses it.
    setText('')
    comment.mutateAsync({ text: said, anchor }).then(
      () => onAnchor({ kind: 'review' }),
      () => setText(said),
    )
  }
  const shown = review.threads.filter(
    (thread) =>
      (which === 'all' || thread.resolved === (which === 'resolved')) &&
      (!about || anchorKey(thread.anchor) === anchorKey(about)),
  )
  const open = review.threads.filter((thread) => !thread.resolved).length
  const fresh = unsent.filter((one) => one.thread === undefined || one.thread === null)
  return (
    <Panel title={<span id="discussion">Discussion</span>} aria-label="Discussion">
      <Announcer review={review} names={names} you={you} />
      {!review.verification.intact ? (
        <Text size="sm">The review was altered outside of it and takes no further entry.</Text>
      ) : you ? (
        <form
          onSubmit={(event) => {
            event.preventDefault()
            send()
          }}
        >
          <Group gap={6} mb={6}>
            <AnchorMenu review={review} names={names} anchor={anchor} onAnchor={onAnchor} />
            {anchor.kind !== undefined && anchor.kind !== 'review' && (
              <CloseButton
                size="sm"
                aria-label="Comment on the whole review instead"
                onClick={() => onAnchor({ kind: 'review' })}
              />
            )}
          </Group>
          <CommentBox
            label={`Comment on ${anchorTitle(anchor, names).replace(/^The/, 'the')}`}
            value={text}
            onChange={setText}
            people={people}
            onSubmit={send}
            description="@ mentions somebody. The comment stays in the history."
            inputRef={input}
          />
          <Button type="submit" size="xs" mt={8} disabled={!text.trim()}>
            Comment
          </Button>
        </form>
      ) : (
        <NameForm to="comment and decide" />
      )}
      <Group justify="space-between" mt="md" mb="xs" gap="xs">
        <SegmentedControl
          size="xs"
          aria-label="Which threads"
          data={[
            { value: 'open', label: `Open ${open}` },
            { value: 'resolved', label: `Resolved ${review.threads.length - open}` },
            { value: 'all', label: 'All' },
          ]}
          value={which}
          onChange={(next) =>
            navigate({
              search: (old) => ({ ...old, threads: next === 'open' ? undefined : (next as 'all') }),
              replace: true,
              resetScroll: false,
            })
          }
        />
        {about && (
          <Group gap={4}>
            <AnchorChip anchor={about} names={names} />
            <CloseButton size="sm" aria-label="Threads about everything" onClick={() => setAbout(null)} />
          </Group>
        )}
      </Group>
      <ul className={classes.threads} aria-label="Threads">
        {fresh.map((one) => (
          <li key={one.text}>
            <Unsent text={one.text} you={you} />
          </li>
        ))}
        {shown.map((thread) => {
          const answers = unsent.filter((one) => one.thread === thread.id)
          return (
            <ThreadCard
              key={thread.id}
              thread={thread}
              unsent={answers.length ? answers : NONE}
              names={names}
              people={people}
              you={review.verification.intact ? you : null}
              maySettle={Boolean(review.you?.role) || thread.comments[0]?.person === you}
              draftKey={`review ${review.id} ${thread.id}`}
              actions={actions}
            />
          )
        })}
      </ul>
      {shown.length === 0 && fresh.length === 0 && (
        <Text size="sm" c="dimmed">
          {review.threads.length === 0
            ? 'Nothing has been said yet. The speech bubbles beside settings, metrics and groups begin a comment about them.'
            : 'No such thread.'}
        </Text>
      )}
    </Panel>
  )
}

/** Reads new comments of others out. */
function Announcer({ review, names, you }: Pick<Props, 'review' | 'names' | 'you'>) {
  const seen = useRef(lastComment(review.threads))
  const [spoken, setSpoken] = useState('')
  useEffect(() => {
    const news = announcement(review.threads, seen.current, you, names)
    seen.current = Math.max(seen.current, lastComment(review.threads))
    if (news) setSpoken(news)
  }, [review.threads, names, you])
  return (
    <VisuallyHidden>
      <div role="status" aria-live="polite" aria-label="New comments">
        {spoken}
      </div>
    </VisuallyHidden>
  )
}
