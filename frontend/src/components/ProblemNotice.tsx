import { Button, Group, List, Paper, Text } from '@mantine/core'
import { IconAlertTriangle } from '@tabler/icons-react'
import type { ReactNode } from 'react'
import type { ProblemDetails } from '~/api'
import { problemOf } from '~/data/http'
import { sentence } from '~/spec/problems'
import classes from './ProblemNotice.module.css'
import { Prose } from './Prose'

interface Props {
  /** A thrown error, or problem details from the server. */
  error?: unknown
  problem?: ProblemDetails
  onRetry?: () => void
  retryLabel?: string
  actions?: ReactNode
}

/** What happened, what was expected, what to do. Never a stack trace. */
export function ProblemNotice({ error, problem, onRetry, retryLabel = 'Try again', actions }: Props) {
  const shown = problem ?? problemOf(error)
  const lines = (shown.problems ?? []).map((entry) => sentence(entry)).filter(Boolean)
  return (
    <Paper
      className={classes.notice}
      data-tone={shown.status === 503 ? 'caution' : 'alarm'}
      p="md"
      role="alert"
    >
      <Group gap="sm" wrap="nowrap" align="flex-start">
        <IconAlertTriangle size={20} className={classes.icon} aria-hidden />
        <div className={classes.body}>
          <Text fw={600}>{shown.title}</Text>
          {shown.detail && shown.detail !== shown.title && (
            <Text size="sm">
              <Prose text={shown.detail} />
            </Text>
          )}
          {lines.length > 0 && (
            <List size="sm" mt={4}>
              {lines.map((line) => (
                <List.Item key={line}>
                  <Prose text={line} />
                </List.Item>
              ))}
            </List>
          )}
          {(onRetry || actions) && (
            <Group gap="xs" mt="sm">
              {onRetry && (
                <Button variant="default" size="xs" onClick={onRetry}>
                  {retryLabel}
                </Button>
              )}
              {actions}
            </Group>
          )}
        </div>
      </Group>
    </Paper>
  )
}
