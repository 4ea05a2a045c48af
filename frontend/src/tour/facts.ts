/** What the tour knows of the database: which study it goes by, and how far that is. Pure. */
import type { Figure, Job } from '~/api'

export interface Reading {
  /** Titles of the axes as they are drawn, such as "Privacy budget ε, lower is more private". */
  x?: string
  y?: string
  /** Name at the dashed line of training without privacy, where one is drawn. */
  baseline?: string
}

export interface Facts {
  /** The study that the tour goes by; null where there is none, undefined while that is not known. */
  study: Job | null | undefined
  /** Whether a worker takes studies; undefined while that is not known. */
  workers: number | undefined
  reading: Reading
}

/** The study remembered, while it exists; otherwise the newest one that is finished, or else the newest. */
export function studyOf(
  jobs: readonly Job[] | undefined,
  remembered: string | undefined,
): Job | null | undefined {
  if (jobs === undefined) return undefined
  const newest = [...jobs].sort((a, b) => b.created_at.localeCompare(a.created_at))
  return (
    newest.find((job) => job.id === remembered) ??
    newest.find((job) => job.status === 'succeeded' && job.finished > 0) ??
    newest.find((job) => job.finished > 0) ??
    newest[0] ??
    null
  )
}

type Json = Record<string, unknown>
const json = (value: unknown): Json => (typeof value === 'object' && value !== null ? (value as Json) : {})
const words = (value: unknown) => (typeof value === 'string' && value !== '' ? value : undefined)

/** What can be said of a trade-off as it is drawn. */
export function readingOf(figure: Figure | undefined): Reading {
  const layout = json(figure?.figure.layout)
  // On a phone the server breaks titles into lines.
  const title = (axis: string) => words(json(json(layout[axis]).title).text)?.replaceAll('<br>', ' ')
  const traces = Array.isArray(figure?.figure.data) ? (figure.figure.data as Json[]) : []
  const dashed = traces.find(
    (trace) => json(trace.line).dash === 'dash' && /not private/i.test(String(trace.name)),
  )
  return { x: title('xaxis'), y: title('yaxis'), baseline: words(dashed?.name) }
}
