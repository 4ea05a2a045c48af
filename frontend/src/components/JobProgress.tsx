import { Progress, Text } from '@mantine/core'
import type { Job } from '~/api'
import { isLive } from '~/data/queries'
import { doingNow, percent } from '~/lib/progress'

const COLOURS = {
  queued: 'gray',
  running: 'accent',
  succeeded: 'teal',
  failed: 'red',
  cancelled: 'gray',
} as const

/** A bar, and in words what happens now. */
export function JobProgress({ job, compact }: { job: Job; compact?: boolean }) {
  const value = percent(job)
  const text = doingNow(job)
  return (
    <div>
      {(compact || job.status !== 'succeeded') && (
        <Progress
          value={value}
          size={compact ? 4 : 6}
          color={COLOURS[job.status]}
          aria-label={`Progress of ${job.name}`}
          transitionDuration={200}
        />
      )}
      <Text
        size={compact ? 'xs' : 'sm'}
        c="dimmed"
        mt={compact ? 4 : 6}
        className="tabular"
        truncate={compact ? 'end' : undefined}
        title={compact ? text : undefined}
        aria-live={isLive(job.status) && !compact ? 'polite' : undefined}
      >
        {text}
      </Text>
    </div>
  )
}
