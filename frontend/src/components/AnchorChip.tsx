import { UnstyledButton } from '@mantine/core'
import {
  IconChartDots,
  IconClipboardText,
  IconPlayerTrackNext,
  IconPoint,
  IconRuler2,
  IconSelectAll,
  IconUsers,
} from '@tabler/icons-react'
import type { Anchor } from '~/api'
import { type AnchorNames, anchorTitle } from '~/lib/reviews'
import classes from './AnchorChip.module.css'

const ICONS = {
  review: IconClipboardText,
  setting: IconPoint,
  run: IconPlayerTrackNext,
  subgroup: IconUsers,
  metric: IconRuler2,
  chart: IconChartDots,
  selection: IconSelectAll,
}

interface Props {
  anchor: Anchor
  names: AnchorNames
  /** Shows what it is about. */
  onClick?: () => void
}

/** What a comment is about. */
export function AnchorChip({ anchor, names, onClick }: Props) {
  const Icon = ICONS[anchor.kind ?? 'review']
  const content = (
    <>
      <Icon size={14} stroke={1.8} aria-hidden />
      {anchorTitle(anchor, names)}
    </>
  )
  if (!onClick) return <span className={classes.chip}>{content}</span>
  return (
    <UnstyledButton className={classes.chip} onClick={onClick} title="Only threads about this">
      {content}
    </UnstyledButton>
  )
}

/** The letter of a compared setting. */
export function Letter({ children }: { children: string }) {
  return <span className={classes.letter}>{children}</span>
}
