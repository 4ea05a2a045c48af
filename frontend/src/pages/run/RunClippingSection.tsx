import { getRouteApi } from '@tanstack/react-router'
import type { RunDetail } from '~/api'
import { FigureCard } from '~/charts/FigureCard'
import { PartitionMenu } from '~/charts/PartitionMenu'
import { among } from '~/lib/axes'
import { partitionsOfHistory } from '~/lib/clipping'

const route = getRouteApi('/runs/$id')

/** What clipping did to each group's gradients along this run; a run without privacy clips nothing. */
export function RunClippingSection({ run }: { run: RunDetail }) {
  const { groups } = route.useSearch()
  const navigate = route.useNavigate()
  if (run.epsilon === null || !run.history.length) return null
  const partitions = partitionsOfHistory(run.history)
  const chosen = among(groups, partitions)
  return (
    <FigureCard
      name="clipping"
      label="What clipping did to each group's gradients"
      request={{ run_id: run.id, subgroup: chosen }}
      height={820}
      controls={
        <PartitionMenu
          names={partitions}
          value={chosen}
          onChange={(next) =>
            navigate({ search: (old) => ({ ...old, groups: next }), replace: true, resetScroll: false })
          }
        />
      }
    />
  )
}
