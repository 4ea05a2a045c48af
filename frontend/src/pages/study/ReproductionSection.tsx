import { Badge, Group, Stack, Text, useComputedColorScheme } from '@mantine/core'
import { useMediaQuery } from '@mantine/hooks'
import { useQuery } from '@tanstack/react-query'
import type { JobDetail, Verdict } from '~/api'
import { Fold } from '~/components/Fold'
import { Panel } from '~/components/Panel'
import { isLive, presetsQuery } from '~/data/queries'
import { BetweenMenu, useBetween } from './BetweenMenu'
import { ClaimFigure } from './ClaimFigure'
import { claimFigureQuery, reproductionQuery } from './claims'

const OUTCOMES: Record<Verdict['outcome'], string> = {
  reproduced: 'Reproduced',
  partly: 'Partly',
  not: 'Not reproduced',
  open: 'Open',
}

/** The claims of the preset that a study came from, put to the test. */
export function ReproductionSection({ job }: { job: JobDetail }) {
  const { data } = useQuery(presetsQuery)
  const preset = data?.items.find((one) => one.name === job.preset)
  const testable = preset?.claims?.some((claim) => claim.metric && claim.method && claim.reference)
  return testable ? <Claims job={job} /> : null
}

function Claims({ job }: { job: JobDetail }) {
  const theme = useComputedColorScheme('light')
  const narrow = useMediaQuery('(max-width: 36em)', false, { getInitialValueInEffect: false })
  const subgroup = useBetween(job)
  const verdicts = useQuery(reproductionQuery(job.id))
  const look = { subgroup, theme, width: narrow ? 340 : undefined }
  const figure = useQuery(claimFigureQuery(job.id, look))
  return (
    <Panel title="What the paper claims, put to the test">
      <Stack gap="md">
        {verdicts.data?.verdicts.map((verdict) => (
          <div key={verdict.statement}>
            <Group gap="xs" align="center">
              <Badge variant="light" color={verdict.outcome === 'reproduced' ? 'green' : 'gray'}>
                {OUTCOMES[verdict.outcome]}
              </Badge>
              <Text size="sm" c="dimmed">
                Claim: {verdict.statement}
              </Text>
            </Group>
            <Text mt={4}>{verdict.sentence}.</Text>
          </div>
        ))}
        {verdicts.data && (
          <Fold label="How a verdict is reached">
            <Text size="sm">{verdicts.data.rule}</Text>
            {verdicts.data.notes.map((note) => (
              <Text key={note} size="sm" mt={6}>
                {note}.
              </Text>
            ))}
          </Fold>
        )}
      </Stack>
      <div style={{ marginTop: 20 }}>
        <ClaimFigure
          name={`reproduction ${subgroup}`}
          order={3}
          figure={figure.data}
          error={figure.error}
          onRetry={() => figure.refetch()}
          growing={isLive(job.status)}
          controls={<BetweenMenu job={job} />}
        />
      </div>
    </Panel>
  )
}
