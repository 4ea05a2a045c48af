import { Text } from '@mantine/core'
import { useQuery } from '@tanstack/react-query'
import { healthQuery } from '~/data/queries'
import { type HealthSummary, summarise } from '~/lib/health'
import classes from './HealthLine.module.css'

/** Whether studies can run, in words, and what to do where they cannot. */
export function HealthLine() {
  const { data, error } = useQuery(healthQuery)
  const health: HealthSummary = summarise(data, error)
  return (
    <div className={classes.line} role="status" data-tone={health.tone}>
      <Text size="xs" fw={500} className={classes.head}>
        <span className={classes.dot} aria-hidden />
        {health.title}
      </Text>
      {health.advice && (
        <Text size="xs" c="dimmed" mt={2}>
          {health.advice}
        </Text>
      )}
    </div>
  )
}
