import { Group, Text, Title } from '@mantine/core'
import { useDocumentTitle } from '@mantine/hooks'
import type { ReactNode } from 'react'

interface Props {
  title: string
  lead?: ReactNode
  badge?: ReactNode
  actions?: ReactNode
}

/** One title, one primary action. */
export function PageHeader({ title, lead, badge, actions }: Props) {
  useDocumentTitle(`${title} · Equipoise`)
  return (
    <Group justify="space-between" align="flex-start" gap="md" mb="lg">
      <div style={{ minWidth: 0, flex: '1 1 320px' }}>
        <Group gap="sm" align="center">
          <Title order={1} style={{ overflowWrap: 'anywhere' }}>
            {title}
          </Title>
          {badge}
        </Group>
        {lead && (
          <Text c="dimmed" mt={4} maw={720} component="div">
            {lead}
          </Text>
        )}
      </div>
      {actions && <Group gap="xs">{actions}</Group>}
    </Group>
  )
}
