import type { Run } from '~/api'

/** Parameters that differ between runs of one method, epsilon aside: those that a reader needs as columns. */
export function sweptParams(runs: readonly Run[]): string[] {
  const seen = new Map<string, Map<string, Set<string>>>()
  for (const run of runs)
    for (const [key, value] of Object.entries(run.params)) {
      const methods = seen.get(key) ?? seen.set(key, new Map()).get(key)
      const values = methods?.get(run.method) ?? methods?.set(run.method, new Set()).get(run.method)
      values?.add(JSON.stringify(value))
    }
  return [...seen]
    .filter(
      ([key, methods]) => key !== 'method.epsilon' && [...methods.values()].some((values) => values.size > 1),
    )
    .map(([key]) => key)
}

/** `training.learning_rate` as a column's name. */
export function paramTitle(key: string): string {
  const name = key.split('.').slice(1).join('.') || key
  return name.replaceAll('_', ' ')
}

/** Every word has to be found: "dp_sgd failed", "ε=2", "seed 3" is two words. */
export function filterRuns(runs: readonly Run[], filter: string, titles: ReadonlyMap<string, string>): Run[] {
  const wanted = filter.toLowerCase().split(/\s+/).filter(Boolean)
  if (wanted.length === 0) return [...runs]
  return runs.filter((run) => {
    const text = [
      run.id,
      run.method,
      titles.get(run.method) ?? '',
      run.status,
      `seed=${run.seed}`,
      run.epsilon === null ? 'not private' : `ε=${run.epsilon} epsilon=${run.epsilon}`,
      run.degenerate ? 'degenerate' : '',
      run.reused ? 'reused' : '',
      ...Object.entries(run.params).map(([key, value]) => `${key}=${JSON.stringify(value)}`),
    ]
      .join(' ')
      .toLowerCase()
    return wanted.every((word) => text.includes(word))
  })
}
