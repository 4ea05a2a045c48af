import { Button, Group, Modal, Select, Skeleton, Stack, Text } from '@mantine/core'
import { useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import { settingsQuery } from '~/data/reports'
import { modelCard } from '~/lib/links'
import { ProblemNotice } from './ProblemNotice'

interface Props {
  jobs: readonly string[]
  onClose: () => void
}

/** Which setting of a study the card is of: a study has many, and each is a model of its own. */
export function ModelCardPicker({ jobs, onClose }: Props) {
  const { data, error, refetch } = useQuery(settingsQuery(jobs))
  const [chosen, setChosen] = useState<string | null>(null)
  const href = (format: 'html' | 'md') => (chosen ? modelCard(Number(chosen), format, jobs) : undefined)
  return (
    <Modal opened onClose={onClose} title="Model card of a setting" centered>
      <Stack gap="sm">
        <Text size="sm">What was measured is filled in. What only you know is left as a marked blank.</Text>
        {error && !data && <ProblemNotice error={error} onRetry={() => refetch()} />}
        {!data && !error && <Skeleton height={58} aria-label="Loading the settings" />}
        {data && (
          <Select
            label="Setting"
            placeholder={data.length > 0 ? 'Choose one' : 'None has a result yet'}
            data={data.map((one) => ({ value: String(one.setting), label: one.label }))}
            value={chosen}
            onChange={setChosen}
            limit={200}
            searchable
          />
        )}
        <Group gap="xs" justify="flex-end">
          {(['html', 'md'] as const).map((format) => (
            <Button
              key={format}
              variant={format === 'html' ? 'filled' : 'default'}
              component="a"
              href={href(format)}
              download
              disabled={!chosen}
              aria-disabled={!chosen}
            >
              {format === 'html' ? 'HTML' : 'Markdown'}
            </Button>
          ))}
        </Group>
      </Stack>
    </Modal>
  )
}
