import { useMemo, useState } from 'react'
import type { Figure } from '~/api'
import { type Column, DataTable } from '~/components/DataTable'
import { number } from '~/lib/format'
import type { Chosen } from '~/lib/selection'
import type { Order } from '~/lib/sort'

type Row = { key: string; cells: Figure['rows'][number]; setting: number | null }

interface Props {
  figure: Figure
  maxHeight?: number
  chosen?: Chosen
  /** Rows of a setting select it. */
  onToggle?: (setting: number) => void
}

/** The numbers of a figure, sortable. */
export function FigureTable({ figure, maxHeight = 420, chosen, onToggle }: Props) {
  const [order, setOrder] = useState<Order>()
  const settings = figure.row_settings
  const rows = useMemo<Row[]>(
    () => figure.rows.map((cells, i) => ({ key: String(i), cells, setting: settings?.[i] ?? null })),
    [figure.rows, settings],
  )
  const picks = onToggle && settings !== undefined && settings.length > 0
  const columns = useMemo<Column<Row>[]>(
    () =>
      figure.columns.map((column, i) => ({
        key: `${i}`,
        title: column.title,
        unit: column.unit,
        numeric: column.numeric,
        wrap: !column.numeric,
        sort: (row) => row.cells[i],
        cell: (row) => {
          const value = row.cells[i]
          return typeof value === 'number' ? number(value) : (value ?? '–')
        },
      })),
    [figure.columns],
  )
  return (
    <DataTable
      label={`Table: ${figure.title}`}
      columns={columns}
      rows={rows}
      rowKey={(row) => row.key}
      order={order}
      onOrder={setOrder}
      isSelected={picks ? (row) => row.setting !== null && (chosen?.has(row.setting) ?? false) : undefined}
      rowName={(row) => String(row.cells.find((cell) => typeof cell === 'string') ?? row.key)}
      onSelect={picks ? (row) => row.setting !== null && onToggle(row.setting) : undefined}
      maxHeight={maxHeight}
    />
  )
}
