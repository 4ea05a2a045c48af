import { keepPreviousData, queryOptions, useMutation, useQueryClient } from '@tanstack/react-query'
import * as api from '~/api'
import { unwrap } from './http'

const POINTS = ['operating-points'] as const

export const evaluationQuery = (question: api.Question) =>
  queryOptions({
    queryKey: [...POINTS, 'evaluation', question],
    queryFn: ({ signal }) => unwrap(api.operatingPointsEvaluate({ body: question, signal })),
    placeholderData: keepPreviousData,
    staleTime: 30_000,
    retry: false,
  })

export const feasibleFigureQuery = (question: api.FigureQuestion) =>
  queryOptions({
    queryKey: [...POINTS, 'figure', question],
    queryFn: ({ signal }) => unwrap(api.operatingPointsFigure({ body: question, signal })),
    placeholderData: keepPreviousData,
    staleTime: 30_000,
    retry: false,
  })

export const choicesQuery = (jobs: string[]) =>
  queryOptions({
    queryKey: [...POINTS, 'choices', jobs],
    queryFn: ({ signal }) =>
      unwrap(api.operatingPointsListOperatingPoints({ query: { job_id: jobs, limit: 20 }, signal })),
  })

function useChange<T>(call: (body: T) => Promise<unknown>) {
  const client = useQueryClient()
  return useMutation({
    mutationFn: call,
    onSuccess: () => client.invalidateQueries({ queryKey: [...POINTS, 'choices'] }),
  })
}

export const useChoose = () => useChange((body: api.Choice) => unwrap(api.operatingPointsChoose({ body })))

export const useWithdraw = () =>
  useChange(({ id, reason }: { id: string; reason: string }) =>
    unwrap(api.operatingPointsWithdraw({ path: { point_id: id }, body: { reason } })),
  )
