import { Stack, Switch } from '@mantine/core'
import type { Alarmed } from '~/api'
import { Fold } from '~/components/Fold'

interface Props {
  ill: boolean
  accepted: readonly number[]
  alarms: readonly Alarmed[]
  onIll: (next: boolean) => void
  onAccepted: (next: number[]) => void
}

/** What is left out whatever its numbers, until somebody says that it may stay. */
export function Exceptions({ ill, accepted, alarms, onIll, onAccepted }: Props) {
  const count = accepted.length + (ill ? 1 : 0)
  return (
    <Fold label={count ? `Exceptions: ${count} made` : 'Exceptions'} open={count > 0}>
      <Stack gap="sm">
        <Switch
          size="sm"
          label="Also settings that mostly diverged or predict one class"
          description="Their figures look fair and mean nothing: whoever treats nobody treats all alike."
          checked={ill}
          onChange={(event) => onIll(event.currentTarget.checked)}
        />
        {alarms.map((one) => (
          <Switch
            key={one.setting_id}
            size="sm"
            label={`Accept the alarm of ${one.label}`}
            description={one.alarm}
            checked={accepted.includes(one.setting_id)}
            onChange={(event) =>
              onAccepted(
                event.currentTarget.checked
                  ? [...accepted, one.setting_id].sort((a, b) => a - b)
                  : accepted.filter((id) => id !== one.setting_id),
              )
            }
          />
        ))}
      </Stack>
    </Fold>
  )
}
