import { Text } from '@mantine/core'
import { useQuery } from '@tanstack/react-query'
import { healthQuery } from '~/data/queries'
import { type HealthSummary, summarise } from '~/lib/health'
import classes from './HealthLine.module.css'
import { StateDot } from './StateDot'

/** Whether studies can run, in words, and what to do where they cannot. */
export function HealthLine() {
  const { data, error } = useQuery(healthQuery)
  const health: HealthSummary = summarise(data, error)
  return (
    <div className={classes.line} role="status">
      <Text size="xs" fw={500}>
        <StateDot tone={health.tone}>{health.title}</StateDot>
      </Text>
      {health.advice && (
        <Text size="xs" c="dimmed" mt={2}>
          {health.advice}
        </Text>
      )}
    </div>
  )
}
