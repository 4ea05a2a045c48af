import { useMemo, useState } from 'react'
import type { Figure } from '~/api'
import { type Column, DataTable } from '~/components/DataTable'
import { number } from '~/lib/format'
import type { Order } from '~/lib/sort'

type Row = { key: string; cells: Figure['rows'][number] }

/** The numbers of a figure, sortable. */
export function FigureTable({ figure, maxHeight = 420 }: { figure: Figure; maxHeight?: number }) {
  const [order, setOrder] = useState<Order>()
  const rows = useMemo<Row[]>(() => figure.rows.map((cells, i) => ({ key: String(i), cells })), [figure.rows])
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
      maxHeight={maxHeight}
    />
  )
}
