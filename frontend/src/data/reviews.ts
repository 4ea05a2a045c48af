import { notifications } from '@mantine/notifications'
import {
  infiniteQueryOptions,
  keepPreviousData,
  queryOptions,
  useMutation,
  useMutationState,
  useQueryClient,
} from '@tanstack/react-query'
import { useNavigate } from '@tanstack/react-router'
import type { NewComment, NewDecision, NewRating, NewReview, NewTask, ReviewDetail, Task } from '~/api'
import * as api from '~/api'
import type { ReviewsView } from '~/lib/reviewViews'
import { settingsOf } from '~/lib/settings'
import { problemOf, unwrap } from './http'

export type Role = api.Member['role']

/** What a review is depends on who asks, so the name is part of every key. */
type Who = string | null

export const reviewKeys = {
  lists: ['reviews'] as const,
  review: (id: string) => ['review', id] as const,
  events: (id: string) => ['review-events', id] as const,
  tasks: (id: string) => ['review-task', id] as const,
  people: ['people'] as const,
}

/** Others write while one reads. */
const POLL = 4_000

export const reviewsQuery = (filter: ReviewsView, who: Who) =>
  infiniteQueryOptions({
    queryKey: [...reviewKeys.lists, filter, who],
    queryFn: ({ pageParam, signal }) =>
      unwrap(
        api.reviewsListReviews({
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
    refetchInterval: 15_000,
  })

export const reviewQuery = (id: string, who: Who) =>
  queryOptions({
    queryKey: [...reviewKeys.review(id), who],
    queryFn: ({ signal }) => unwrap(api.reviewsGetReview({ path: { review_id: id }, signal })),
    refetchInterval: POLL,
  })

export interface ComparisonFilter {
  split: 'test' | 'validation' | 'train'
  metric: string[]
  subgroup: string[]
  tests?: 'primary' | 'all'
}

/** The snapshot never changes, and neither does an answer about it. */
export const comparisonQuery = (id: string, filter: ComparisonFilter) =>
  queryOptions({
    queryKey: ['review-comparison', id, filter],
    queryFn: ({ signal }) =>
      unwrap(api.reviewsCompareReview({ path: { review_id: id }, query: filter, signal })),
    placeholderData: keepPreviousData,
    staleTime: Number.POSITIVE_INFINITY,
  })

export const reviewEventsQuery = (id: string, events: number, who: Who) =>
  infiniteQueryOptions({
    queryKey: [...reviewKeys.events(id), events, who],
    queryFn: ({ pageParam, signal }) =>
      unwrap(
        api.reviewsListReviewEvents({
          path: { review_id: id },
          query: { cursor: pageParam ?? undefined, limit: 100 },
          signal,
        }),
      ),
    initialPageParam: null as string | null,
    getNextPageParam: (page) => page.next ?? null,
    placeholderData: keepPreviousData,
  })

export const taskQuery = (id: string, number: number, who: Who) =>
  queryOptions({
    queryKey: [...reviewKeys.tasks(id), number, who],
    queryFn: ({ signal }) => unwrap(api.reviewsGetTask({ path: { review_id: id, number }, signal })),
  })

export const peopleQuery = queryOptions({
  queryKey: reviewKeys.people,
  queryFn: ({ signal }) => unwrap(api.peopleListPeople({ signal })),
  staleTime: 30_000,
  select: (page) => page.items.map((one) => one.name),
})

function tell(error: unknown) {
  const problem = problemOf(error)
  const fixes = (problem.problems ?? []).map((one) => one.fix).filter(Boolean)
  notifications.show({
    title: problem.title,
    message: [problem.detail, fixes[0]].filter(Boolean).join(' '),
    color: 'red',
    autoClose: 12_000,
  })
}

export function useCreateReview(onDone: () => void) {
  const client = useQueryClient()
  const navigate = useNavigate()
  return useMutation({
    mutationFn: (body: NewReview) => unwrap(api.reviewsCreateReview({ body })),
    onSuccess: (review) => {
      onDone()
      client.invalidateQueries({ queryKey: reviewKeys.lists })
      client.invalidateQueries({ queryKey: reviewKeys.people })
      navigate({ to: '/reviews/$id', params: { id: review.id } })
    },
  })
}

/** What every action on a review does with the answer, which is the review as it is now. */
function useReviewAction<Input>(
  id: string,
  who: Who,
  name: string,
  call: (input: Input) => Promise<ReviewDetail>,
  quiet = false,
) {
  const client = useQueryClient()
  const query = reviewQuery(id, who)
  return useMutation({
    mutationKey: [name, id],
    mutationFn: call,
    // A poll that was on its way would bring back the state before.
    onMutate: () => client.cancelQueries({ queryKey: query.queryKey }),
    onSuccess: (review) => {
      client.setQueryData(query.queryKey, review)
      client.invalidateQueries({ queryKey: reviewKeys.lists })
      client.invalidateQueries({ queryKey: reviewKeys.people })
    },
    onError: (error) => {
      if (!quiet) tell(error)
      client.invalidateQueries({ queryKey: query.queryKey })
    },
  })
}

const COMMENT = 'review-comment'

export const useComment = (id: string, who: Who) =>
  useReviewAction<NewComment>(id, who, COMMENT, (body) =>
    unwrap(api.reviewsComment({ path: { review_id: id }, body })),
  )

/** Comments on their way: shown at once, gone again where the server refuses them. */
export const useUnsent = (id: string): NewComment[] =>
  useMutationState({
    filters: { mutationKey: [COMMENT, id], status: 'pending' },
    select: (mutation) => mutation.state.variables as NewComment,
  })

export const useEditComment = (id: string, who: Who) =>
  useReviewAction<{ comment: number; text: string }>(id, who, 'review-edit', ({ comment, text }) =>
    unwrap(api.reviewsEditComment({ path: { review_id: id, number: comment }, body: { text } })),
  )

export const useSettle = (id: string, who: Who) =>
  useReviewAction<{ thread: number; resolved: boolean }>(id, who, 'review-settle', ({ thread, resolved }) => {
    const at = { path: { review_id: id, number: thread } }
    return unwrap(resolved ? api.reviewsResolveThread(at) : api.reviewsReopenThread(at))
  })

export const useDecide = (id: string, who: Who) =>
  useReviewAction<NewDecision>(
    id,
    who,
    'review-decide',
    (body) => unwrap(api.reviewsDecide({ path: { review_id: id }, body })),
    true,
  )

export const useWithdraw = (id: string, who: Who) =>
  useReviewAction<string>(id, who, 'review-withdraw', (reason) =>
    unwrap(api.reviewsWithdrawDecision({ path: { review_id: id }, body: { reason } })),
  )

export const useSetMember = (id: string, who: Who) =>
  useReviewAction<{ name: string; role: Role | null }>(id, who, 'review-member', (body) =>
    unwrap(api.reviewsSetMember({ path: { review_id: id }, body })),
  )

function useTaskChange(id: string, who: Who) {
  const client = useQueryClient()
  return (task: Task) => {
    client.setQueryData(taskQuery(id, task.id, who).queryKey, task)
    client.invalidateQueries({ queryKey: reviewKeys.review(id) })
    client.invalidateQueries({ queryKey: reviewKeys.lists })
  }
}

export function useCreateTask(id: string, who: Who, onDone: (task: Task) => void) {
  const changed = useTaskChange(id, who)
  return useMutation({
    mutationFn: (body: NewTask) => unwrap(api.reviewsCreateTask({ path: { review_id: id }, body })),
    onSuccess: (task) => {
      changed(task)
      onDone(task)
    },
  })
}

/** An answer stands at once and is taken back where the server refuses it. Answers are sent in their order. */
export function useRate(id: string, number: number, who: Who) {
  const client = useQueryClient()
  const key = taskQuery(id, number, who).queryKey
  return useMutation({
    scope: { id: `rate ${id} ${number}` },
    mutationFn: (rating: NewRating) =>
      unwrap(api.reviewsRate({ path: { review_id: id, number }, body: { ratings: [rating] } })),
    onMutate: async (rating) => {
      await client.cancelQueries({ queryKey: key })
      const before = client.getQueryData<Task>(key)?.content.find((one) => one.id === rating.item)?.rating
      client.setQueryData<Task>(key, (task) => task && answered(task, rating.item, rating))
      return { before }
    },
    onError: (error, rating, context) => {
      client.setQueryData<Task>(key, (task) => task && answered(task, rating.item, context?.before ?? null))
      tell(error)
    },
    onSettled: () => {
      client.invalidateQueries({ queryKey: reviewKeys.review(id) })
    },
  })
}

/** The task with one answer more, or one less. */
export function answered(task: Task, item: number, rating: NewRating | null): Task {
  const content = task.content.map((one) => (one.id === item ? { ...one, rating } : one))
  return { ...task, content, unanswered: content.filter((one) => !one.rating).length }
}

export function useRateCsv(id: string, number: number, who: Who) {
  const changed = useTaskChange(id, who)
  return useMutation({
    mutationFn: (csv: string) => unwrap(api.reviewsRate({ path: { review_id: id, number }, body: { csv } })),
    onSuccess: changed,
  })
}

export function useCloseTask(id: string, number: number, who: Who) {
  const changed = useTaskChange(id, who)
  return useMutation({
    mutationFn: () => unwrap(api.reviewsCloseTask({ path: { review_id: id, number } })),
    onSuccess: changed,
    onError: tell,
  })
}

/** A file that the browser downloads with the name in the header: links cannot send one. */
export async function download(url: string, fileName: string, who: Who): Promise<void> {
  const headers: Record<string, string> = who ? { 'Equipoise-Person': encodeURIComponent(who) } : {}
  const answer = await fetch(url, { headers })
  if (!answer.ok) {
    tell(new Error(`The file could not be made: the server answered ${answer.status}.`))
    return
  }
  const link = document.createElement('a')
  link.href = URL.createObjectURL(await answer.blob())
  link.download = fileName
  link.click()
  window.setTimeout(() => URL.revokeObjectURL(link.href), 10_000)
}

/** Pages of runs that are looked through for settings, 500 runs each. */
const MOST_PAGES = 20

/** The settings of a study. */
export const settingsQuery = (jobId: string) =>
  queryOptions({
    queryKey: ['settings', jobId],
    queryFn: async ({ signal }) => {
      const runs: api.Run[] = []
      let cursor: string | undefined
      for (let page = 0; page < MOST_PAGES; page += 1) {
        const answer = await unwrap(
          api.runsListJobRuns({ path: { job_id: jobId }, query: { cursor, limit: 500 }, signal }),
        )
        runs.push(...answer.items)
        cursor = answer.next ?? undefined
        if (!cursor) break
      }
      return settingsOf(jobId, runs)
    },
    staleTime: 10_000,
  })
