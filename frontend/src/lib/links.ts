/** Addresses of files that the browser downloads by itself. */

export function measurementsCsv(
  jobs: readonly string[],
  filter: Record<string, string | undefined> = {},
): string {
  const query = new URLSearchParams()
  for (const id of jobs) query.append('job_id', id)
  for (const [key, value] of Object.entries(filter)) if (value) query.set(key, value)
  query.set('format', 'csv')
  return `/api/measurements?${query}`
}
