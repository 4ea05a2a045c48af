import { Paper, Text } from '@mantine/core'
import type { JobDetail } from '~/api'
import { Term } from '~/components/Term'
import { plural } from '~/lib/format'
import classes from './StudyNotes.module.css'

/** What a reader has to know before believing the curve. */
export function StudyNotes({ job }: { job: JobDetail }) {
  const degenerate = job.degenerate ?? 0
  const diverged = job.diverged ?? 0
  if (!degenerate && !diverged) return null
  return (
    <Paper className={classes.notes}>
      {degenerate > 0 && (
        <Text size="sm">
          {plural(degenerate, 'run')} {degenerate === 1 ? 'is' : 'are'}{' '}
          <Term name="degenerate">degenerate</Term>: marked with an × in the figures, and left out of the{' '}
          <Term name="frontier">frontier</Term>.
        </Text>
      )}
      {diverged > 0 && (
        <Text size="sm">
          {plural(diverged, 'run')} <Term name="diverged">diverged</Term> and {diverged === 1 ? 'is' : 'are'}{' '}
          in no mean. A smaller learning rate usually helps.
        </Text>
      )}
    </Paper>
  )
}
