import { Group, Paper, Text } from '@mantine/core'
import { IconAlertTriangle } from '@tabler/icons-react'
import classes from './AuditAlarm.module.css'

/** An audit that refutes a claimed ε, in red above everything else; nothing where there is none. */
export function AuditAlarm({ alarm }: { alarm?: string | null }) {
  if (!alarm) return null
  return (
    <Paper className={classes.notice} p="md" mb="md" role="alert">
      <Group gap="sm" wrap="nowrap" align="flex-start">
        <IconAlertTriangle size={20} className={classes.icon} aria-hidden />
        <div className={classes.body}>
          <Text fw={600}>The claimed ε does not hold</Text>
          <Text size="sm">{alarm}</Text>
        </div>
      </Group>
    </Paper>
  )
}

/** The same as a mark in a table. */
export function AuditMark({ alarm }: { alarm?: string | null }) {
  if (!alarm) return null
  return (
    <span className={classes.mark} title={alarm}>
      <IconAlertTriangle size={14} aria-hidden /> ε refuted
    </span>
  )
}
