import { Text } from '@mantine/core'
import type { RunDetail } from '~/api'
import { FigureCard } from '~/charts/FigureCard'
import { MeasurementTable } from '~/components/MeasurementTable'
import { Panel } from '~/components/Panel'
import { Term } from '~/components/Term'

/** What an attacker learns from this one model. */
export function RunRocSection({ run }: { run: RunDetail }) {
  if (run.rocs.length === 0) return null
  return (
    <>
      <FigureCard name="roc" label="Membership inference" request={{ run_id: run.id }} height={360} />
      <Panel title="Attacks">
        <Text size="sm" c="dimmed" mb="sm">
          <Term name="membership_inference">Membership inference</Term> on this model; chance gives an AUC of
          0.5, and a <Term name="tpr_at_fpr">TPR at 0.1 % FPR</Term> of 0.001.
        </Text>
        <MeasurementTable measurements={run.measurements} only="attack" />
      </Panel>
    </>
  )
}
