import type { Job } from '~/api'
import { duration, plural } from './format'

/** Share done, 0 to 100: of all trainings where it is known, shadow models and audits too; else of the runs. */
export function percent(job: Pick<Job, 'status' | 'runs' | 'finished' | 'progress'>): number {
  if (job.status === 'succeeded') return 100
  const { share } = job.progress
  if (job.status === 'running' && typeof share === 'number') return Math.min(100, 100 * share)
  const total = job.progress.total || job.runs
  const done = Math.max(job.progress.done ?? 0, job.finished)
  return total > 0 ? Math.min(100, (100 * done) / total) : 0
}

/** What the study does now: "Training 46 of 240, about 25 s left". */
export function doingNow(job: Job): string {
  const { progress, status } = job
  if (status === 'queued') return progress.message || 'Waiting for a worker'
  if (status === 'running') {
    const what = progress.message || `Training ${Math.min(job.finished + 1, job.runs)} of ${job.runs}`
    const left = progress.seconds_left
    return left === null || left === undefined || /left|^stopping/i.test(what)
      ? what
      : `${what}, about ${duration(left)} left`
  }
  const parts = [`${job.finished} of ${plural(job.runs, 'run')} measured`]
  if (job.reused > 0) parts.push(`${job.reused} reused`)
  if (job.diverged) parts.push(`${job.diverged} diverged`)
  if (job.failed) parts.push(`${job.failed} failed`)
  const took = elapsed(job)
  if (took !== null) parts.push(`took ${duration(took)}`)
  return parts.join(', ')
}

/** Seconds from start to end; null before the end. */
export function elapsed(job: Pick<Job, 'started_at' | 'finished_at'>): number | null {
  if (!job.started_at || !job.finished_at) return null
  return Math.max(0, (Date.parse(job.finished_at) - Date.parse(job.started_at)) / 1000)
}
