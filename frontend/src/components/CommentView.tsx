import { Button, Group, Text } from '@mantine/core'
import { memo, useState } from 'react'
import type { Comment } from '~/api'
import { ago, moment } from '~/lib/format'
import { pieces } from '~/lib/reviews'
import { CommentBox } from './CommentBox'
import { Fold } from './Fold'
import classes from './Thread.module.css'

interface Props {
  comment: Comment
  /** Where it is yours. */
  onEdit?: (text: string) => void
  people: readonly string[]
}

/** Who said what, when, and what it said before. */
export const CommentView = memo(function CommentView({ comment, onEdit, people }: Props) {
  const [edited, setEdited] = useState<string | null>(null)
  const save = () => {
    const text = edited?.trim()
    if (text && text !== comment.text) onEdit?.(text)
    setEdited(null)
  }
  return (
    <article className={classes.comment} aria-label={`Comment by ${comment.person}`}>
      <Group gap={6} align="baseline">
        <Text size="sm" className={classes.who}>
          {comment.person}
        </Text>
        <Text
          size="xs"
          c="dimmed"
          component="time"
          dateTime={comment.created_at}
          title={moment(comment.created_at)}
        >
          {ago(comment.created_at)}
        </Text>
        {comment.edited_at && (
          <Text size="xs" c="dimmed" title={moment(comment.edited_at)}>
            edited
          </Text>
        )}
        {onEdit && edited === null && (
          <Button size="compact-xs" variant="subtle" color="gray" onClick={() => setEdited(comment.text)}>
            Edit
          </Button>
        )}
      </Group>
      {edited === null ? (
        <Text size="sm" className={classes.text}>
          <CommentText text={comment.text} mentions={comment.mentions} />
        </Text>
      ) : (
        <>
          <CommentBox
            label="Edit your comment"
            hideLabel
            value={edited}
            onChange={setEdited}
            people={people}
            onSubmit={save}
          />
          <Group gap="xs" mt={6}>
            <Button size="xs" disabled={!edited.trim()} onClick={save}>
              Save
            </Button>
            <Button size="xs" variant="default" onClick={() => setEdited(null)}>
              Leave as it was
            </Button>
          </Group>
        </>
      )}
      {(comment.earlier?.length ?? 0) > 0 && (
        <Fold label={comment.earlier?.length === 1 ? 'Earlier text' : 'Earlier texts'}>
          <ol className={classes.earlier}>
            {comment.earlier?.map((text, i) => (
              // biome-ignore lint/suspicious/noArrayIndexKey: versions have no identity but their order
              <li key={i}>{text}</li>
            ))}
          </ol>
        </Fold>
      )}
    </article>
  )
})

/** A comment's text with its mentions marked; all else is plain text. */
export function CommentText({ text, mentions }: { text: string; mentions: readonly string[] }) {
  return pieces(text, mentions).map((piece, i) => (
    // biome-ignore lint/suspicious/noArrayIndexKey: pieces of one text have no identity but their place
    <span key={i} className={piece.mention ? classes.mention : undefined}>
      {piece.text}
    </span>
  ))
}
