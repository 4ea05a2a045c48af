import { number } from '~/lib/format'
import type { Account } from '~/lib/privacy'
import { type Column, DataTable } from './DataTable'
import { Term } from './Term'

const columns: Column<Account>[] = [
  {
    key: 'accountant',
    title: <Term name="accountant">Accountant</Term>,
    cell: (row) => (
      <>
        <Term name={row.accountant}>{row.accountant.toUpperCase()}</Term>
        {row.claimed && ' (claimed)'}
      </>
    ),
  },
  { key: 'epsilon', title: <Term name="epsilon">ε</Term>, numeric: true, cell: (row) => number(row.epsilon) },
  {
    key: 'sigma',
    title: <Term name="sigma_needed">σ needed</Term>,
    numeric: true,
    cell: (row) => number(row.sigma),
  },
]

/** What each accountant says of the noise that was used; the claim is one of them. */
export function AccountantTable({ accounts }: { accounts: readonly Account[] }) {
  return (
    <DataTable
      label="What each accountant says of the noise"
      columns={columns}
      rows={accounts}
      rowKey={(row) => row.accountant}
    />
  )
}
