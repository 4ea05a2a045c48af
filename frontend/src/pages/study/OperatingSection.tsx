import { getRouteApi } from '@tanstack/react-router'
import { useState } from 'react'
import type { JobDetail } from '~/api'
import { Fold } from '~/components/Fold'
import { OperatingPoint } from '~/pages/explore/operating/OperatingPoint'

const route = getRouteApi('/studies/$id')

/** Choosing a setting of this study; open where the address already asks something. */
export function OperatingSection({ job }: { job: JobDetail }) {
  const view = route.useSearch()
  const navigate = route.useNavigate()
  const asked = view.c !== undefined || view.o !== undefined
  const [opened, setOpened] = useState(asked)
  if (job.finished === 0) return null
  return (
    <Fold label="Operating point: choose a setting" open={asked} onOpen={() => setOpened(true)}>
      {opened && (
        <OperatingPoint
          jobs={[job.id]}
          view={view}
          onChange={(part) => navigate({ search: (old) => ({ ...old, ...part }), resetScroll: false })}
        />
      )}
    </Fold>
  )
}
