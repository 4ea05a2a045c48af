import { Group, Paper, type PaperProps, Title } from '@mantine/core'
import type { ReactNode } from 'react'
import classes from './Panel.module.css'

interface Props extends PaperProps {
  title?: ReactNode
  aside?: ReactNode
  children: ReactNode
  order?: 2 | 3
}

/** A framed part of a page with a heading. */
export function Panel({ title, aside, children, order = 2, className, ...rest }: Props) {
  return (
    <Paper
      component="section"
      className={className ? `${classes.panel} ${className}` : classes.panel}
      {...rest}
    >
      {(title || aside) && (
        <Group justify="space-between" gap="sm" mb="sm">
          {title && <Title order={order}>{title}</Title>}
          {aside}
        </Group>
      )}
      {children}
    </Paper>
  )
}
