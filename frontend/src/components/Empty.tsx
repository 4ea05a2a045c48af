import { Group, Text, Title } from '@mantine/core'
import type { ReactNode } from 'react'
import classes from './Empty.module.css'

interface Props {
  title: string
  children?: ReactNode
  actions?: ReactNode
  /** 1 where the page has no other title. */
  order?: 1 | 2
}

/** An empty page teaches the next step and offers it. */
export function Empty({ title, children, actions, order = 2 }: Props) {
  return (
    <div className={classes.empty}>
      <Title order={order} size="h2">
        {title}
      </Title>
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
