import type { JobDetail } from '~/api'

/** The privacy budgets that a study asks for, smallest first. */
export function budgetsOf(job: Pick<JobDetail, 'spec'>): number[] {
  const asked = job.spec.methods.flatMap((method) => [method.params?.epsilon].flat())
  return [...new Set(asked.filter((value): value is number => typeof value === 'number'))].sort(
    (a, b) => a - b,
  )
}

/** A budget from an address, if it is one. */
export function budget(value: unknown): number | undefined {
  const found = typeof value === 'string' || typeof value === 'number' ? Number(value) : Number.NaN
  return Number.isFinite(found) && found > 0 ? found : undefined
}
