import { Button, Text } from '@mantine/core'
import { IconRoute } from '@tabler/icons-react'
import { CARD_ID, ENTRY_ID, focusOn } from './focus'
import { useProgress } from './progress'
import { placeOf, STEPS } from './steps'

/** Starts the tour, or goes on with it where it was left. */
export function TourEntry({ onOpen }: { onOpen?: () => void }) {
  const [progress, keep] = useProgress()
  const resumes = progress.state === 'away' && progress.step !== undefined
  const at = `${placeOf(progress.step) + 1} of ${STEPS.length}`
  return (
    <Button
      id={ENTRY_ID}
      variant="subtle"
      color="gray"
      size="compact-sm"
      fullWidth
      justify="flex-start"
      leftSection={<IconRoute size={15} stroke={1.7} aria-hidden />}
      rightSection={
        resumes ? (
          <Text span size="xs" c="dimmed" className="tabular">
            {at}
          </Text>
        ) : undefined
      }
      aria-label={resumes ? `Tour, go on at ${at}` : 'Tour'}
      onClick={() => {
        onOpen?.()
        if (progress.state === 'open') focusOn(document.getElementById(CARD_ID))
        else keep(resumes ? { state: 'open' } : { state: 'open', step: undefined, study: undefined })
      }}
    >
      Tour
    </Button>
  )
}
