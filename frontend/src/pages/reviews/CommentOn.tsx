import { Button } from '@mantine/core'
import { IconMessageCirclePlus } from '@tabler/icons-react'
import type { Anchor } from '~/api'
import { anchorKey, anchorTitle } from '~/lib/reviews'
import { useAbout } from './About'

/** Begins a comment about one thing; says how many open threads it has. */
export function CommentOn({ anchor }: { anchor: Anchor }) {
  const { names, open, comment } = useAbout()
  const count = open.get(anchorKey(anchor)) ?? 0
  const threads = count ? `, ${count} open ${count === 1 ? 'thread' : 'threads'}` : ''
  return (
    <Button
      size="compact-xs"
      variant="subtle"
      color={count ? undefined : 'gray'}
      aria-label={`Comment on ${anchorTitle(anchor, names)}${threads}`}
      title={`Comment on this${threads}`}
      onClick={() => comment(anchor)}
    >
      <IconMessageCirclePlus size={14} stroke={1.7} aria-hidden />
      {count > 0 && <span style={{ marginLeft: 3 }}>{count}</span>}
    </Button>
  )
}
