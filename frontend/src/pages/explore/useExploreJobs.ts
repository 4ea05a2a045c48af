import { useInfiniteQuery } from '@tanstack/react-query'
import { jobsQuery } from '~/data/queries'
import { ago } from '~/lib/format'

/** The studies drawn: those in the address, or the newest one that has a result. */
export function useExploreJobs(chosen: string[] | undefined) {
  const { data } = useInfiniteQuery(jobsQuery({}))
  const known = data?.pages.flatMap((page) => page.items) ?? []
  const measured = known.filter((job) => job.finished > 0)
  const jobs = chosen ?? measured.slice(0, 1).map((job) => job.id)
  const options = known.map((job) => ({ value: job.id, label: `${job.name}, ${ago(job.created_at)}` }))
  for (const id of jobs)
    if (!options.some((option) => option.value === id)) options.push({ value: id, label: `Study ${id}` })
  return { jobs, options, empty: data !== undefined && jobs.length === 0 }
}
