import { Text } from '@mantine/core'
import type { Gaussian, GaussianValue } from '~/api'
import { type Column, DataTable } from '~/components/DataTable'
import { Term } from '~/components/Term'
import { integer, interval, number } from '~/lib/format'
import type { GlossaryTerm } from '~/lib/glossary'

const TERMS: Partial<Record<GaussianValue['quantity'], GlossaryTerm>> = {
  auc: 'membership_auc',
  advantage: 'membership_advantage',
  tpr_1: 'tpr_at_one',
  tpr_01: 'tpr_at_fpr',
  gap: 'margin_gap',
  robust_accuracy: 'accuracy_under_attack',
}

const simulated = (row: GaussianValue, place: 0 | 1) => {
  const found = row.simulated[place]
  return found ? `${number(found.mean)} (${interval(found.low, found.high)})` : '–'
}

const COLUMNS: Column<GaussianValue>[] = [
  {
    key: 'quantity',
    title: 'At this setting',
    cell: (row) => {
      const term = TERMS[row.quantity]
      return term ? <Term name={term}>{row.title}</Term> : row.title
    },
  },
  {
    key: 'standard',
    title: <Term name="standard_estimator">Standard</Term>,
    label: 'Standard',
    numeric: true,
    cell: (row) => number(row.standard),
  },
  { key: 'standardSimulated', title: 'Simulated (95 %)', numeric: true, cell: (row) => simulated(row, 0) },
  {
    key: 'robust',
    title: <Term name="robust_estimator">Robust</Term>,
    label: 'Robust',
    numeric: true,
    cell: (row) => number(row.robust),
  },
  { key: 'robustSimulated', title: 'Simulated (95 %)', numeric: true, cell: (row) => simulated(row, 1) },
  { key: 'better', title: 'Better', cell: (row) => row.better },
]

/** Everything at the chosen setting: expected, and simulated with its interval. */
export function ValuesTable({ answer }: { answer: Gaussian }) {
  const trainings = answer.values[0]?.simulated[0]?.trainings
  return (
    <>
      <DataTable
        label="Both estimators at this setting"
        columns={COLUMNS}
        rows={answer.values}
        rowKey={(row) => row.quantity}
      />
      <Text size="xs" c="dimmed" mt={6} className="tabular">
        Expected over trainings, by theory
        {trainings
          ? `; simulated: mean of ${integer(trainings)} trainings with its 95 % interval.`
          : '; too large to simulate while you wait.'}
      </Text>
    </>
  )
}
