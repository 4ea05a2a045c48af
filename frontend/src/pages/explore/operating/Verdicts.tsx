import { Button, Group, Text } from '@mantine/core'
import { IconMinus, IconQuestionMark, IconX } from '@tabler/icons-react'
import { useMemo } from 'react'
import type { Constraint, Feasibility, MetricInfo, Objective, SettingVerdict } from '~/api'
import { type Column, DataTable } from '~/components/DataTable'
import { Fold } from '~/components/Fold'
import { Term } from '~/components/Term'
import { number, plural } from '~/lib/format'
import { metricOf } from '~/lib/metrics'

interface Props {
  evaluation: Feasibility
  constraints: readonly Constraint[]
  objectives: readonly Objective[]
  metrics: readonly MetricInfo[]
  selected: readonly number[]
  onSelect: (setting: number) => void
  /** Absent where nothing can be chosen. */
  onChoose?: (verdict: SettingVerdict) => void
}

const STATUS = {
  feasible: { icon: IconMinus, text: 'feasible' },
  infeasible: { icon: IconX, text: 'fails' },
  unknown: { icon: IconQuestionMark, text: 'unknown' },
  excluded: { icon: IconMinus, text: 'left out' },
} as const

/** A status by sign and word, never by colour alone. */
function StatusMark({ status }: { status: SettingVerdict['status'] }) {
  const { icon: Icon, text } = STATUS[status]
  return (
    <Group gap={4} wrap="nowrap">
      <Icon size={14} aria-hidden />
      {text}
    </Group>
  )
}

function ChooseButton({
  row,
  text,
  onChoose,
}: {
  row: SettingVerdict
  text: string
  onChoose: Props['onChoose']
}) {
  if (!onChoose) return null
  return (
    <Button
      size="compact-sm"
      variant="default"
      aria-label={`${text} ${row.label}`}
      onClick={(event) => {
        event.stopPropagation()
        onChoose(row)
      }}
    >
      {text}
    </Button>
  )
}

/** Feasible settings with their numbers, the best first; below, why the others are not. */
export function Verdicts(props: Props) {
  const { evaluation, constraints, objectives, metrics, selected, onSelect, onChoose } = props
  const columns = useMemo<Column<SettingVerdict>[]>(() => {
    // A limited metric that is an objective too stands there once.
    const extra = objectives
      .map((one, place) => ({ one, place }))
      .filter(
        ({ one }) =>
          !constraints.some(
            (limit) =>
              limit.metric === one.metric &&
              (limit.subgroup ?? 'all') === (one.subgroup ?? 'all') &&
              (limit.groups ?? 'one') === (one.groups ?? 'one') &&
              (limit.judge ?? 'mean') === 'mean' &&
              (limit.split ?? 'test') === (one.split ?? 'test'),
          ),
      )
    // Without a limit there is nothing to be sure of.
    const sure: Column<SettingVerdict>[] = [
      {
        key: 'chance',
        title: <Term name="all_hold">All hold</Term>,
        label: 'All hold',
        unit: 'seeds (95 %)',
        numeric: true,
        cell: (row) =>
          `${row.chance.held} of ${row.chance.seeds} (${row.chance.low.toFixed(2)} to ${row.chance.high.toFixed(2)})`,
      },
      {
        key: 'means',
        title: <Term name="means_hold">Means hold</Term>,
        label: 'Means hold',
        unit: '%',
        numeric: true,
        cell: (row) =>
          row.chance.means == null ? 'too few seeds' : String(Number((100 * row.chance.means).toFixed(1))),
      },
    ]
    return [
      { key: 'label', title: 'Setting', wrap: true, cell: (row) => row.label + (row.tied ? ' (tied)' : '') },
      ...(onChoose
        ? [
            {
              key: 'choose',
              title: '',
              label: 'Choose',
              cell: (row: SettingVerdict) => <ChooseButton row={row} text="Choose" onChoose={onChoose} />,
            },
          ]
        : []),
      ...evaluation.constraints.map((one, j) => ({
        key: `c${j}`,
        title: one.title,
        unit: one.unit,
        numeric: true,
        cell: (row: SettingVerdict) =>
          row.checks[j]?.unbounded ? 'unbounded' : number(row.checks[j]?.value),
      })),
      ...extra.map(({ one, place }) => ({
        key: `o${place}`,
        title: metricOf(metrics, one.metric)?.title ?? one.metric,
        unit: metricOf(metrics, one.metric)?.unit,
        numeric: true,
        cell: (row: SettingVerdict) => number(row.objectives[place]),
      })),
      ...(constraints.length > 0 ? sure : []),
    ]
  }, [evaluation, constraints, objectives, metrics, onChoose])
  const common = {
    rowKey: (row: SettingVerdict) => String(row.setting_id),
    selected: selected.length ? String(selected[0]) : undefined,
    onSelect: (row: SettingVerdict) => onSelect(row.setting_id),
    maxHeight: 360,
  }
  const rest = evaluation.settings - evaluation.feasible
  return (
    <>
      {evaluation.met.length > 0 && (
        <DataTable label="Feasible settings" columns={columns} rows={evaluation.met} {...common} />
      )}
      {evaluation.feasible > evaluation.met.length && (
        <Text size="sm" c="dimmed" mt={4}>
          The best {evaluation.met.length} of {evaluation.feasible.toLocaleString('en-US')} feasible settings.
        </Text>
      )}
      {evaluation.others.length > 0 && (
        <Fold label={`Why not: ${plural(rest, 'other setting')}`} open={evaluation.feasible === 0}>
          <DataTable
            label="Settings that are not feasible"
            columns={[
              { key: 'label', title: 'Setting', wrap: true, cell: (row) => row.label },
              { key: 'status', title: 'Status', cell: (row) => <StatusMark status={row.status} /> },
              {
                key: 'why',
                title: 'Why',
                wrap: true,
                cell: (row) => row.reasons.join('; '),
              },
              ...(onChoose
                ? [
                    {
                      key: 'choose',
                      title: '',
                      label: 'Choose anyway',
                      cell: (row: SettingVerdict) => (
                        <ChooseButton row={row} text="Choose anyway" onChoose={onChoose} />
                      ),
                    },
                  ]
                : []),
            ]}
            rows={evaluation.others}
            {...common}
          />
          {rest > evaluation.others.length && (
            <Text size="sm" c="dimmed" mt={4}>
              The nearest {evaluation.others.length} of {rest.toLocaleString('en-US')}.
            </Text>
          )}
        </Fold>
      )}
    </>
  )
}
