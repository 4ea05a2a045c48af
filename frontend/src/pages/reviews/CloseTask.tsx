import { Button, Group, Modal, Text } from '@mantine/core'
import { useDisclosure } from '@mantine/hooks'
import type { Task } from '~/api'
import { useCloseTask } from '~/data/reviews'

interface Props {
  reviewId: string
  task: Task
  you: string | null
}

export function CloseTask({ reviewId, task, you }: Props) {
  const [open, { open: ask, close }] = useDisclosure(false)
  const mutation = useCloseTask(reviewId, task.id, you)
  const answers = Object.values(task.rated).reduce((a, b) => a + b, 0)
  return (
    <>
      <Button onClick={ask}>Close and uncover</Button>
      <Modal
        opened={open}
        onClose={close}
        centered
        title="Close this rating task"
        styles={{ title: { fontWeight: 600 } }}
        closeButtonProps={{ 'aria-label': 'Leave it open' }}
      >
        <Text size="sm">
          {answers} of {task.items * task.raters.length} answers are given. What the items hide is shown to
          everybody and nobody can rate any more. It cannot be opened again.
        </Text>
        <Group justify="flex-end" mt="lg" gap="xs">
          <Button variant="default" onClick={close} data-autofocus>
            Leave it open
          </Button>
          <Button
            loading={mutation.isPending}
            onClick={() => mutation.mutate(undefined, { onSettled: close })}
          >
            Close it
          </Button>
        </Group>
      </Modal>
    </>
  )
}
