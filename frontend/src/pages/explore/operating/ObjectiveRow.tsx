import { ActionIcon, Group, List, Select, Slider, Text } from '@mantine/core'
import { IconArrowDown, IconArrowUp, IconX } from '@tabler/icons-react'
import type { MetricInfo, Objective } from '~/api'
import { Term } from '~/components/Term'
import { isShare } from '~/lib/operating'
import { NumberField } from './NumberField'
import classes from './OperatingPoint.module.css'
import { SubjectFields } from './SubjectFields'

interface Props {
  objective: Objective
  metric: MetricInfo | undefined
  place: number
  count: number
  weighted: boolean
  /** Sum of all weights. */
  total: number
  subgroups: readonly string[]
  problems: readonly string[]
  onMetric: (metric: string) => void
  onChange: (next: Objective) => void
  onMove: (by: -1 | 1) => void
  onRemove: () => void
}

/** One objective: what is to be best, how much it counts, and what is a tie in it. */
export function ObjectiveRow(props: Props) {
  const { objective, metric, place, count, weighted, total, problems } = props
  const title = metric?.title ?? objective.metric
  const weight = objective.weight ?? 1
  const rest = total - weight
  const set = (part: Partial<Objective>) => props.onChange({ ...objective, ...part })
  return (
    <li className={classes.row}>
      <div className={classes.head}>
        <Group gap="xs" align="flex-end">
          <SubjectFields
            label={weighted ? 'Objective' : `Objective ${place + 1}`}
            value={objective as Objective & { groups?: 'one' | 'worst' }}
            subgroups={props.subgroups}
            onMetric={props.onMetric}
            onChange={(part) => set(part as Partial<Objective>)}
          />
          {metric?.higher_is_better == null && (
            <Select
              size="xs"
              w={{ base: 'calc(50% - 5px)', xs: 110 }}
              label="Best is"
              placeholder="which way"
              data={[
                { value: 'high', label: 'highest' },
                { value: 'low', label: 'lowest' },
              ]}
              value={typeof objective.higher === 'boolean' ? (objective.higher ? 'high' : 'low') : null}
              onChange={(next) => set({ higher: next === null ? undefined : next === 'high' })}
            />
          )}
          {weighted ? (
            <NumberField
              label="Weight"
              name={`Weight of ${title}`}
              width={80}
              value={weight}
              check={(value) => (value > 0 && value <= 1e6 ? null : 'Expected more than 0.')}
              onChange={(value) => value !== undefined && set({ weight: value })}
            />
          ) : (
            place < count - 1 && (
              <NumberField
                label={<Term name="tie">Tie within</Term>}
                name={`Tie within, ${title}`}
                empty="seed noise"
                share={isShare(metric)}
                value={objective.tolerance ?? undefined}
                check={(value) => (value >= 0 ? null : 'Expected 0 or more.')}
                onChange={(tolerance) => set({ tolerance })}
              />
            )
          )}
        </Group>
        <Group gap={2} wrap="nowrap" flex="none">
          <ActionIcon
            className={classes.quiet}
            variant="subtle"
            color="gray"
            size="lg"
            disabled={place === 0}
            aria-label={`Move ${title} up`}
            onClick={() => props.onMove(-1)}
          >
            <IconArrowUp size={15} />
          </ActionIcon>
          <ActionIcon
            className={classes.quiet}
            variant="subtle"
            color="gray"
            size="lg"
            disabled={place === count - 1}
            aria-label={`Move ${title} down`}
            onClick={() => props.onMove(1)}
          >
            <IconArrowDown size={15} />
          </ActionIcon>
          <ActionIcon
            className={classes.quiet}
            variant="subtle"
            color="gray"
            size="lg"
            disabled={count === 1}
            aria-label={`Remove the objective ${title}`}
            onClick={props.onRemove}
          >
            <IconX size={15} />
          </ActionIcon>
        </Group>
      </div>
      {problems.length > 0 && (
        <List size="sm" role="alert" className={classes.problem}>
          {problems.map((one) => (
            <List.Item key={one}>{one}</List.Item>
          ))}
        </List>
      )}
      {weighted && count > 1 && (
        <Group gap="sm" wrap="nowrap" mt={6}>
          <Slider
            className={classes.grow}
            size="sm"
            label={null}
            min={1}
            max={99}
            step={1}
            value={(100 * weight) / total}
            thumbLabel={`Slider of the weight of ${title}`}
            thumbValueText={`${Math.round((100 * weight) / total)} %`}
            // The other weights stay: this one becomes the share that is asked for.
            onChange={(share) => set({ weight: Number(((rest * share) / (100 - share)).toPrecision(3)) })}
          />
          <Text size="sm" c="dimmed" className={classes.share}>
            {Math.round((100 * weight) / total)} %
          </Text>
        </Group>
      )}
    </li>
  )
}
