import { type QueryClient, useQueryClient } from '@tanstack/react-query'
import { useEffect } from 'react'
import type { JobDetail } from '~/api'
import { keys } from './queries'

const TYPES = ['status', 'progress', 'run'] as const
type EventType = (typeof TYPES)[number]

export interface JobMessage {
  type: EventType
  data: Record<string, unknown>
}

/** One entry of the stream, whether the server sends the whole event or only its data. */
export function readMessage(event: string, text: string): JobMessage | null {
  let body: unknown
  try {
    body = JSON.parse(text)
  } catch {
    return null
  }
  if (typeof body !== 'object' || body === null) return null
  const record = body as Record<string, unknown>
  const type = (typeof record.type === 'string' ? record.type : event) as EventType
  if (!TYPES.includes(type)) return null
  const data = typeof record.data === 'object' && record.data !== null ? record.data : record
  return { type, data: data as Record<string, unknown> }
}

/** The job after one message. Only progress is taken as it comes; the rest is asked for again, whole. */
export function applyMessage(job: JobDetail, { type, data }: JobMessage): JobDetail {
  if (type === 'progress') {
    const progress = { ...job.progress }
    if (typeof data.phase === 'string') progress.phase = data.phase as typeof progress.phase
    if (typeof data.message === 'string') progress.message = data.message
    if (typeof data.done === 'number') progress.done = data.done
    if (typeof data.total === 'number') progress.total = data.total
    if ('seconds_left' in data)
      progress.seconds_left = typeof data.seconds_left === 'number' ? data.seconds_left : null
    if ('share' in data) progress.share = typeof data.share === 'number' ? data.share : null
    return { ...job, progress }
  }
  return job
}

/** Refetches at most every `ms`, and once more at the end of a burst. */
function throttled(act: () => void, ms: number) {
  const first = Math.min(ms, 100)
  let last = 0
  let timer: number | undefined
  const go = () => {
    last = Date.now()
    timer = undefined
    act()
  }
  return {
    call: () => {
      if (timer !== undefined) return
      timer = window.setTimeout(go, Math.max(first, last + ms - Date.now()))
    },
    stop: () => window.clearTimeout(timer),
  }
}

function refreshResults(client: QueryClient, jobId: string) {
  client.invalidateQueries({ queryKey: keys.job(jobId) })
  client.invalidateQueries({ queryKey: keys.runs(jobId) })
  client.invalidateQueries({ queryKey: keys.figures })
}

/**
 * Follows a live job. The browser reconnects by itself and sends Last-Event-ID; a slow poll runs beside the
 * stream, so that a proxy that swallows events only makes the page slower and never stale. A new stream replays
 * the job's past in one burst, of which only the last progress is shown.
 */
export function useJobEvents(jobId: string, live: boolean) {
  const client = useQueryClient()
  useEffect(() => {
    if (!live) return
    const results = throttled(() => refreshResults(client, jobId), 1_500)
    const ending = throttled(() => client.invalidateQueries({ queryKey: keys.job(jobId) }), 400)
    let latest: JobMessage | null = null
    const progress = throttled(() => {
      const message = latest
      if (message)
        client.setQueryData<JobDetail>(keys.job(jobId), (job) => (job ? applyMessage(job, message) : job))
    }, 150)
    const source = new EventSource(`/api/jobs/${encodeURIComponent(jobId)}/events`)
    let heard = Date.now()
    const take = (event: MessageEvent<string>) => {
      heard = Date.now()
      const message = readMessage(event.type, event.data)
      if (message?.type === 'progress') {
        latest = message
        progress.call()
      } else if (message) {
        results.call()
        if (message.type === 'status') ending.call()
      }
    }
    for (const type of [...TYPES, 'message']) source.addEventListener(type, take as EventListener)
    const poll = window.setInterval(() => {
      if (source.readyState !== EventSource.OPEN || Date.now() - heard > 8_000) refreshResults(client, jobId)
    }, 4_000)
    return () => {
      source.close()
      window.clearInterval(poll)
      for (const timer of [results, ending, progress]) timer.stop()
      // The last points may have come after the last throttled refresh.
      refreshResults(client, jobId)
    }
  }, [client, jobId, live])
}
