import { Button, Group, Text, TextInput } from '@mantine/core'
import { type FormEvent, useState } from 'react'
import { setPerson } from '~/data/person'

/** Asks for a name where one is needed to go on. */
export function NameForm({ to }: { to: string }) {
  const [typed, setTyped] = useState('')
  const save = (event: FormEvent) => {
    event.preventDefault()
    setPerson(typed)
  }
  return (
    <form onSubmit={save}>
      <Group gap="xs" align="flex-end">
        <TextInput
          label={`Your name, to ${to}`}
          value={typed}
          maxLength={100}
          style={{ flex: '1 1 160px' }}
          onChange={(event) => setTyped(event.currentTarget.value)}
        />
        <Button type="submit" variant="default" disabled={!typed.trim()}>
          Save
        </Button>
      </Group>
      <Text size="xs" c="dimmed" mt={4}>
        There are no accounts yet: names are not verified.
      </Text>
    </form>
  )
}
