import { ActionIcon, Group, NumberInput, Select, Slider, Stack, Text } from '@mantine/core'
import { IconX } from '@tabler/icons-react'
import type { Constraint, ConstraintFacts } from '~/api'
import { MetricMenu } from '~/charts/AxisMenus'
import { subgroupTitle } from '~/lib/format'
import classes from './OperatingPoint.module.css'

interface Props {
  constraint: Constraint
  facts?: ConstraintFacts
  subgroups: readonly string[]
  onChange: (next: Constraint) => void
  onRemove: () => void
}

const JUDGES = [
  { value: 'mean', label: 'on the mean' },
  { value: 'sure', label: 'be sure (95 % end)' },
  { value: 'share', label: 'in 90 % of seeds' },
]

/** One limit: what, which side, where, and how surely; the settings' numbers lie behind the slider. */
export function ConstraintRow({ constraint, facts, subgroups, onChange, onRemove }: Props) {
  const title = facts?.title ?? constraint.metric
  const low = Math.min(facts?.low ?? constraint.threshold, constraint.threshold)
  const high = Math.max(facts?.high ?? constraint.threshold, constraint.threshold)
  const step = (high - low) / 200 || Math.abs(high) / 200 || 0.01
  const set = (part: Partial<Constraint>) => onChange({ ...constraint, ...part })
  const groups = subgroups.flatMap((name) =>
    name === 'all' || name.includes('=')
      ? [{ value: `one:${name}`, label: subgroupTitle(name) }]
      : [
          { value: `one:${name}`, label: `Between groups of ${subgroupTitle(name)}` },
          { value: `worst:${name}`, label: `Worst of ${subgroupTitle(name)}` },
          { value: `every:${name}`, label: `Every group of ${subgroupTitle(name)}` },
        ],
  )
  const chosen = `${constraint.groups ?? 'one'}:${constraint.subgroup ?? 'all'}`
  if (!groups.some((one) => one.value === chosen)) groups.push({ value: chosen, label: chosen.slice(4) })
  return (
    <Stack gap={4} className={classes.row}>
      <Group gap="xs" align="flex-end">
        <MetricMenu
          label="Constraint on"
          value={constraint.metric}
          onChange={(metric) => set({ metric, subgroup: 'all', groups: 'one' })}
        />
        {constraint.metric !== 'epsilon' && (
          <Select
            size="xs"
            label="Of"
            w={{ base: '100%', sm: 190 }}
            data={groups}
            value={chosen}
            searchable
            allowDeselect={false}
            onChange={(next) => {
              const [kind = 'one', ...rest] = (next ?? chosen).split(':')
              set({ groups: kind as Constraint['groups'], subgroup: rest.join(':') })
            }}
          />
        )}
        <Select
          size="xs"
          w={100}
          label="Side"
          data={[
            { value: '<=', label: 'at most' },
            { value: '>=', label: 'at least' },
          ]}
          value={constraint.operator}
          allowDeselect={false}
          onChange={(next) => next && set({ operator: next as Constraint['operator'] })}
        />
        <NumberInput
          size="xs"
          w={110}
          label={facts?.unit ? `Limit, ${facts.unit}` : 'Limit'}
          aria-label={`Limit of ${title}`}
          value={constraint.threshold}
          step={step}
          decimalScale={6}
          onChange={(next) => typeof next === 'number' && Number.isFinite(next) && set({ threshold: next })}
        />
        {constraint.metric !== 'epsilon' && (
          <Select
            size="xs"
            w={150}
            label="Judged"
            data={JUDGES}
            value={constraint.judge ?? 'mean'}
            allowDeselect={false}
            onChange={(next) =>
              next && set({ judge: next as Constraint['judge'], share: next === 'share' ? 0.9 : 1 })
            }
          />
        )}
        <ActionIcon
          variant="subtle"
          color="gray"
          aria-label={`Remove the limit of ${title}`}
          onClick={onRemove}
        >
          <IconX size={15} />
        </ActionIcon>
      </Group>
      {facts && <Histogram facts={facts} />}
      <Slider
        size="sm"
        label={null}
        min={low}
        max={high}
        step={step}
        value={constraint.threshold}
        thumbLabel={`Limit of ${title}`}
        onChange={(threshold) => set({ threshold: Number(threshold.toPrecision(4)) })}
      />
      {facts && (
        <Text size="xs" c="dimmed">
          {facts.sentence}
        </Text>
      )}
    </Stack>
  )
}

function Histogram({ facts }: { facts: ConstraintFacts }) {
  const most = Math.max(1, ...facts.histogram.counts)
  return (
    <div className={classes.histogram} aria-hidden>
      {facts.histogram.counts.map((count, i) => (
        <span key={facts.histogram.edges[i]} style={{ height: `${(100 * count) / most}%` }} />
      ))}
    </div>
  )
}
