import { Text } from '@mantine/core'
import type { PreviewNoise } from '~/api'
import { integer, number } from '~/lib/format'
import { type Column, DataTable } from './DataTable'
import { Term } from './Term'

interface Props {
  noise: readonly PreviewNoise[]
  titles: ReadonlyMap<string, string>
}

/** The noise multiplier that each privacy budget asks for. */
export function NoiseTable({ noise, titles }: Props) {
  const accountants = new Set(noise.map((row) => row.accountant))
  const columns: Column<PreviewNoise>[] = [
    { key: 'method', title: 'Method', cell: (row) => titles.get(row.method) ?? row.method },
    {
      key: 'epsilon',
      title: <Term name="epsilon">ε</Term>,
      numeric: true,
      cell: (row) => number(row.epsilon),
    },
    {
      key: 'sigma',
      title: <Term name="sigma">σ</Term>,
      numeric: true,
      cell: (row) =>
        row.at_most ? (
          <span title="Not worked out yet by this accountant; it needs no more than this.">
            at most {number(row.noise_multiplier)}
          </span>
        ) : (
          number(row.noise_multiplier)
        ),
    },
    { key: 'delta', title: <Term name="delta">δ</Term>, numeric: true, cell: (row) => number(row.delta) },
    {
      key: 'rate',
      title: <Term name="sampling_rate">sampling rate</Term>,
      numeric: true,
      cell: (row) => number(row.sampling_rate, 4),
    },
    {
      key: 'steps',
      title: <Term name="steps">steps</Term>,
      numeric: true,
      cell: (row) => integer(row.steps),
    },
    // One for all is said below the table.
    ...(accountants.size > 1
      ? [
          {
            key: 'accountant',
            title: <Term name="accountant">accountant</Term>,
            cell: (row: PreviewNoise) => row.accountant.toUpperCase(),
          },
        ]
      : []),
  ]
  return (
    <>
      <DataTable
        label="Noise multiplier per privacy budget"
        columns={columns}
        rows={noise}
        rowKey={(row) => JSON.stringify(row)}
        maxHeight={420}
      />
      {accountants.size === 1 && (
        <Text size="xs" c="dimmed" mt={6}>
          σ by the {[...accountants].join('').toUpperCase()} <Term name="accountant">accountant</Term>.
        </Text>
      )}
    </>
  )
}
