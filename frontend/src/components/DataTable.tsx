import { UnstyledButton } from '@mantine/core'
import { IconArrowDown, IconArrowUp } from '@tabler/icons-react'
import type { ReactNode } from 'react'
import { useMemo } from 'react'
import { type Order, sortRows } from '~/lib/sort'
import classes from './DataTable.module.css'

export interface Column<Row> {
  key: string
  title: ReactNode
  /** Plain name, where the title is not text. */
  label?: string
  unit?: string
  numeric?: boolean
  /** Long words go on several lines; the other columns stay in view. */
  wrap?: boolean
  sort?: (row: Row) => string | number | null | undefined
  cell: (row: Row) => ReactNode
}

interface Props<Row> {
  label: string
  columns: Column<Row>[]
  rows: readonly Row[]
  rowKey: (row: Row) => string
  order?: Order
  onOrder?: (order: Order) => void
  selected?: string
  /** Where several rows can be selected: whether this one is. Each then has a box, and a click toggles it. */
  isSelected?: (row: Row) => boolean
  /** What a row is called beside its box. */
  rowName?: (row: Row) => string
  onSelect?: (row: Row) => void
  maxHeight?: number
}

/** A dense table that scrolls inside itself; headers sort where the column says how. */
export function DataTable<Row>(props: Props<Row>) {
  const { columns, rows, rowKey, order, onOrder, selected, isSelected, onSelect } = props
  const sorted = useMemo(
    () => sortRows(rows, columns.find((column) => column.key === order?.key)?.sort, order?.down ?? false),
    [rows, columns, order],
  )
  return (
    <section
      className={classes.scroll}
      style={{ maxHeight: props.maxHeight }}
      aria-label={props.label}
      tabIndex={0}
    >
      <table className={classes.table}>
        <thead>
          <tr>
            {isSelected && <td className={classes.pick} />}
            {columns.map((column) => (
              <HeaderCell key={column.key} column={column} order={order} onOrder={onOrder} />
            ))}
          </tr>
        </thead>
        <tbody>
          {sorted.map((row) => {
            const key = rowKey(row)
            return (
              <tr
                key={key}
                data-selected={(isSelected ? isSelected(row) : key === selected) || undefined}
                data-clickable={onSelect ? true : undefined}
                onClick={onSelect ? () => onSelect(row) : undefined}
              >
                {isSelected && (
                  <td className={classes.pick}>
                    <input
                      type="checkbox"
                      aria-label={`Select ${props.rowName?.(row) ?? key}`}
                      checked={isSelected(row)}
                      onClick={(event) => event.stopPropagation()}
                      onChange={() => onSelect?.(row)}
                    />
                  </td>
                )}
                {columns.map((column) => (
                  <td
                    key={column.key}
                    data-numeric={column.numeric || undefined}
                    data-wrap={column.wrap || undefined}
                  >
                    {column.cell(row)}
                  </td>
                ))}
              </tr>
            )
          })}
        </tbody>
      </table>
    </section>
  )
}

interface HeaderProps<Row> {
  column: Column<Row>
  order?: Order
  onOrder?: (order: Order) => void
}

function HeaderCell<Row>({ column, order, onOrder }: HeaderProps<Row>) {
  const active = order?.key === column.key
  const name = column.label ?? (typeof column.title === 'string' ? column.title : column.key)
  const content = (
    <>
      {column.title}
      {column.unit && <span className={classes.unit}> {column.unit}</span>}
    </>
  )
  return (
    <th
      scope="col"
      data-numeric={column.numeric || undefined}
      aria-sort={active ? (order.down ? 'descending' : 'ascending') : undefined}
    >
      {content}
      {column.sort && onOrder && (
        <UnstyledButton
          className={classes.sort}
          data-active={active || undefined}
          aria-label={`Sort by ${name}`}
          onClick={() => onOrder({ key: column.key, down: active ? !order.down : false })}
        >
          {active && order.down ? <IconArrowDown size={13} /> : <IconArrowUp size={13} />}
        </UnstyledButton>
      )}
    </th>
  )
}
