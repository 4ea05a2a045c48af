import {
  IconAlertTriangle,
  IconCircleCheck,
  IconCircleDashed,
  IconCircleX,
  IconClockHour4,
  IconLoader2,
} from '@tabler/icons-react'
import type { Run } from '~/api'
import classes from './StatusBadge.module.css'

type Status = Run['status']

const ICONS = {
  queued: IconClockHour4,
  running: IconLoader2,
  succeeded: IconCircleCheck,
  diverged: IconAlertTriangle,
  failed: IconCircleX,
  cancelled: IconCircleDashed,
}

/** A status as word, shape and colour. */
export function StatusBadge({ status }: { status: Status }) {
  const Icon = ICONS[status]
  return (
    <span className={classes.badge} data-status={status}>
      <Icon size={14} stroke={2} aria-hidden />
      {status}
    </span>
  )
}
