import { Group, Select, Text, Title, useComputedColorScheme } from '@mantine/core'
import { useMemo, useState } from 'react'
import type { Comparison, ReviewDetail } from '~/api'
import { FigureCard } from '~/charts/FigureCard'
import { Plot } from '~/charts/Plot'
import { Panel } from '~/components/Panel'
import { byMetric, letter } from '~/lib/reviews'
import { CommentOn } from './CommentOn'
import { comparedFigure } from './comparedFigure'

interface Props {
  review: ReviewDetail
  comparison: Comparison
}

/** The frozen numbers drawn, and the trade-off that the settings were chosen from as it was at that moment. */
export function ReviewCharts({ review, comparison }: Props) {
  return (
    <>
      <Groups comparison={comparison} />
      <Tradeoff review={review} />
    </>
  )
}

function Groups({ comparison }: { comparison: Comparison }) {
  const theme = useComputedColorScheme('light')
  const metrics = useMemo(() => byMetric(comparison.rows), [comparison])
  const usual = metrics.find((rows) => rows.length > 1) ?? metrics[0]
  const [wanted, setWanted] = useState<string | null>(null)
  const rows = metrics.find((one) => one[0]?.metric === wanted) ?? usual
  const figure = useMemo(() => rows && comparedFigure(comparison, rows, theme), [comparison, rows, theme])
  const metric = rows?.[0]?.metric
  if (!figure || !metric) return null
  return (
    <Panel aria-label="Groups under each setting">
      <Title order={2} mb="xs">
        {figure.title}
      </Title>
      <Group gap="sm" align="flex-end" mb="xs">
        <Select
          size="xs"
          w={{ base: '100%', sm: 230 }}
          label="Metric of this figure"
          data={metrics.flatMap(([one]) => (one ? [{ value: one.metric, label: one.title }] : []))}
          value={metric}
          allowDeselect={false}
          onChange={setWanted}
        />
        <CommentOn anchor={{ kind: 'chart', chart: 'subgroups' }} />
      </Group>
      <Plot figure={figure} view={`compared ${metric} ${comparison.split}`} />
      <Text size="xs" c="dimmed">
        {figure.caption}
      </Text>
    </Panel>
  )
}

function Tradeoff({ review }: { review: ReviewDetail }) {
  const chosen = useMemo(() => new Set(review.compared.map((one) => one.setting_id)), [review.compared])
  return (
    <FigureCard
      name="tradeoff"
      label="Trade-off at the moment of the snapshot"
      request={{}}
      review={review.id}
      chosen={chosen}
      controls={
        <Text size="xs" c="dimmed">
          Lit up: {review.compared.map((one, i) => `${letter(i)} ${one.label}`).join('; ')}. Faint: the other
          settings of these studies, as of the snapshot.{' '}
          <CommentOn anchor={{ kind: 'chart', chart: 'tradeoff' }} />
        </Text>
      }
    />
  )
}
