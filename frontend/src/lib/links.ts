/** Addresses of files that the browser downloads by itself. */

export function measurementsCsv(
  jobs: readonly string[],
  filter: Record<string, string | undefined> = {},
  settings: readonly number[] = [],
): string {
  const query = new URLSearchParams()
  for (const id of jobs) query.append('job_id', id)
  for (const id of settings) query.append('setting_id', String(id))
  for (const [key, value] of Object.entries(filter)) if (value) query.set(key, value)
  query.set('format', 'csv')
  return `/api/measurements?${query}`
}

/** A report as one HTML file, of studies or of some of their settings. */
export function report(jobs: readonly string[], settings: readonly number[] = [], asOf?: string): string {
  const query = new URLSearchParams()
  for (const id of jobs) query.append('job_id', id)
  for (const id of settings) query.append('setting', String(id))
  if (asOf) query.set('as_of', asOf)
  return `/api/reports?${query}`
}

export function modelCard(setting: number, format: 'html' | 'md', jobs: readonly string[] = []): string {
  const query = new URLSearchParams({ setting: String(setting), format })
  for (const id of jobs) query.append('job_id', id)
  return `/api/reports/model-card?${query}`
}

export const reviewReport = (id: string) => `/api/reports/reviews/${encodeURIComponent(id)}`
export const reviewCsv = (id: string) => `${reviewReport(id)}/measurements`
export const bundleFile = (job: string) => `/api/jobs/${encodeURIComponent(job)}/bundle`
