import { Button, Group, Paper, SimpleGrid, Skeleton, Text, Title } from '@mantine/core'
import { useQuery } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import type { Preset } from '~/api'
import { ProblemNotice } from '~/components/ProblemNotice'
import { RunPresetButton } from '~/components/RunPresetButton'
import { presetsQuery } from '~/data/queries'
import { duration } from '~/lib/format'
import classes from './PresetCards.module.css'

/** Studies that reproduce a published claim; the quickstart first, one click from running. */
export function PresetCards({ chosen }: { chosen?: string }) {
  const { data, error, isPending, refetch } = useQuery(presetsQuery)
  if (error && !data) return <ProblemNotice error={error} onRetry={() => refetch()} />
  const presets = [...(data?.items ?? [])].sort(
    (a, b) => Number(b.name === 'quickstart') - Number(a.name === 'quickstart'),
  )
  return (
    <SimpleGrid cols={{ base: 1, sm: 2, lg: 3 }} spacing="sm">
      {isPending && [0, 1].map((i) => <Skeleton key={i} height={170} />)}
      {presets.map((preset) => (
        <PresetCard key={preset.name} preset={preset} chosen={preset.name === chosen} />
      ))}
    </SimpleGrid>
  )
}

function PresetCard({ preset, chosen }: { preset: Preset; chosen: boolean }) {
  const quickstart = preset.name === 'quickstart'
  return (
    <Paper className={classes.card} data-chosen={chosen || undefined} component="article">
      <div>
        <Group justify="space-between" wrap="nowrap" gap="xs" align="baseline">
          <Title order={2} size="h3">
            {preset.title}
          </Title>
          {preset.minutes != null && (
            <Text size="xs" c="dimmed" style={{ whiteSpace: 'nowrap' }}>
              about {duration(preset.minutes * 60)}
            </Text>
          )}
        </Group>
        <Text size="sm" mt={4}>
          {preset.question}
        </Text>
        <Text size="xs" c="dimmed" mt={6} lineClamp={3}>
          {preset.citation}
        </Text>
      </div>
      <Group gap="xs" mt="sm">
        {quickstart && <RunPresetButton preset={preset} />}
        <Button
          variant="default"
          size="sm"
          renderRoot={(props) => <Link to="/new" search={{ preset: preset.name }} hash="form" {...props} />}
        >
          Start from this
        </Button>
      </Group>
    </Paper>
  )
}
