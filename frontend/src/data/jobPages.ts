import type { Job, JobPage } from '~/api'

export function isLive(status: Job['status']): boolean {
  return status === 'queued' || status === 'running'
}

/** A page of studies, and when it was read. */
export type ReadPage = JobPage & { at: number }

export interface ReadPages {
  pages: ReadPage[]
  pageParams: (string | null)[]
}

/** Milliseconds that a page in which nothing runs is taken as it was. */
export const QUIET = 60_000

/**
 * The page that follows this cursor, if it need not be asked for again: it was read under the same cursor, so that
 * nothing before it came or went, nothing in it runs, and it is not old. The first page is always asked for. Pure.
 */
export function unchanged(
  read: ReadPages | undefined,
  cursor: string | null,
  now: number,
): ReadPage | undefined {
  if (!read || cursor === null) return undefined
  const page = read.pages[read.pageParams.indexOf(cursor)]
  return page && now - page.at < QUIET && !page.items.some((job) => isLive(job.status)) ? page : undefined
}
