import { Select } from '@mantine/core'
import { getRouteApi } from '@tanstack/react-router'
import type { JobDetail } from '~/api'
import { among } from '~/lib/axes'
import { partitionsOf, partitionTitle } from '~/lib/subgroups'

const route = getRouteApi('/studies/$id')

/** The attributes between whose groups gaps are compared: those that the address names, or the first of the study. */
export function useBetween(job: JobDetail): string | undefined {
  return among(route.useSearch().between, partitionsOf([job]))
}

/** Chooses them; shown where a study has several. */
export function BetweenMenu({ job }: { job: JobDetail }) {
  const navigate = route.useNavigate()
  const chosen = useBetween(job)
  const names = partitionsOf([job])
  if (names.length < 2) return null
  return (
    <Select
      size="xs"
      w={{ base: '100%', sm: 210 }}
      label="Gap between groups of"
      data={names.map((name) => ({ value: name, label: partitionTitle(name) }))}
      value={chosen ?? null}
      allowDeselect={false}
      onChange={(between) =>
        between && navigate({ search: (old) => ({ ...old, between }), resetScroll: false })
      }
    />
  )
}
