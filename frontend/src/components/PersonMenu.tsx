import { Button, Popover, Stack, Text, TextInput } from '@mantine/core'
import { useDisclosure } from '@mantine/hooks'
import { IconUser } from '@tabler/icons-react'
import { type FormEvent, useState } from 'react'
import { setPerson, usePerson } from '~/data/person'

/** Who acts: asked once, kept in this browser. */
export function PersonMenu() {
  const name = usePerson()
  const [open, { toggle, close }] = useDisclosure(false)
  const [typed, setTyped] = useState(name ?? '')
  const save = (event: FormEvent) => {
    event.preventDefault()
    setPerson(typed)
    close()
  }
  return (
    <Popover opened={open} onChange={(next) => !next && close()} trapFocus withArrow position="top-start">
      <Popover.Target>
        <Button
          variant="subtle"
          color="gray"
          size="compact-sm"
          fullWidth
          justify="flex-start"
          leftSection={<IconUser size={15} stroke={1.7} aria-hidden />}
          onClick={toggle}
        >
          {name ?? 'Say who you are'}
        </Button>
      </Popover.Target>
      <Popover.Dropdown>
        <form onSubmit={save}>
          <Stack gap="xs" w={240}>
            <TextInput
              label="Your name"
              description="Stands under your comments, choices and decisions. This server has no accounts: names are not verified."
              value={typed}
              maxLength={100}
              onChange={(event) => setTyped(event.currentTarget.value)}
            />
            <Button type="submit" size="xs">
              Save
            </Button>
            <Text size="xs" c="dimmed">
              Kept in this browser only.
            </Text>
          </Stack>
        </form>
      </Popover.Dropdown>
    </Popover>
  )
}
