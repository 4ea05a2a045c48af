import { notifications } from '@mantine/notifications'
import { useMutation, useQueryClient } from '@tanstack/react-query'
import { useNavigate } from '@tanstack/react-router'
import type { JobDetail } from '~/api'
import * as api from '~/api'
import { problemOf, unwrap } from './http'
import { keys } from './queries'
import type { Spec } from './types'

function tell(error: unknown) {
  const problem = problemOf(error)
  const fix = problem.problems?.map((p) => p.fix).filter(Boolean)[0]
  notifications.show({
    title: problem.title,
    message: [problem.detail, fix].filter(Boolean).join(' '),
    color: 'red',
    autoClose: 12_000,
  })
}

/** Submits a study and opens its page. Validation problems stay on the mutation, for the form. */
export function useSubmitStudy(options: { quiet?: boolean } = {}) {
  const client = useQueryClient()
  const navigate = useNavigate()
  return useMutation({
    mutationFn: (spec: Spec) => unwrap(api.jobsCreateJob({ body: spec as api.JobSpec })),
    onSuccess: (job) => {
      client.setQueryData(keys.job(job.id), job)
      client.invalidateQueries({ queryKey: keys.jobs })
      navigate({ to: '/studies/$id', params: { id: job.id } })
    },
    onError: (error) => {
      if (!options.quiet || problemOf(error).status !== 422) tell(error)
    },
  })
}

function useJobMutation(call: (id: string) => Promise<unknown>, optimistic: Partial<JobDetail>) {
  const client = useQueryClient()
  return useMutation({
    mutationFn: call,
    onMutate: (id: string) => {
      const before = client.getQueryData<JobDetail>(keys.job(id))
      if (before) client.setQueryData<JobDetail>(keys.job(id), { ...before, ...optimistic })
      return { before }
    },
    onError: (error, id, context) => {
      if (context?.before) client.setQueryData(keys.job(id), context.before)
      tell(error)
    },
    onSettled: (_data, _error, id) => {
      client.invalidateQueries({ queryKey: keys.job(id) })
      client.invalidateQueries({ queryKey: keys.jobs })
    },
  })
}

export const useCancelJob = () =>
  useJobMutation((id) => unwrap(api.jobsCancelJob({ path: { job_id: id } })), {
    progress: { phase: 'finishing', message: 'Stopping', done: 0, total: 0, seconds_left: null },
  })

export const useRetryJob = () =>
  useJobMutation((id) => unwrap(api.jobsRetryJob({ path: { job_id: id } })), {
    status: 'queued',
    problem: null,
  })

export function useDeleteJob(onDone?: () => void) {
  const client = useQueryClient()
  return useMutation({
    mutationFn: (id: string) => unwrap(api.jobsDeleteJob({ path: { job_id: id } })),
    onSuccess: (_data, id) => {
      onDone?.()
      client.removeQueries({ queryKey: keys.job(id) })
      client.invalidateQueries({ queryKey: keys.jobs })
    },
    onError: tell,
  })
}

/** A view under a short address. */
export const keepLink = (path: string, search: Record<string, string>) =>
  unwrap(api.linksCreateLink({ body: { path, search } }))
