import { keepPreviousData, queryOptions } from '@tanstack/react-query'
import * as api from '~/api'
import { unwrap } from '~/data/http'
import { keys } from '~/data/queries'

type Look = api.ReproductionFigureData['query']
type ReductionLook = api.ReproductionReductionsData['query']

const common = { placeholderData: keepPreviousData, staleTime: 30_000 }

/** Refreshed with the other figures while a study runs. */
export const reproductionQuery = (id: string) =>
  queryOptions({
    queryKey: [...keys.figures, 'verdicts', id],
    queryFn: ({ signal }) => unwrap(api.reproductionGet({ path: { job_id: id }, signal })),
    ...common,
  })

export const claimFigureQuery = (id: string, query: Look) =>
  queryOptions({
    queryKey: [...keys.figures, 'reproduction', id, query],
    queryFn: ({ signal }) => unwrap(api.reproductionFigure({ path: { job_id: id }, query, signal })),
    ...common,
  })

export const reductionsQuery = (id: string, query: ReductionLook) =>
  queryOptions({
    queryKey: [...keys.figures, 'reductions', id, query],
    queryFn: ({ signal }) => unwrap(api.reproductionReductions({ path: { job_id: id }, query, signal })),
    ...common,
  })
