import { Button, Group, Modal, Text } from '@mantine/core'

interface Props {
  /** The study's name, or null while nothing is asked. */
  name: string | null
  busy: boolean
  onConfirm: () => void
  onClose: () => void
}

export function ConfirmDelete({ name, busy, onConfirm, onClose }: Props) {
  return (
    <Modal
      opened={name !== null}
      onClose={onClose}
      title="Delete this study"
      centered
      styles={{ title: { fontWeight: 600 } }}
    >
      <Text size="sm">
        “{name}” disappears, with every measurement of its runs. Runs that another study uses are kept.
      </Text>
      <Group justify="flex-end" mt="lg" gap="xs">
        <Button variant="default" onClick={onClose} data-autofocus>
          Keep it
        </Button>
        <Button color="red.9" loading={busy} onClick={onConfirm}>
          Delete
        </Button>
      </Group>
    </Modal>
  )
}
