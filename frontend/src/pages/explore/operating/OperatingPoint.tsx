import {
  Box,
  Button,
  Group,
  List,
  SegmentedControl,
  Skeleton,
  Text,
  Title,
  useComputedColorScheme,
} from '@mantine/core'
import { useDebouncedValue, useMediaQuery } from '@mantine/hooks'
import { useQueries, useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import type { Constraint, Objective, Question, SettingVerdict } from '~/api'
import { MetricMenu } from '~/charts/AxisMenus'
import { Plot } from '~/charts/Plot'
import { Panel } from '~/components/Panel'
import { ProblemNotice } from '~/components/ProblemNotice'
import { Term } from '~/components/Term'
import { problemOf } from '~/data/http'
import { evaluationQuery, feasibleFigureQuery, useChoose } from '~/data/operating'
import { catalogueQuery, jobQuery } from '~/data/queries'
import { metricOf } from '~/lib/metrics'
import {
  constraintsText,
  example,
  type OperatingView,
  objectivesText,
  parseConstraints,
  parseObjectives,
  presets,
} from '~/lib/operating'
import { isGap, partitionsOf } from '~/lib/subgroups'
import { fieldPath, problemsAt, sentence } from '~/spec/problems'
import { Choices } from './Choices'
import { ConstraintRow } from './ConstraintRow'
import { Exceptions } from './Exceptions'
import { ObjectiveRow } from './ObjectiveRow'
import { Offers } from './Offers'
import classes from './OperatingPoint.module.css'
import { ReasonDialog } from './ReasonDialog'
import { Verdicts } from './Verdicts'

interface Props {
  jobs: string[]
  view: OperatingView
  onChange: (part: OperatingView) => void
  selected?: readonly number[]
  onSelect?: (setting: number) => void
  /** Runs that finished later are left out; nothing can be chosen then. */
  asOf?: string
}

/** Told to the server on a phone, which then writes labels on two lines. */
const NARROW = 340

/** What must hold, what should be best, and what a limit costs; the address holds all of it. */
export function OperatingPoint({ jobs, view, onChange, selected = [], onSelect = () => {}, asOf }: Props) {
  const theme = useComputedColorScheme('light')
  const narrow = useMediaQuery('(max-width: 36em)', false, { getInitialValueInEffect: false })
  const { data: catalogue } = useQuery(catalogueQuery)
  const details = useQueries({ queries: jobs.map((id) => jobQuery(id)) }).flatMap(({ data }) => data ?? [])
  const constraints = parseConstraints(view.c)
  const objectives: Objective[] = view.o ? parseObjectives(view.o) : [{ metric: 'accuracy', weight: 1 }]
  const rule = view.rule ?? 'lexicographic'
  const [settled] = useDebouncedValue(
    JSON.stringify({
      job_ids: jobs,
      constraints,
      objectives,
      rule,
      accept_degenerate: view.ill ?? false,
      accept_alarms: view.alarms ?? [],
      as_of: asOf,
    }),
    150,
  )
  const question: Question = JSON.parse(settled)
  const ready = jobs.length > 0
  const { data, error, isPlaceholderData } = useQuery({ ...evaluationQuery(question), enabled: ready })
  const y = objectives[0]
  const across = view.across ?? 'epsilon'
  const figure = useQuery({
    ...feasibleFigureQuery({
      ...question,
      x: across,
      y: y?.metric ?? 'accuracy',
      // Of the worst of several groups no subgroup has the figure: everybody's is drawn.
      subgroup: y?.groups === 'worst' ? undefined : y?.subgroup,
      theme,
      width: narrow ? NARROW : undefined,
    }),
    enabled: ready,
  })
  const [chosen, setChosen] = useState<SettingVerdict | null>(null)
  const choose = useChoose()

  const metrics = catalogue?.metrics ?? []
  const partitions = partitionsOf(details)
  const attacks = details.flatMap((job) => (job.spec.evaluation?.attacks ?? []).map((one) => one.name))
  const subgroups = [...new Set(['all', ...partitions, ...details.flatMap((job) => job.subgroups ?? [])])]
  const setAll = (next: Constraint[]) => onChange({ c: constraintsText(next) })
  const setGoals = (next: Objective[]) => onChange({ o: objectivesText(next) })
  const goalOf = (metric: string): Objective => ({
    metric,
    weight: 1,
    subgroup: isGap(metricOf(metrics, metric)) ? partitions[0] : 'all',
  })
  const swap = (i: number, by: -1 | 1) => {
    const next = [...objectives]
    const moved = next.splice(i, 1)
    next.splice(i + by, 0, ...moved)
    setGoals(next)
  }
  const problems = error ? (problemOf(error).problems ?? []) : []
  const at = (field: string) => problemsAt(problems, field).map(sentence)
  const placed =
    problems.length > 0 && problems.every((one) => /^(constraints|objectives)\.\d/.test(fieldPath(one.field)))
  const total = objectives.reduce((sum, one) => sum + (one.weight ?? 1), 0)
  const fresh = constraints.length === 0 && !view.o

  return (
    <Panel aria-label="Operating point" aria-busy={isPlaceholderData}>
      <Title order={2} size="h4">
        {data && !error ? `${data.headline}.` : 'Operating point'}
      </Title>
      {fresh && (
        <Text size="sm" c="dimmed" mt={4} className={classes.sentences}>
          Say what a setting must hold, such as a limit on ε and on the worst group’s accuracy, and what
          should then be best. You see what meets it, why the rest does not, and what each limit costs.
        </Text>
      )}
      {fresh && (
        <Button mt="xs" size="xs" onClick={() => onChange(example(partitions, metrics))}>
          Try an example:{' '}
          {presets(metrics, partitions, [])
            .map((one) => one.label)
            .join(', ')}
        </Button>
      )}
      {error && !placed && (
        <Box mt="sm">
          <ProblemNotice error={error} />
        </Box>
      )}
      {!data && !error && ready && (
        <>
          <Skeleton height={18} width="70%" mt="sm" />
          <Skeleton height={220} mt="sm" />
        </>
      )}
      {data && !error && (
        <List size="sm" mt="xs" className={`${classes.sentences} ${isPlaceholderData ? classes.stale : ''}`}>
          {data.sentences.map((one) => (
            <List.Item key={one}>{one}.</List.Item>
          ))}
        </List>
      )}

      <section className={classes.part} aria-label="Limits">
        <Title order={3} size="h5">
          Limits
        </Title>
        <ul className={classes.list}>
          {constraints.map((one, i) => (
            <ConstraintRow
              // biome-ignore lint/suspicious/noArrayIndexKey: a limit has no name but its place.
              key={i}
              constraint={one}
              metric={metricOf(metrics, one.metric)}
              facts={error ? undefined : data?.constraints[i]}
              subgroups={subgroups}
              problems={at(`constraints.${i}`)}
              onChange={(next) => setAll(constraints.map((old, j) => (j === i ? next : old)))}
              onRemove={() => setAll(constraints.filter((_, j) => j !== i))}
            />
          ))}
        </ul>
        <Group gap="xs" mt="xs">
          <Text size="sm">Add a limit:</Text>
          {presets(metrics, partitions, attacks).map((preset) => (
            <Button
              key={preset.label}
              size="compact-sm"
              variant="default"
              onClick={() => setAll([...constraints, preset.constraint])}
            >
              {preset.label}
            </Button>
          ))}
        </Group>
        <Exceptions
          ill={view.ill ?? false}
          accepted={view.alarms ?? []}
          alarms={data?.alarms ?? []}
          onIll={(next) => onChange({ ill: next || undefined })}
          onAccepted={(next) => onChange({ alarms: next.length ? next : undefined })}
        />
      </section>

      <section className={classes.part} aria-label="Objectives">
        <Group gap="sm">
          <Title order={3} size="h5">
            <Term name="objective_order">What should be best</Term>
          </Title>
          <SegmentedControl
            size="xs"
            aria-label="How objectives are put together"
            data={[
              { value: 'lexicographic', label: 'In order' },
              { value: 'weighted', label: 'Weighted' },
            ]}
            value={rule}
            onChange={(next) => onChange({ rule: next === 'weighted' ? 'weighted' : undefined })}
          />
          {rule === 'weighted' && objectives.length > 1 && (
            <Text size="sm" c="dimmed">
              Weights sum to {Number(total.toPrecision(4))}.
            </Text>
          )}
        </Group>
        <ol className={classes.list}>
          {objectives.map((one, i) => (
            <ObjectiveRow
              // biome-ignore lint/suspicious/noArrayIndexKey: objectives are told apart by their order.
              key={i}
              objective={one}
              metric={metricOf(metrics, one.metric)}
              place={i}
              count={objectives.length}
              weighted={rule === 'weighted'}
              total={total}
              subgroups={subgroups}
              problems={at(`objectives.${i}`)}
              onMetric={(metric) => setGoals(objectives.map((old, j) => (j === i ? goalOf(metric) : old)))}
              onChange={(next) => setGoals(objectives.map((old, j) => (j === i ? next : old)))}
              onMove={(by) => swap(i, by)}
              onRemove={() => setGoals(objectives.filter((_, j) => j !== i))}
            />
          ))}
        </ol>
        {objectives.length < 10 && (
          <Button
            mt="xs"
            size="compact-sm"
            variant="default"
            onClick={() => setGoals([...objectives, goalOf('loss_gap')])}
          >
            Add objective
          </Button>
        )}
      </section>

      {data && !error && (
        <section className={classes.part} aria-label="Answer">
          <Group justify="space-between" align="flex-end" mb="xs">
            <Title order={3} size="h5">
              What remains
            </Title>
            <MetricMenu
              label="Across"
              value={across}
              onChange={(next) => onChange({ across: next === 'epsilon' ? undefined : next })}
            />
          </Group>
          {figure.error ? (
            <ProblemNotice error={figure.error} />
          ) : (
            figure.data &&
            !figure.data.empty && <Plot figure={figure.data} view={`${across}|${y?.metric}|feasible`} />
          )}
          <Verdicts
            evaluation={data}
            constraints={constraints}
            objectives={objectives}
            metrics={metrics}
            selected={selected}
            onSelect={onSelect}
            onChoose={
              asOf
                ? undefined
                : (verdict) => {
                    choose.reset()
                    setChosen(verdict)
                  }
            }
          />
          {asOf && (
            <Text size="sm" c="dimmed" mt={4}>
              This view is frozen. A setting is chosen on the present numbers: leave the frozen view to
              choose.
            </Text>
          )}
          <Text size="sm" c="dimmed" mt="xs" className={classes.sentences}>
            {data.caption}
          </Text>
        </section>
      )}
      {data && !error && <Offers evaluation={data} constraints={constraints} onApply={setAll} />}
      <Choices jobs={jobs} />
      <ReasonDialog
        title={`Choose ${chosen?.label ?? ''}`}
        action={chosen && chosen.status !== 'feasible' ? 'Choose anyway' : 'Choose'}
        opened={chosen !== null}
        pending={choose.isPending}
        error={choose.error}
        onClose={() => setChosen(null)}
        onSave={(reason) => {
          if (!chosen) return
          const { as_of: _, limit: __, ...asked } = question
          choose.mutate(
            { ...asked, setting_id: chosen.setting_id, reason, although: chosen.status !== 'feasible' },
            { onSuccess: () => setChosen(null) },
          )
        }}
      >
        {chosen && chosen.status !== 'feasible' && (
          <div role="note">
            <Text size="sm" fw={600}>
              It is not known to meet every limit, and the choice will say so:
            </Text>
            <List size="sm">
              {chosen.reasons.map((one) => (
                <List.Item key={one}>{one}.</List.Item>
              ))}
            </List>
          </div>
        )}
      </ReasonDialog>
    </Panel>
  )
}
