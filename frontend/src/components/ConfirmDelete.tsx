import { Button, Group, Modal, Text } from '@mantine/core'

interface Props {
  /** The study's name, or null while nothing is asked. */
  name: string | null
  /** How many studies, where there are several. */
  count?: number
  busy: boolean
  onConfirm: () => void
  onClose: () => void
}

export function ConfirmDelete({ name, count = 1, busy, onConfirm, onClose }: Props) {
  const several = count > 1
  return (
    <Modal
      opened={name !== null || several}
      onClose={onClose}
      title={several ? `Delete ${count} studies` : 'Delete this study'}
      centered
      styles={{ title: { fontWeight: 600 } }}
    >
      <Text size="sm">
        {several
          ? `${count} studies disappear, with every measurement of their runs.`
          : `“${name}” disappears, with every measurement of its runs.`}{' '}
        Runs that another study uses are kept.
      </Text>
      <Group justify="flex-end" mt="lg" gap="xs">
        <Button variant="default" onClick={onClose} data-autofocus>
          {several ? 'Keep them' : 'Keep it'}
        </Button>
        <Button color="red.9" loading={busy} onClick={onConfirm}>
          Delete
        </Button>
      </Group>
    </Modal>
  )
}
