import { type Column, DataTable } from '~/components/DataTable'
import { Term } from '~/components/Term'
import { number } from '~/lib/format'
import type { GlossaryTerm } from '~/lib/glossary'
import { ACCOUNTANTS } from './fields'

interface Props {
  label: string
  asked: string
  term: GlossaryTerm
  answer: string
  values: readonly number[]
  /** Per accountant one answer per value; absent while it is worked out. */
  columns: readonly (readonly number[] | undefined)[]
}

interface Row {
  index: number
  value: number
}

/** One row per asked value, one column per accountant. */
export function AccountTable({ label, asked, term, answer, values, columns }: Props) {
  if (!values.length) return null
  const shown: Column<Row>[] = [
    {
      key: 'asked',
      title: <Term name={term}>{asked}</Term>,
      label: asked,
      numeric: true,
      cell: (row) => number(row.value),
    },
    ...ACCOUNTANTS.map(
      (name, place): Column<Row> => ({
        key: name,
        title: (
          <>
            {answer} <Term name={name}>{name.toUpperCase()}</Term>
          </>
        ),
        label: `${answer} by ${name.toUpperCase()}`,
        numeric: true,
        cell: (row) => {
          const answers = columns[place]
          return answers ? number(answers[row.index]) : '…'
        },
      }),
    ),
  ]
  return (
    <div style={{ marginTop: 12, maxWidth: 640 }}>
      <DataTable
        label={label}
        columns={shown}
        rows={values.map((value, index) => ({ index, value }))}
        rowKey={(row) => String(row.index)}
      />
    </div>
  )
}
