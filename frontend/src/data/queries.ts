import { infiniteQueryOptions, keepPreviousData, queryOptions } from '@tanstack/react-query'
import * as api from '~/api'
import { ApiError, unwrap } from './http'
import type { FigureName, FigureRequest, JobFilter, Spec } from './types'

/** One place that knows the names of the generated calls. Pages import from here only. */
export const keys = {
  health: ['health'] as const,
  catalogue: ['catalogue'] as const,
  presets: ['presets'] as const,
  workers: ['workers'] as const,
  jobs: ['jobs'] as const,
  job: (id: string) => ['job', id] as const,
  runs: (jobId: string) => ['runs', jobId] as const,
  run: (id: string) => ['run', id] as const,
  figures: ['figure'] as const,
}

export const healthQuery = queryOptions({
  queryKey: keys.health,
  queryFn: ({ signal }) => unwrap(api.healthHealth({ signal })),
  refetchInterval: 8_000,
})

export const catalogueQuery = queryOptions({
  queryKey: keys.catalogue,
  queryFn: ({ signal }) => unwrap(api.catalogueCatalogue({ signal })),
  staleTime: 60_000,
  // A first worker publishes the catalogue some seconds after the server starts.
  refetchInterval: (query) => (query.state.data ? false : 2_000),
})

export const presetsQuery = queryOptions({
  queryKey: keys.presets,
  queryFn: ({ signal }) => unwrap(api.presetsListPresets({ signal })),
  staleTime: 300_000,
})

export const workersQuery = queryOptions({
  queryKey: keys.workers,
  queryFn: ({ signal }) => unwrap(api.workersListWorkers({ signal })),
  refetchInterval: 5_000,
})

export const jobsQuery = (filter: JobFilter) =>
  infiniteQueryOptions({
    queryKey: [...keys.jobs, filter],
    queryFn: ({ pageParam, signal }) =>
      unwrap(
        api.jobsListJobs({
          query: {
            status: filter.status ? [filter.status] : undefined,
            text: filter.text || undefined,
            cursor: pageParam ?? undefined,
            limit: 25,
          },
          signal,
        }),
      ),
    initialPageParam: null as string | null,
    getNextPageParam: (page) => page.next ?? null,
    placeholderData: keepPreviousData,
    refetchInterval: (query) =>
      query.state.data?.pages.some((page) => page.items.some((job) => isLive(job.status))) ? 2_000 : 15_000,
  })

export const jobQuery = (id: string) =>
  queryOptions({
    queryKey: keys.job(id),
    queryFn: ({ signal }) => unwrap(api.jobsGetJob({ path: { job_id: id }, signal })),
  })

export const runsQuery = (jobId: string) =>
  infiniteQueryOptions({
    queryKey: keys.runs(jobId),
    queryFn: ({ pageParam, signal }) =>
      unwrap(
        api.runsListJobRuns({
          path: { job_id: jobId },
          query: { cursor: pageParam ?? undefined, limit: 500 },
          signal,
        }),
      ),
    initialPageParam: null as string | null,
    getNextPageParam: (page) => page.next ?? null,
  })

export const runQuery = (id: string) =>
  queryOptions({
    queryKey: keys.run(id),
    queryFn: ({ signal }) => unwrap(api.runsGetRun({ path: { run_id: id }, signal })),
  })

export const figureQuery = (name: FigureName, request: FigureRequest) =>
  queryOptions({
    queryKey: [...keys.figures, name, request],
    queryFn: ({ signal }) => unwrap(api.figuresGetFigure({ path: { name }, query: request, signal })),
    placeholderData: keepPreviousData,
    staleTime: 30_000,
  })

/** What can stand on an axis of these studies. */
export const axisMenuQuery = (jobs: readonly string[], asOf?: string) =>
  queryOptions({
    queryKey: ['series', jobs, asOf],
    queryFn: ({ signal }) => unwrap(api.seriesGetMenu({ query: { job_id: [...jobs], as_of: asOf }, signal })),
    enabled: jobs.length > 0,
    placeholderData: keepPreviousData,
    staleTime: 30_000,
  })

export const linkQuery = (id: string) =>
  queryOptions({
    queryKey: ['link', id],
    queryFn: ({ signal }) => unwrap(api.linksGetLink({ path: { link_id: id }, signal })),
    staleTime: 30_000,
  })

export const previewQuery = (spec: Spec) =>
  queryOptions({
    queryKey: ['preview', spec],
    queryFn: ({ signal }) => unwrap(api.jobsPreview({ body: spec as api.JobSpec, signal })),
    placeholderData: keepPreviousData,
    retry: (count, error) => count < 2 && error instanceof ApiError && error.problem.status === 0,
    staleTime: 20_000,
    // Each answer holds more noise multipliers of slow accountants than the one before.
    refetchInterval: ({ state }) => (state.data?.noise.some((one) => one.at_most) ? 500 : false),
  })

/** One accountant's part of the calculator: the fast ones do not wait for the slow. */
export const accountingQuery = (request: api.AccountingRequest | null, accountant: 'rdp' | 'prv' | 'pld') =>
  queryOptions({
    queryKey: ['accounting', accountant, request],
    queryFn: ({ signal }) =>
      unwrap(
        api.accountingCalculate({
          body: { ...(request as api.AccountingRequest), accountants: [accountant] },
          signal,
        }),
      ),
    enabled: request !== null,
    retry: false,
    staleTime: Number.POSITIVE_INFINITY,
  })

export function isLive(status: api.Job['status']): boolean {
  return status === 'queued' || status === 'running'
}
