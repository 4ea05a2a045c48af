import { Autocomplete, Button, Group, NativeSelect, Stack, Text } from '@mantine/core'
import { type FormEvent, useState } from 'react'
import type { ReviewDetail } from '~/api'
import { Panel } from '~/components/Panel'
import { type Role, useSetMember } from '~/data/reviews'
import { ROLES } from './roles'

interface Props {
  review: ReviewDetail
  people: readonly string[]
  you: string | null
}

/** Who takes part and as what. */
export function MembersTab({ review, people, you }: Props) {
  const set = useSetMember(review.id, you)
  const [name, setName] = useState('')
  const [role, setRole] = useState<Role>('approver')
  const manage = review.you?.may_manage ?? false
  const add = (event: FormEvent) => {
    event.preventDefault()
    set.mutate({ name: name.trim(), role }, { onSuccess: () => setName('') })
  }
  return (
    <Panel title="Members">
      <Text size="sm" c="dimmed" mb="sm">
        {review.required_approvals === 1
          ? 'One approval is required.'
          : `${review.required_approvals} approvals are required.`}{' '}
        Approvers decide, reviewers say what they think, authors see it through and cannot approve.
      </Text>
      <Stack
        gap="xs"
        component="ul"
        style={{ listStyle: 'none', padding: 0, margin: 0 }}
        aria-label="Members"
      >
        {review.members.map((one) => (
          <Group key={one.name} component="li" justify="space-between" gap="xs">
            <Text size="sm" fw={500} style={{ overflowWrap: 'anywhere', flex: '1 1 140px', minWidth: 0 }}>
              {one.name}
              {one.name === you && ' (you)'}
            </Text>
            {manage && one.name !== review.author ? (
              <Group gap="xs">
                <NativeSelect
                  size="xs"
                  aria-label={`Role of ${one.name}`}
                  value={one.role}
                  data={ROLES}
                  onChange={(event) =>
                    set.mutate({ name: one.name, role: event.currentTarget.value as Role })
                  }
                />
                <Button
                  size="xs"
                  variant="default"
                  aria-label={`Take ${one.name} off the review`}
                  onClick={() => set.mutate({ name: one.name, role: null })}
                >
                  Remove
                </Button>
              </Group>
            ) : (
              <Text size="sm">{one.role}</Text>
            )}
          </Group>
        ))}
      </Stack>
      {manage ? (
        <form onSubmit={add}>
          <Group gap="xs" align="flex-end" mt="md">
            <Autocomplete
              size="xs"
              label="Add somebody"
              placeholder="Name"
              data={people.filter((one) => !review.members.some((member) => member.name === one))}
              value={name}
              maxLength={100}
              onChange={setName}
              style={{ flex: '1 1 160px' }}
            />
            <NativeSelect
              size="xs"
              label="As"
              data={ROLES}
              value={role}
              onChange={(event) => setRole(event.currentTarget.value as Role)}
            />
            <Button size="xs" type="submit" disabled={!name.trim()} loading={set.isPending}>
              Add
            </Button>
          </Group>
        </form>
      ) : (
        <Text size="xs" c="dimmed" mt="md">
          Authors change members.
        </Text>
      )}
    </Panel>
  )
}
