import { getRouteApi } from '@tanstack/react-router'
import type { JobDetail } from '~/api'
import { AttackMenu, useAttacksWithCurves } from '~/charts/AttackMenu'
import { BudgetMenu, SubgroupMenu } from '~/charts/AxisMenus'
import { FigureCard } from '~/charts/FigureCard'
import { isLive } from '~/data/queries'
import { among } from '~/lib/axes'
import { budgetsOf } from '~/lib/budgets'
import { subgroupMenu } from '~/lib/subgroups'
import type { StudyView } from '~/lib/views'

const route = getRouteApi('/studies/$id')

/** What an attacker still learns, of everybody or of one group. */
export function RocSection({ job }: { job: JobDetail }) {
  const { group, at, attack } = route.useSearch()
  const navigate = route.useNavigate()
  const budgets = budgetsOf(job)
  const epsilon = among(at, budgets)
  const menu = subgroupMenu(undefined, group, [job])
  const attacks = useAttacksWithCurves((job.spec.evaluation?.attacks ?? []).map((one) => one.name))
  // Named, so that the figure is of the attack that the menu shows.
  const chosen = among(attack, attacks)
  const set = (part: StudyView) => navigate({ search: (old) => ({ ...old, ...part }), resetScroll: false })
  return (
    <FigureCard
      name="roc"
      label="Membership inference"
      request={{ job_id: [job.id], subgroup: group ? menu.chosen : undefined, epsilon, attack: chosen }}
      growing={isLive(job.status)}
      controls={
        <>
          <AttackMenu attacks={attacks} value={chosen} onChange={(next) => set({ attack: next })} />
          <SubgroupMenu menu={menu} onChange={(next) => set({ group: next === 'all' ? undefined : next })} />
          {epsilon !== undefined && (
            <BudgetMenu value={epsilon} budgets={budgets} onChange={(next) => set({ at: next })} />
          )}
        </>
      }
    />
  )
}
