import type { AccountingRequest, Selected, Selection } from '~/api'
import { type Column, DataTable } from '~/components/DataTable'
import { Term } from '~/components/Term'
import { integer, number } from '~/lib/format'

interface Props {
  request: AccountingRequest
  /** Absent while it is worked out. */
  selection: Selection | null | undefined
}

interface Row extends Partial<Selected> {
  index: number
  asked: number
}

/** What the best of several trainings costs, and the noise with which it costs what was asked. */
export function SelectionTable({ request, selection }: Props) {
  const rows = (asked: readonly number[], found: readonly Selected[] | undefined): Row[] =>
    asked.map((value, index) => ({ index, asked: value, ...found?.[index] }))
  const cell = (value: number | undefined) => (value === undefined ? '…' : number(value))
  const all = `all ${integer(Math.ceil(request.tries?.mean ?? 1))} published`
  const one: Column<Row> = {
    key: 'one',
    title: (
      <>
        <Term name="epsilon">ε</Term> of one
      </>
    ),
    label: 'ε of one training',
    numeric: true,
    cell: (row) => cell(row.one),
  }
  const needed: Column<Row>[] = [
    { key: 'asked', title: 'ε after choosing', numeric: true, cell: (row) => number(row.asked) },
    {
      key: 'sigma',
      title: (
        <>
          <Term name="sigma">σ</Term> of each
        </>
      ),
      label: 'σ of each training',
      numeric: true,
      cell: (row) => cell(row.sigma),
    },
    one,
  ]
  const cost: Column<Row>[] = [
    { key: 'asked', title: 'σ of each', numeric: true, cell: (row) => number(row.asked) },
    one,
    { key: 'selected', title: 'ε after choosing', numeric: true, cell: (row) => cell(row.selected) },
    { key: 'all', title: `ε, ${all}`, numeric: true, cell: (row) => cell(row.all) },
  ]
  const tables = [
    {
      label: 'Noise with which the best of several costs each ε',
      columns: needed,
      rows: rows(request.epsilons ?? [], selection?.noise),
    },
    {
      label: 'What the best of several costs with each σ',
      columns: cost,
      rows: rows(request.sigmas ?? [], selection?.cost),
    },
  ]
  return (
    <div style={{ marginTop: 12, maxWidth: 640, display: 'grid', gap: 16 }}>
      {tables
        .filter((table) => table.rows.length > 0)
        .map((table) => (
          <DataTable key={table.label} {...table} rowKey={(row) => String(row.index)} />
        ))}
    </div>
  )
}
