import { Button, Group, Select, Skeleton, Stack, Text, Title, useComputedColorScheme } from '@mantine/core'
import { useDebouncedValue, useMediaQuery } from '@mantine/hooks'
import { useQueries, useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import type { Constraint, Objective, SettingVerdict } from '~/api'
import { MetricMenu } from '~/charts/AxisMenus'
import { Plot } from '~/charts/Plot'
import { Panel } from '~/components/Panel'
import { ProblemNotice } from '~/components/ProblemNotice'
import { evaluationQuery, feasibleFigureQuery, useChoose } from '~/data/operating'
import { catalogueQuery, jobQuery } from '~/data/queries'
import { metricOf } from '~/lib/metrics'
import {
  constraintsText,
  type OperatingView,
  objectivesText,
  parseConstraints,
  parseObjectives,
  presets,
} from '~/lib/operating'
import { isGap, partitionsOf } from '~/lib/subgroups'
import { Choices, ReasonDialog } from './Choices'
import { ConstraintRow } from './ConstraintRow'
import { Verdicts } from './Verdicts'

interface Props {
  jobs: string[]
  view: OperatingView
  onChange: (part: OperatingView) => void
  selected?: readonly number[]
  onSelect?: (setting: number) => void
}

/** Told to the server on a phone, which then writes labels on two lines. */
const NARROW = 340

/** What must hold, what should be best, and what a limit costs; the address holds all of it. */
export function OperatingPoint({ jobs, view, onChange, selected = [], onSelect = () => {} }: Props) {
  const theme = useComputedColorScheme('light')
  const narrow = useMediaQuery('(max-width: 36em)', false, { getInitialValueInEffect: false })
  const { data: catalogue } = useQuery(catalogueQuery)
  const details = useQueries({ queries: jobs.map((id) => jobQuery(id)) }).flatMap(({ data }) => data ?? [])
  const constraints = parseConstraints(view.c)
  const objectives: Objective[] = view.o ? parseObjectives(view.o) : [{ metric: 'accuracy', weight: 1 }]
  const rule = view.rule ?? 'lexicographic'
  const [settled] = useDebouncedValue(JSON.stringify({ job_ids: jobs, constraints, objectives, rule }), 150)
  const question = JSON.parse(settled)
  const { data, error, isPlaceholderData } = useQuery({
    ...evaluationQuery(question),
    enabled: jobs.length > 0,
  })
  const y = objectives[0]
  const figure = useQuery({
    ...feasibleFigureQuery({
      ...question,
      x: 'epsilon',
      y: y?.metric ?? 'accuracy',
      subgroup: y?.subgroup,
      theme,
      width: narrow ? NARROW : undefined,
    }),
    enabled: jobs.length > 0,
  })
  const [chosen, setChosen] = useState<SettingVerdict | null>(null)
  const choose = useChoose()

  const metrics = catalogue?.metrics ?? []
  const partitions = partitionsOf(details)
  const attacks = details.flatMap((job) => (job.spec.evaluation?.attacks ?? []).map((one) => one.name))
  const subgroups = ['all', ...partitions, ...details.flatMap((job) => job.subgroups ?? [])]
  const setAll = (next: Constraint[]) => onChange({ c: constraintsText(next) })
  const setGoals = (next: Objective[]) => onChange({ o: objectivesText(next) })
  const goalOf = (metric: string): Objective => ({
    metric,
    weight: 1,
    subgroup: isGap(metricOf(metrics, metric)) ? partitions[0] : 'all',
  })
  const title = (one: Objective) => metricOf(metrics, one.metric)?.title ?? one.metric

  return (
    <Panel aria-label="Operating point">
      <Stack gap="sm" data-stale={isPlaceholderData || undefined}>
        {data ? (
          <Title order={2} size="h4">
            {data.headline}
          </Title>
        ) : (
          <Skeleton height={22} width="60%" />
        )}
        {error && <ProblemNotice error={error} />}
        {constraints.map((one, i) => (
          <ConstraintRow
            // biome-ignore lint/suspicious/noArrayIndexKey: a limit has no name but its place.
            key={i}
            constraint={one}
            facts={data?.constraints[i]}
            subgroups={[...new Set(subgroups)]}
            onChange={(next) => setAll(constraints.map((old, j) => (j === i ? next : old)))}
            onRemove={() => setAll(constraints.filter((_, j) => j !== i))}
          />
        ))}
        <Group gap="xs">
          <Text size="sm">Add a limit:</Text>
          {presets(metrics, partitions, attacks).map((preset) => (
            <Button
              key={preset.label}
              size="compact-xs"
              variant="default"
              onClick={() => setAll([...constraints, preset.constraint])}
            >
              {preset.label}
            </Button>
          ))}
        </Group>
        <Group gap="xs" align="flex-end">
          <Select
            size="xs"
            label="Best by"
            w={150}
            data={[
              { value: 'lexicographic', label: 'objectives in order' },
              { value: 'weighted', label: 'weighted objectives' },
            ]}
            value={rule}
            allowDeselect={false}
            onChange={(next) => onChange({ rule: next === 'weighted' ? 'weighted' : undefined })}
          />
          {objectives.map((one, i) => (
            <MetricMenu
              // biome-ignore lint/suspicious/noArrayIndexKey: objectives are told apart by their order.
              key={i}
              label={`Objective ${i + 1}`}
              value={one.metric}
              onChange={(metric) => setGoals(objectives.map((old, j) => (j === i ? goalOf(metric) : old)))}
            />
          ))}
          <Button size="xs" variant="default" onClick={() => setGoals([...objectives, goalOf('loss_gap')])}>
            Add objective
          </Button>
          {objectives.length > 1 && (
            <Button size="xs" variant="default" onClick={() => setGoals(objectives.slice(0, -1))}>
              Remove last
            </Button>
          )}
        </Group>
        {figure.data && !figure.data.empty && <Plot figure={figure.data} view={`${y?.metric}|feasible`} />}
        {data && (
          <>
            {data.sentences.map((one) => (
              <Text key={one} size="sm">
                {one}.
              </Text>
            ))}
            <Text size="xs" c="dimmed">
              {data.caption}
            </Text>
            <Verdicts
              evaluation={data}
              objectives={objectives.map(title)}
              selected={selected}
              onSelect={onSelect}
              onChoose={setChosen}
            />
            {data.sensitivity.map((one) => (
              <Group key={one.sentence} gap="xs" justify="space-between" wrap="nowrap">
                <Text size="sm">{one.sentence}.</Text>
                <Button
                  size="compact-xs"
                  variant="default"
                  style={{ flexShrink: 0 }}
                  aria-label={`Apply: ${one.sentence}`}
                  onClick={() =>
                    setAll(
                      constraints.map((old, j) =>
                        j === one.constraint ? { ...old, threshold: one.threshold } : old,
                      ),
                    )
                  }
                >
                  Apply
                </Button>
              </Group>
            ))}
            {data.nearest.map((one) => (
              <Group key={one.setting_id} gap="xs" justify="space-between" wrap="nowrap">
                <Text size="sm">{one.sentence}.</Text>
                <Button
                  size="compact-xs"
                  variant="default"
                  style={{ flexShrink: 0 }}
                  aria-label={`Apply: ${one.sentence}`}
                  onClick={() =>
                    setAll(
                      constraints.map((old, j) => ({
                        ...old,
                        threshold: one.thresholds[j] ?? old.threshold,
                      })),
                    )
                  }
                >
                  Apply
                </Button>
              </Group>
            ))}
            {data.weights.map((one) => (
              <Text key={one.objective} size="sm">
                {one.sentence}.
              </Text>
            ))}
          </>
        )}
        <Choices jobs={jobs} />
      </Stack>
      <ReasonDialog
        key={chosen?.setting_id}
        title={`Choose ${chosen?.label ?? ''}`}
        action="Choose"
        opened={chosen !== null}
        pending={choose.isPending}
        error={choose.error}
        onClose={() => setChosen(null)}
        onSave={(reason) =>
          chosen &&
          choose.mutate(
            { ...question, setting_id: chosen.setting_id, reason },
            { onSuccess: () => setChosen(null) },
          )
        }
      />
    </Panel>
  )
}
