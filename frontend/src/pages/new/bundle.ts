/** Reads a rerun bundle from a file. Pure. */

export interface BundleFile {
  spec: { name?: string }
  runs: unknown[]
  series: never[]
}

/** The bundle without its measured numbers, which the check does not look at; or why it is none. */
export function readBundle(text: string): BundleFile | string {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (cause) {
    return `Expected a JSON file as "Rerun bundle" of a study's report menu saves it. ${cause instanceof Error ? cause.message : ''}`.trim()
  }
  if (!isRecord(value) || !isRecord(value.spec) || !Array.isArray(value.runs)) {
    return 'Expected an object with spec and runs. Save it with "Rerun bundle" on a study’s page, or with "equipoise bundle".'
  }
  return { ...value, spec: value.spec, runs: value.runs, series: [] }
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
