import { Button, Modal, Stack, Textarea } from '@mantine/core'
import { type ReactNode, useEffect, useState } from 'react'
import { PersonMenu } from '~/components/PersonMenu'
import { ProblemNotice } from '~/components/ProblemNotice'
import { usePerson } from '~/data/person'

interface Props {
  title: string
  action: string
  opened: boolean
  pending: boolean
  error: unknown
  /** What has to be known before deciding. */
  children?: ReactNode
  onClose: () => void
  onSave: (reason: string) => void
}

/** Asks for a reason, and for a name where nobody has said one. */
export function ReasonDialog({ title, action, opened, pending, error, children, onClose, onSave }: Props) {
  const [reason, setReason] = useState('')
  const name = usePerson()
  // It stays mounted, so that the focus goes back to where it came from; the next question starts anew.
  useEffect(() => {
    if (!opened) setReason('')
  }, [opened])
  return (
    <Modal opened={opened} onClose={onClose} title={title} closeButtonProps={{ 'aria-label': 'Close' }}>
      <Stack gap="sm">
        {children}
        <Textarea
          label="Reason"
          description="Kept for good, with your name and the numbers of this moment."
          required
          autosize
          data-autofocus
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
