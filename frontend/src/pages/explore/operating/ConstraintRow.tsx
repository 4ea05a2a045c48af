import { ActionIcon, Group, List, Select, Slider, Text } from '@mantine/core'
import { IconX } from '@tabler/icons-react'
import type { Constraint, ConstraintFacts, MetricInfo } from '~/api'
import { Term } from '~/components/Term'
import { isShare, numberText, scaleOf } from '~/lib/operating'
import { NumberField } from './NumberField'
import classes from './OperatingPoint.module.css'
import { SubjectFields } from './SubjectFields'

interface Props {
  constraint: Constraint
  metric: MetricInfo | undefined
  facts?: ConstraintFacts
  subgroups: readonly string[]
  /** What the server would not take of it. */
  problems: readonly string[]
  onChange: (next: Constraint) => void
  onRemove: () => void
}

const JUDGES = [
  { value: 'mean', label: 'on the mean' },
  { value: 'sure', label: 'be sure (95 % end)' },
  { value: 'share', label: 'share of seeds' },
]

/** One limit: what, which side, where, and how surely; the settings' numbers lie behind the slider. */
export function ConstraintRow({ constraint, metric, facts, subgroups, problems, onChange, onRemove }: Props) {
  const title = facts?.title ?? metric?.title ?? constraint.metric
  const share = isShare(metric)
  const set = (part: Partial<Constraint>) => onChange({ ...constraint, ...part })
  return (
    <li className={classes.row}>
      <div className={classes.head}>
        <Group gap="xs" align="flex-end">
          <SubjectFields
            label="Limit on"
            value={constraint}
            subgroups={subgroups}
            every
            onMetric={(next) => set({ metric: next, subgroup: 'all', groups: 'one' })}
            onChange={set}
          />
          <Select
            size="xs"
            w={{ base: 'calc(50% - 5px)', xs: 100 }}
            label="Side"
            data={[
              { value: '<=', label: 'at most' },
              { value: '>=', label: 'at least' },
            ]}
            value={constraint.operator}
            allowDeselect={false}
            onChange={(next) => next && set({ operator: next as Constraint['operator'] })}
          />
          <NumberField
            label={metric?.unit && !share ? `Limit, ${metric.unit}` : 'Limit'}
            name={`Limit of ${title}`}
            value={constraint.threshold}
            share={share}
            onChange={(threshold) => threshold !== undefined && set({ threshold })}
          />
          {constraint.metric !== 'epsilon' && (
            <Select
              size="xs"
              w={{ base: 'calc(50% - 5px)', xs: 150 }}
              label={<Term name="judged">Judged</Term>}
              data={JUDGES}
              value={constraint.judge ?? 'mean'}
              allowDeselect={false}
              onChange={(next) =>
                next && set({ judge: next as Constraint['judge'], share: next === 'share' ? 0.9 : 1 })
              }
            />
          )}
          {constraint.judge === 'share' && constraint.metric !== 'epsilon' && (
            <NumberField
              label="Of seeds, %"
              name={`Share of seeds for ${title}`}
              width={90}
              value={Number((100 * (constraint.share ?? 1)).toPrecision(6))}
              check={(value) => (value > 0 && value <= 100 ? null : 'Expected more than 0 and at most 100.')}
              onChange={(value) => value !== undefined && set({ share: value / 100 })}
            />
          )}
        </Group>
        <ActionIcon
          variant="subtle"
          color="gray"
          size="lg"
          aria-label={`Remove the limit of ${title}`}
          onClick={onRemove}
        >
          <IconX size={15} />
        </ActionIcon>
      </div>
      {problems.length > 0 && (
        <List size="sm" role="alert" className={classes.problem}>
          {problems.map((one) => (
            <List.Item key={one}>{one}</List.Item>
          ))}
        </List>
      )}
      {facts && facts.low !== null && facts.high !== null && facts.high > facts.low && (
        <Distribution
          constraint={constraint}
          facts={facts}
          log={metric?.log ?? false}
          share={share}
          onChange={set}
        />
      )}
      {facts && (
        <Text size="sm" c="dimmed">
          {facts.sentence}.
        </Text>
      )}
    </li>
  )
}

interface DistributionProps {
  constraint: Constraint
  facts: ConstraintFacts
  log: boolean
  share: boolean
  onChange: (part: Partial<Constraint>) => void
}

/** Where settings lie, and the limit as a handle among them. */
function Distribution({ constraint, facts, log, share, onChange }: DistributionProps) {
  const low = Math.min(facts.low ?? 0, constraint.threshold)
  const high = Math.max(facts.high ?? 1, constraint.threshold)
  const scale = scaleOf(low, high, log)
  const most = Math.max(1, ...facts.histogram.counts)
  const { edges } = facts.histogram
  const width = (i: number) => scale.place(edges[i + 1] ?? high) - scale.place(edges[i] ?? low)
  const text = numberText(constraint.threshold, share)
  return (
    <div className={classes.distribution}>
      <div className={classes.histogram} aria-hidden>
        {facts.histogram.counts.map((count, i) => (
          <span
            key={edges[i]}
            style={{
              height: `${(100 * count) / most}%`,
              left: `${100 * scale.place(edges[i] ?? low)}%`,
              width: `calc(${100 * width(i)}% - 1px)`,
            }}
          />
        ))}
      </div>
      <Slider
        size="sm"
        label={null}
        min={0}
        max={1}
        step={0.005}
        value={scale.place(constraint.threshold)}
        thumbLabel={`Slider of the limit of ${facts.title}`}
        thumbValueText={text}
        onChange={(place) => onChange({ threshold: scale.value(place) })}
      />
      <Group justify="space-between" aria-hidden className={classes.ends}>
        <span>{numberText(Number(low.toPrecision(3)), share)}</span>
        <span>{numberText(Number(high.toPrecision(3)), share)}</span>
      </Group>
    </div>
  )
}
