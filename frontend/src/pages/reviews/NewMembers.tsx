import { Autocomplete, Button, Group, NativeSelect, Stack, Text } from '@mantine/core'
import { useState } from 'react'
import type { Member } from '~/api'
import type { Role } from '~/data/reviews'
import { ROLES } from './roles'

interface Props {
  members: Member[]
  people: readonly string[]
  you: string | null
  /** What is typed and not yet added. */
  name: string
  onName: (name: string) => void
  /** Said beside the name once somebody has tried to go on without adding it. */
  error?: string
  onChange: (members: Member[]) => void
}

/** Who is asked, and as what; whoever makes the review is its author. */
export function NewMembers({ members, people, you, name, onName, error, onChange }: Props) {
  const [role, setRole] = useState<Role>('approver')
  const clean = name.trim().replace(/\s+/g, ' ')
  const taken = clean === you || members.some((one) => one.name === clean)
  const add = () => {
    if (!clean || taken) return
    onChange([...members, { name: clean, role }])
    onName('')
  }
  return (
    <>
      <Stack gap={6} component="ul" style={{ listStyle: 'none', padding: 0, margin: 0 }} aria-label="Members">
        <li>
          <Text size="sm">{you ?? 'You'}, author</Text>
        </li>
        {members.map((one) => (
          <Group component="li" key={one.name} gap="xs">
            <Text size="sm" style={{ overflowWrap: 'anywhere' }}>
              {one.name}, {one.role}
            </Text>
            <Button
              size="compact-xs"
              variant="subtle"
              color="gray"
              aria-label={`Leave ${one.name} out`}
              onClick={() => onChange(members.filter((other) => other !== one))}
            >
              Remove
            </Button>
          </Group>
        ))}
      </Stack>
      <Group gap="xs" align="flex-end" mt="sm">
        <Autocomplete
          size="xs"
          label="Name"
          data={people.filter((one) => one !== you && !members.some((member) => member.name === one))}
          value={name}
          maxLength={100}
          error={taken && clean ? 'Is a member already.' : error}
          onChange={onName}
          onKeyDown={(event) => {
            if (event.key === 'Enter') {
              event.preventDefault()
              add()
            }
          }}
          style={{ flex: '1 1 180px' }}
        />
        <NativeSelect
          size="xs"
          label="As"
          data={ROLES}
          value={role}
          onChange={(event) => setRole(event.currentTarget.value as Role)}
        />
        <Button size="xs" variant="default" disabled={!clean || taken} onClick={add}>
          Add member
        </Button>
      </Group>
    </>
  )
}
