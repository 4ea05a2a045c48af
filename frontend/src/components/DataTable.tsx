import { UnstyledButton, VisuallyHidden } from '@mantine/core'
import { IconArrowDown, IconArrowUp } from '@tabler/icons-react'
import { useVirtualizer } from '@tanstack/react-virtual'
import type { ReactNode } from 'react'
import { useLayoutEffect, useMemo, useRef } from 'react'
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
  /** The rows come in the order that `order` names. */
  sorted?: boolean
  /** Marks a row as a heading of those below it. */
  heading?: (row: Row) => boolean
}

/** From so many rows on, only those in view are drawn: all rows of such a table are one line high. */
const MANY = 100
const ROW_HEIGHT = 34

/** A dense table that scrolls inside itself; headers sort where the column says how. */
export function DataTable<Row>(props: Props<Row>) {
  const { columns, rows, rowKey, order, onOrder, selected, isSelected, onSelect, heading } = props
  const presorted = props.sorted
  const sorted = useMemo(
    () =>
      presorted
        ? rows
        : sortRows(rows, columns.find((column) => column.key === order?.key)?.sort, order?.down ?? false),
    [rows, columns, order, presorted],
  )
  const scroll = useRef<HTMLElement>(null)
  const many = sorted.length > MANY
  const window = useVirtualizer({
    count: sorted.length,
    enabled: many,
    getScrollElement: () => scroll.current,
    estimateSize: () => ROW_HEIGHT,
    overscan: 12,
    initialRect: { width: 0, height: props.maxHeight ?? 600 },
  })
  const head = useSteadyWidths(many, columns)
  const seen = window.getVirtualItems()
  const places = many ? seen.map((item) => item.index) : sorted.map((_, index) => index)
  const above = many ? (seen[0]?.start ?? 0) : 0
  const below = many ? window.getTotalSize() - (seen.at(-1)?.end ?? 0) : 0
  return (
    <section
      ref={scroll}
      className={classes.scroll}
      style={{ maxHeight: props.maxHeight ?? (many ? 600 : undefined) }}
      aria-label={props.label}
      tabIndex={0}
    >
      <table className={classes.table} aria-rowcount={many ? sorted.length + 1 : undefined}>
        <thead ref={head}>
          <tr>
            {isSelected && <td className={classes.pick} />}
            {columns.map((column) => (
              <HeaderCell key={column.key} column={column} order={order} onOrder={onOrder} />
            ))}
          </tr>
        </thead>
        <tbody>
          {above > 0 && <Gap height={above} span={columns.length + (isSelected ? 1 : 0)} />}
          {places.map((place) => {
            const row = sorted[place] as Row
            const key = rowKey(row)
            return (
              <tr
                key={key}
                aria-rowindex={many ? place + 2 : undefined}
                style={many ? { height: ROW_HEIGHT } : undefined}
                data-selected={(isSelected ? isSelected(row) : key === selected) || undefined}
                data-heading={heading?.(row) || undefined}
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
                    data-wrap={(column.wrap && !many) || undefined}
                  >
                    {column.cell(row)}
                  </td>
                ))}
              </tr>
            )
          })}
          {below > 0 && <Gap height={below} span={columns.length + (isSelected ? 1 : 0)} />}
        </tbody>
      </table>
    </section>
  )
}

/** Room for the rows that are not drawn. */
function Gap({ height, span }: { height: number; span: number }) {
  return (
    <tr aria-hidden className={classes.gap}>
      <td colSpan={span} style={{ height, padding: 0 }} />
    </tr>
  )
}

/** Columns never become narrower while rows come and go, so that nothing jumps. */
function useSteadyWidths(on: boolean, columns: readonly unknown[]) {
  const head = useRef<HTMLTableSectionElement>(null)
  const widest = useRef<{ of: unknown; widths: number[] }>({ of: null, widths: [] })
  useLayoutEffect(() => {
    const cells = [...(head.current?.rows[0]?.cells ?? [])]
    if (!on || widest.current.of !== columns) {
      widest.current = { of: columns, widths: [] }
      for (const cell of cells) cell.style.minWidth = ''
    }
    if (!on) return
    cells.forEach((cell, place) => {
      const width = Math.max(widest.current.widths[place] ?? 0, cell.offsetWidth)
      widest.current.widths[place] = width
      cell.style.minWidth = `${width}px`
    })
  })
  return head
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
      {column.title || <VisuallyHidden>{name}</VisuallyHidden>}
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
