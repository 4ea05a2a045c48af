import { Group, Text, Title } from '@mantine/core'
import type { ReactNode } from 'react'
import classes from './Empty.module.css'

interface Props {
  title: string
  children?: ReactNode
  actions?: ReactNode
}

/** An empty page teaches the next step and offers it. */
export function Empty({ title, children, actions }: Props) {
  return (
    <div className={classes.empty}>
      <Title order={2}>{title}</Title>
      {children && (
        <Text c="dimmed" maw={520} mt={6} component="div">
          {children}
        </Text>
      )}
      {actions && (
        <Group mt="md" gap="xs">
          {actions}
        </Group>
      )}
    </div>
  )
}
