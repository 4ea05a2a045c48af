import { useInfiniteQuery, useQuery, useQueryClient } from '@tanstack/react-query'
import type { Figure } from '~/api'
import { healthQuery, isLive, jobQuery, jobsQuery, keys } from '~/data/queries'
import { type Facts, readingOf, studyOf } from './facts'

/** What the tour speaks of, as the server says; asked for only while `on`. */
export function useFacts(on: boolean, remembered: string | undefined): Facts {
  const client = useQueryClient()
  const list = useInfiniteQuery({ ...jobsQuery({}), enabled: on })
  const health = useQuery({ ...healthQuery, enabled: on })
  const listed = studyOf(
    list.data?.pages.flatMap((page) => page.items),
    remembered,
  )
  const id = remembered ?? listed?.id
  // The page of a study keeps this up to date by its events; elsewhere it is asked for now and then.
  const { data, error } = useQuery({
    ...jobQuery(id ?? ''),
    enabled: on && id !== undefined,
    refetchInterval: ({ state }) => (state.data && isLive(state.data.status) ? 3_000 : false),
  })
  const drawn = client
    .getQueryCache()
    .findAll({ queryKey: [...keys.figures, 'tradeoff'], type: 'active' })
    .map((query) => query.state.data as Figure | undefined)
  return {
    study: data && !error ? data : listed,
    workers: health.data?.workers,
    reading: readingOf(drawn.find(Boolean)),
  }
}
