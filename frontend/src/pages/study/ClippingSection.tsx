import { Select } from '@mantine/core'
import { useQuery } from '@tanstack/react-query'
import { getRouteApi } from '@tanstack/react-router'
import type { JobDetail } from '~/api'
import { BudgetMenu } from '~/charts/AxisMenus'
import { FigureCard } from '~/charts/FigureCard'
import { PartitionMenu } from '~/charts/PartitionMenu'
import { catalogueQuery, isLive } from '~/data/queries'
import { among } from '~/lib/axes'
import { budgetsOf } from '~/lib/budgets'
import { partitionsOf } from '~/lib/subgroups'
import type { StudyView } from '~/lib/views'

const route = getRouteApi('/studies/$id')

/** Whose gradients a private method bends, and when in training; nothing for a study without one. */
export function ClippingSection({ job }: { job: JobDetail }) {
  const { bends, groups, at } = route.useSearch()
  const navigate = route.useNavigate()
  const { data } = useQuery(catalogueQuery)
  const known = data?.plugins.filter((one) => one.kind === 'method' && one.method?.private) ?? []
  const methods = known.filter((one) => job.methods.includes(one.name))
  const method = among(
    bends,
    methods.map((one) => one.name),
  )
  const partitions = partitionsOf([job])
  const chosen = among(groups, partitions)
  const budgets = budgetsOf(job)
  const epsilon = among(at, budgets)
  const set = (part: StudyView) => navigate({ search: (old) => ({ ...old, ...part }), resetScroll: false })
  if (data && !method) return null
  return (
    <FigureCard
      name="clipping"
      label="What clipping does to each group's gradients"
      request={{ job_id: [job.id], method, subgroup: chosen, epsilon }}
      ready={data !== undefined}
      growing={isLive(job.status)}
      height={820}
      controls={
        <>
          {methods.length > 1 && (
            <Select
              size="xs"
              w={{ base: '100%', sm: 210 }}
              label="Clipping of"
              data={methods.map((one) => ({ value: one.name, label: one.title }))}
              value={method ?? null}
              allowDeselect={false}
              onChange={(next) => next && set({ bends: next })}
            />
          )}
          <PartitionMenu names={partitions} value={chosen} onChange={(next) => set({ groups: next })} />
          {epsilon !== undefined && (
            <BudgetMenu value={epsilon} budgets={budgets} onChange={(next) => set({ at: next })} />
          )}
        </>
      }
    />
  )
}
