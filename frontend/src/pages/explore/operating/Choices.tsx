import { Badge, Button, Group, Stack, Text, Title } from '@mantine/core'
import { useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import type { OperatingPoint } from '~/api'
import { choicesQuery, useWithdraw } from '~/data/operating'
import { moment } from '~/lib/format'
import { ReasonDialog } from './ReasonDialog'

/** What was chosen before: who, when, why; withdrawn ones stay. */
export function Choices({ jobs }: { jobs: string[] }) {
  const { data } = useQuery({ ...choicesQuery(jobs), enabled: jobs.length > 0 })
  const [leaving, setLeaving] = useState<OperatingPoint | null>(null)
  const withdraw = useWithdraw()
  const items = data?.items ?? []
  if (items.length === 0) return null
  return (
    <Stack gap="xs" component="section" aria-label="Who chose" mt="lg">
      <Title order={3} size="h5">
        Who chose
      </Title>
      {items.map((one) => (
        <Group key={one.id} gap="xs" align="flex-start" justify="space-between" wrap="nowrap">
          <div>
            <Text size="sm" component="div" td={one.withdrawn ? 'line-through' : undefined}>
              {one.numbers.verdict.label}
              {one.numbers.verdict.status !== 'feasible' && (
                <Badge component="span" ml={6} size="sm" variant="outline" color="gray">
                  chosen although {one.numbers.verdict.status}
                </Badge>
              )}
            </Text>
            <Text size="sm" c="dimmed">
              {one.person}, {moment(one.created_at)}: {one.reason}
              {one.numbers.constraints.length > 0 && ` (${one.numbers.constraints.join('; ')})`}
            </Text>
            {one.withdrawn && (
              <Text size="sm" c="dimmed">
                Withdrawn by {one.withdrawn.person}, {moment(one.withdrawn.at)}: {one.withdrawn.reason}
              </Text>
            )}
          </div>
          {!one.withdrawn && (
            <Button
              size="compact-sm"
              variant="default"
              aria-label={`Withdraw ${one.numbers.verdict.label}`}
              onClick={() => {
                withdraw.reset()
                setLeaving(one)
              }}
            >
              Withdraw
            </Button>
          )}
        </Group>
      ))}
      <ReasonDialog
        title={`Withdraw ${leaving?.numbers.verdict.label ?? ''}`}
        action="Withdraw"
        opened={leaving !== null}
        pending={withdraw.isPending}
        error={withdraw.error}
        onClose={() => setLeaving(null)}
        onSave={(reason) =>
          leaving && withdraw.mutate({ id: leaving.id, reason }, { onSuccess: () => setLeaving(null) })
        }
      />
    </Stack>
  )
}
