import { Button, Text } from '@mantine/core'
import { useMemo } from 'react'
import type { Feasibility, SettingVerdict } from '~/api'
import { type Column, DataTable } from '~/components/DataTable'
import { Fold } from '~/components/Fold'
import { number } from '~/lib/format'

interface Props {
  evaluation: Feasibility
  objectives: readonly string[]
  selected: readonly number[]
  onSelect: (setting: number) => void
  onChoose: (verdict: SettingVerdict) => void
}

/** Feasible settings with their numbers; below, why the others are not. */
export function Verdicts({ evaluation, objectives, selected, onSelect, onChoose }: Props) {
  const columns = useMemo<Column<SettingVerdict>[]>(
    () => [
      { key: 'label', title: 'Setting', wrap: true, cell: (row) => row.label + (row.tied ? ' (tied)' : '') },
      ...evaluation.constraints.map((one, j) => ({
        key: `c${j}`,
        title: one.title,
        unit: one.unit,
        numeric: true,
        cell: (row: SettingVerdict) => number(row.checks[j]?.value),
      })),
      ...objectives.map((name, j) => ({
        key: `o${j}`,
        title: `Objective: ${name}`,
        numeric: true,
        cell: (row: SettingVerdict) => number(row.objectives[j]),
      })),
      {
        key: 'chance',
        title: 'All hold on seeds',
        numeric: true,
        cell: (row) =>
          `${row.chance.held} of ${row.chance.seeds} (95 %: ${row.chance.low.toFixed(2)} to ${row.chance.high.toFixed(2)})`,
      },
      {
        key: 'means',
        title: 'Means hold (bootstrap)',
        numeric: true,
        cell: (row) => (row.chance.means == null ? 'too few seeds' : number(row.chance.means)),
      },
      {
        key: 'choose',
        title: '',
        label: 'Choose',
        cell: (row) => (
          <Button
            size="compact-xs"
            variant="default"
            aria-label={`Choose ${row.label}`}
            onClick={(event) => {
              event.stopPropagation()
              onChoose(row)
            }}
          >
            Choose
          </Button>
        ),
      },
    ],
    [evaluation, objectives, onChoose],
  )
  const common = {
    rowKey: (row: SettingVerdict) => String(row.setting_id),
    selected: selected.length ? String(selected[0]) : undefined,
    onSelect: (row: SettingVerdict) => onSelect(row.setting_id),
    maxHeight: 360,
  }
  return (
    <>
      {evaluation.met.length > 0 && (
        <DataTable label="Feasible settings" columns={columns} rows={evaluation.met} {...common} />
      )}
      {evaluation.others.length > 0 && (
        <Fold label={`Why not: ${evaluation.settings - evaluation.feasible} other settings`}>
          <DataTable
            label="Settings that are not feasible"
            columns={[
              { key: 'label', title: 'Setting', wrap: true, cell: (row) => row.label },
              { key: 'status', title: 'Status', cell: (row) => row.status },
              {
                key: 'why',
                title: 'Why',
                wrap: true,
                cell: (row) => <Text size="xs">{row.reasons.join('; ')}</Text>,
              },
            ]}
            rows={evaluation.others}
            {...common}
          />
        </Fold>
      )}
    </>
  )
}
