import { infiniteQueryOptions, keepPreviousData, queryOptions } from '@tanstack/react-query'
import * as api from '~/api'
import { ApiError, unwrap } from './http'
import { isLive, type ReadPage, type ReadPages, unchanged } from './jobPages'
import type { FigureName, FigureRequest, JobFilter, Spec } from './types'

/** One place that knows the names of the generated calls. Pages import from here only. */
export const keys = {
  health: ['health'] as const,
  catalogue: ['catalogue'] as const,
  presets: ['presets'] as const,
  workers: ['workers'] as const,
  jobs: ['jobs'] as const,
  facets: ['jobs', 'facets'] as const,
  job: (id: string) => ['job', id] as const,
  runs: (jobId: string) => ['runs', jobId] as const,
  run: (id: string) => ['run', id] as const,
  groups: (jobId: string) => ['runs', jobId, 'groups'] as const,
  columns: (jobId: string) => ['runs', jobId, 'columns'] as const,
  figures: ['figure'] as const,
  notifications: ['notifications'] as const,
  deliveries: ['deliveries'] as const,
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
    queryKey: [...keys.jobs, 'list', filter],
    queryFn: async ({ pageParam, signal, client, queryKey }): Promise<ReadPage> => {
      // However many pages are loaded, a refresh asks for the first one and for those that can have changed.
      const known = client.getQueryState(queryKey)?.isInvalidated
        ? undefined
        : unchanged(client.getQueryData<ReadPages>(queryKey), pageParam, Date.now())
      if (known) return known
      const page = await unwrap(
        api.jobsListJobs({
          query: {
            status: filter.status ? [filter.status] : undefined,
            text: filter.text || undefined,
            dataset: filter.dataset,
            method: filter.method,
            tag: filter.tag,
            preset: filter.preset,
            archived: filter.archived,
            sort: filter.sort,
            ascending: filter.up,
            cursor: pageParam ?? undefined,
            limit: 100,
          },
          signal,
        }),
      )
      return { ...page, at: Date.now() }
    },
    initialPageParam: null as string | null,
    getNextPageParam: (page) => page.next ?? null,
    placeholderData: keepPreviousData,
    refetchInterval: ({ state }) => {
      const pages = state.data?.pages ?? []
      return pages.some((page) => page.items.some((job) => isLive(job.status))) ? 2_000 : 15_000
    },
  })

export const facetsQuery = queryOptions({
  queryKey: keys.facets,
  queryFn: ({ signal }) => unwrap(api.jobsJobFacets({ signal })),
  staleTime: 10_000,
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
          query: { cursor: pageParam ?? undefined, limit: 1000 },
          signal,
        }),
      ),
    initialPageParam: null as string | null,
    getNextPageParam: (page) => page.next ?? null,
  })

/** Which numbers the run table shows. */
export interface Numbers {
  metrics: string[]
  subgroup: string
}

export const groupsQuery = (jobId: string, by: string[], { metrics, subgroup }: Numbers) =>
  queryOptions({
    queryKey: [...keys.groups(jobId), by, metrics, subgroup],
    queryFn: ({ signal }) =>
      unwrap(
        api.jobsJobGroups({ path: { job_id: jobId }, query: { by, metric: metrics, subgroup }, signal }),
      ),
    placeholderData: keepPreviousData,
  })

export const columnsQuery = (jobId: string, { metrics, subgroup }: Numbers) =>
  queryOptions({
    queryKey: [...keys.columns(jobId), metrics, subgroup],
    queryFn: ({ signal }) =>
      unwrap(api.jobsJobColumns({ path: { job_id: jobId }, query: { metric: metrics, subgroup }, signal })),
    enabled: metrics.length > 0,
    placeholderData: keepPreviousData,
  })

/** Of a person, or of a browser that knows nobody: then it says itself what it has shown. */
export const notificationsQuery = (name: string | null, shown: number) => {
  const seen = name ? undefined : shown
  return queryOptions({
    // A person's own mark is kept by the server: the list has the same key before and after it moves.
    queryKey: [...keys.notifications, name, seen],
    queryFn: ({ signal }) =>
      unwrap(api.notificationsListNotifications({ query: { limit: 30, seen_up_to: seen }, signal })),
    placeholderData: keepPreviousData,
    refetchInterval: 5_000,
  })
}

/** Where mail to a person goes, as they said. */
export const mailQuery = (name: string | null) =>
  queryOptions({
    queryKey: ['people'],
    queryFn: ({ signal }) => unwrap(api.peopleListPeople({ signal })),
    select: (page) => page.items.find((one) => one.name === name)?.email ?? '',
  })

export const deliveriesQuery = queryOptions({
  queryKey: keys.deliveries,
  queryFn: ({ signal }) => unwrap(api.notificationsListDeliveries({ query: { limit: 50 }, signal })),
  refetchInterval: 10_000,
})

export const runQuery = (id: string) =>
  queryOptions({
    queryKey: keys.run(id),
    queryFn: ({ signal }) => unwrap(api.runsGetRun({ path: { run_id: id }, signal })),
  })

/** What choosing a run among the trainings of its study at the same budget would cost. */
export const choosingQuery = (run: string, job?: string) =>
  queryOptions({
    queryKey: [...keys.run(run), 'choosing', job],
    queryFn: ({ signal }) =>
      unwrap(api.runsChoosing({ path: { run_id: run }, query: { job_id: job }, signal })),
  })

export const figureQuery = (name: FigureName, request: FigureRequest, review?: string) =>
  queryOptions({
    queryKey: [...keys.figures, name, request, review],
    queryFn: ({ signal }) => {
      const { theme, width } = request
      const frozen = review && { path: { review_id: review }, query: { theme, width }, signal }
      return frozen
        ? unwrap(api.reviewsGetReviewTradeoff(frozen))
        : unwrap(api.figuresGetFigure({ path: { name }, query: request, signal }))
    },
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

/** One accountant's part of the calculator: the fast ones do not wait for the slow. What choosing costs is RDP's. */
export const accountingQuery = (request: api.AccountingRequest | null, accountant: 'rdp' | 'prv' | 'pld') => {
  const body = request && {
    ...request,
    accountants: [accountant],
    tries: accountant === 'rdp' ? request.tries : undefined,
  }
  return queryOptions({
    queryKey: ['accounting', accountant, body],
    queryFn: ({ signal }) => unwrap(api.accountingCalculate({ body: body as api.AccountingRequest, signal })),
    enabled: body !== null,
    retry: false,
    staleTime: Number.POSITIVE_INFINITY,
  })
}

/** Epsilon along a training, drawn. */
export const spendingQuery = (body: api.SpendingRequest) =>
  queryOptions({
    queryKey: ['accounting', 'figure', body],
    queryFn: ({ signal }) => unwrap(api.accountingSpending({ body, signal })),
    placeholderData: keepPreviousData,
    retry: false,
    staleTime: Number.POSITIVE_INFINITY,
  })

/** The answer before stays until the next is there; answers to earlier questions are never shown. */
export const gaussianQuery = (request: api.GaussianRequest | null) =>
  queryOptions({
    queryKey: ['gaussian', request],
    queryFn: ({ signal }) => unwrap(api.gaussianCalculate({ body: request as api.GaussianRequest, signal })),
    enabled: request !== null,
    retry: false,
    placeholderData: keepPreviousData,
    staleTime: Number.POSITIVE_INFINITY,
    gcTime: 60_000,
  })

export { isLive }
