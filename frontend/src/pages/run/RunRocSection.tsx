import { Text } from '@mantine/core'
import { getRouteApi } from '@tanstack/react-router'
import type { RunDetail } from '~/api'
import { AttackMenu } from '~/charts/AttackMenu'
import { FigureCard } from '~/charts/FigureCard'
import { MeasurementTable } from '~/components/MeasurementTable'
import { Panel } from '~/components/Panel'
import { Term } from '~/components/Term'
import { among } from '~/lib/axes'

const route = getRouteApi('/runs/$id')

/** What an attacker learns from this one model. */
export function RunRocSection({ run }: { run: RunDetail }) {
  const { attack } = route.useSearch()
  const navigate = route.useNavigate()
  const attacks = [...new Set(run.rocs.map((roc) => roc.attack))]
  const chosen = among(attack, attacks)
  if (!chosen) return null
  return (
    <>
      <FigureCard
        name="roc"
        label="Membership inference"
        request={{ run_id: run.id, attack: chosen }}
        height={360}
        controls={
          attacks.length > 1 && (
            <AttackMenu
              attacks={attacks}
              value={chosen}
              onChange={(next) =>
                navigate({ search: (old) => ({ ...old, attack: next }), resetScroll: false })
              }
            />
          )
        }
      />
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
