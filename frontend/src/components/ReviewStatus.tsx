import {
  IconAlertTriangle,
  IconCircleCheck,
  IconCircleDashed,
  IconCircleX,
  IconMessageExclamation,
} from '@tabler/icons-react'
import type { ReviewSummary } from '~/api'
import classes from './StatusBadge.module.css'

const LOOKS = {
  open: { icon: IconCircleDashed, word: 'open', look: 'running-still' },
  changes_requested: { icon: IconMessageExclamation, word: 'changes requested', look: 'diverged' },
  approved: { icon: IconCircleCheck, word: 'approved', look: 'succeeded' },
  rejected: { icon: IconCircleX, word: 'rejected', look: 'failed' },
  altered: { icon: IconAlertTriangle, word: 'altered', look: 'failed' },
} as const

/** Where a review stands, as word, shape and colour. */
export function ReviewStatus({ status }: { status: ReviewSummary['status'] | 'altered' }) {
  const { icon: Icon, word, look } = LOOKS[status]
  return (
    <span className={classes.badge} data-status={look}>
      <Icon size={14} stroke={2} aria-hidden />
      {word}
    </span>
  )
}
