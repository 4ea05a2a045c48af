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
    progress: { phase: 'finishing', message: 'Stopping', done: 0, total: 0, seconds_left: null, share: null },
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

/** Tags or archives studies; what they become is shown at once, and taken back where the server refuses. */
export function useChangeJobs(onDone?: () => void) {
  const client = useQueryClient()
  return useMutation({
    mutationFn: (change: api.JobsChange) => unwrap(api.jobsChangeJobs({ body: change })),
    onMutate: (change) => {
      const before = client.getQueriesData<Pages>({ queryKey: [...keys.jobs, 'list'] })
      client.setQueriesData<Pages>({ queryKey: [...keys.jobs, 'list'] }, (old) => old && changed(old, change))
      return { before }
    },
    onSuccess: () => onDone?.(),
    onError: (error, _change, context) => {
      for (const [key, data] of context?.before ?? []) client.setQueryData(key, data)
      tell(error)
    },
    onSettled: (_data, _error, change) => {
      for (const id of change.ids) client.invalidateQueries({ queryKey: keys.job(id) })
      client.invalidateQueries({ queryKey: keys.jobs })
    },
  })
}

interface Pages {
  pages: api.JobPage[]
  pageParams: unknown[]
}

/** The list as it will be, but for what a filter will leave out. */
function changed(data: Pages, { ids, add_tags = [], remove_tags = [], archived }: api.JobsChange): Pages {
  const wanted = new Set(ids)
  const one = (job: api.Job): api.Job => {
    if (!wanted.has(job.id)) return job
    const tags = [...new Set([...job.tags, ...add_tags])].filter((tag) => !remove_tags.includes(tag))
    const since = archived ? (job.archived_at ?? new Date().toISOString()) : null
    return {
      ...job,
      tags,
      archived_at: archived === undefined || archived === null ? job.archived_at : since,
    }
  }
  return { ...data, pages: data.pages.map((page) => ({ ...page, items: page.items.map(one) })) }
}

export function useDeleteJobs(onDone?: () => void) {
  const client = useQueryClient()
  return useMutation({
    mutationFn: (ids: string[]) => unwrap(api.jobsDeleteJobs({ body: { ids } })),
    onSuccess: (_data, ids) => {
      onDone?.()
      for (const id of ids) client.removeQueries({ queryKey: keys.job(id) })
      client.invalidateQueries({ queryKey: keys.jobs })
    },
    onError: tell,
  })
}

export function useSeeNotifications() {
  const client = useQueryClient()
  return useMutation({
    mutationFn: (up_to: number) => unwrap(api.notificationsSeeNotifications({ body: { up_to } })),
    onMutate: async (up_to) => {
      await client.cancelQueries({ queryKey: keys.notifications })
      client.setQueriesData<api.Notifications>(
        { queryKey: keys.notifications },
        (old) =>
          old && { ...old, unseen: 0, items: old.items.map((one) => ({ ...one, seen: one.id <= up_to })) },
      )
    },
    onSettled: () => client.invalidateQueries({ queryKey: keys.notifications }),
    onError: tell,
  })
}

export function useMailAddress(onDone?: () => void) {
  return useMutation({
    mutationFn: (email: string | null) => unwrap(api.peopleUpdateMe({ body: { email } })),
    onSuccess: () => onDone?.(),
  })
}
