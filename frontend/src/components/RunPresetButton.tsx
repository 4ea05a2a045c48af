import { Button, type ButtonProps } from '@mantine/core'
import { IconPlayerPlay } from '@tabler/icons-react'
import { useQuery } from '@tanstack/react-query'
import type { Preset } from '~/api'
import { useSubmitStudy } from '~/data/mutations'
import { presetsQuery } from '~/data/queries'

/** Submits a preset as it is and opens its page. */
export function RunPresetButton({ preset, ...rest }: { preset: Preset } & ButtonProps) {
  const submit = useSubmitStudy()
  return (
    <Button
      leftSection={<IconPlayerPlay size={15} aria-hidden />}
      loading={submit.isPending}
      onClick={() => submit.mutate(preset.spec)}
      {...rest}
    >
      {preset.name === 'quickstart' ? 'Run quickstart' : `Run ${preset.title}`}
    </Button>
  )
}

/** The quickstart by itself, for pages that teach the first step. */
export function QuickstartButton(props: ButtonProps) {
  const { data } = useQuery(presetsQuery)
  const preset = data?.items.find((one) => one.name === 'quickstart')
  return preset ? <RunPresetButton preset={preset} {...props} /> : null
}
