import type { RunDetail } from '~/api'

/** What one audit found of one run. */
export interface AuditFound {
  audit: string
  bound: number | null
  p: number | null
  correct: number | null
  guesses: number | null
}

const P = '_p_at_claim'

/** The audits of a run, by the measurements that each leaves. */
export function auditsOf(run: Pick<RunDetail, 'measurements'>): AuditFound[] {
  const found = new Map(
    run.measurements.filter((one) => one.subgroup === 'all').map((one) => [one.metric, one.value]),
  )
  return [...found.keys()]
    .filter((metric) => metric.endsWith(P))
    .map((metric) => {
      const audit = metric.slice(0, -P.length)
      const value = (what: string) => found.get(`${audit}_${what}`) ?? null
      return {
        audit,
        bound: value('epsilon'),
        p: value('p_at_claim'),
        correct: value('correct'),
        guesses: value('guesses'),
      }
    })
}
