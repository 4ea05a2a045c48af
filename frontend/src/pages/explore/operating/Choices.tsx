import { Badge, Button, Group, Modal, Stack, Text, Textarea } from '@mantine/core'
import { useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import type { OperatingPoint } from '~/api'
import { PersonMenu } from '~/components/PersonMenu'
import { ProblemNotice } from '~/components/ProblemNotice'
import { choicesQuery, useWithdraw } from '~/data/operating'
import { usePerson } from '~/data/person'
import { moment } from '~/lib/format'

interface DialogProps {
  title: string
  action: string
  opened: boolean
  pending: boolean
  error: unknown
  onClose: () => void
  onSave: (reason: string) => void
}

/** Asks for a reason, and for a name where nobody has said one. */
export function ReasonDialog({ title, action, opened, pending, error, onClose, onSave }: DialogProps) {
  const [reason, setReason] = useState('')
  const name = usePerson()
  return (
    <Modal opened={opened} onClose={onClose} title={title}>
      <Stack gap="sm">
        <Textarea
          label="Reason"
          description="Kept for good, with your name and the numbers of this moment."
          required
          autosize
          minRows={3}
          maxLength={4000}
          value={reason}
          onChange={(event) => setReason(event.currentTarget.value)}
        />
        <PersonMenu />
        {error !== null && <ProblemNotice error={error} />}
        <Button disabled={!name || !reason.trim()} loading={pending} onClick={() => onSave(reason)}>
          {action}
        </Button>
      </Stack>
    </Modal>
  )
}

/** What was chosen before: who, when, why; withdrawn ones stay. */
export function Choices({ jobs }: { jobs: string[] }) {
  const { data } = useQuery({ ...choicesQuery(jobs), enabled: jobs.length > 0 })
  const [leaving, setLeaving] = useState<OperatingPoint | null>(null)
  const withdraw = useWithdraw()
  const items = data?.items ?? []
  if (items.length === 0) return null
  return (
    <Stack gap="xs">
      <Text fw={600} size="sm">
        Chosen so far
      </Text>
      {items.map((one) => (
        <Group key={one.id} gap="xs" align="flex-start" justify="space-between" wrap="nowrap">
          <div>
            <Text size="sm" td={one.withdrawn ? 'line-through' : undefined}>
              {one.numbers.verdict.label}
              {one.numbers.verdict.status !== 'feasible' && (
                <Badge ml={6} size="xs" variant="outline" color="gray">
                  {one.numbers.verdict.status}
                </Badge>
              )}
            </Text>
            <Text size="xs" c="dimmed">
              {one.person}, {moment(one.created_at)}: {one.reason}
              {one.numbers.constraints.length > 0 && ` (${one.numbers.constraints.join('; ')})`}
            </Text>
            {one.withdrawn && (
              <Text size="xs" c="dimmed">
                Withdrawn by {one.withdrawn.person}, {moment(one.withdrawn.at)}: {one.withdrawn.reason}
              </Text>
            )}
          </div>
          {!one.withdrawn && (
            <Button size="compact-xs" variant="default" onClick={() => setLeaving(one)}>
              Withdraw
            </Button>
          )}
        </Group>
      ))}
      <ReasonDialog
        key={leaving?.id}
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
