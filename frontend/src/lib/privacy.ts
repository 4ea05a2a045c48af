import type { RunDetail } from '~/api'

export interface PrivacyClaim {
  epsilon: number | null
  delta: number | null
  sigma: number | null
}

/** The claim of a private run from its measurements, or from what was asked; null for a run without privacy. */
export function privacyOf(run: Pick<RunDetail, 'epsilon' | 'measurements' | 'setting'>): PrivacyClaim | null {
  const measured = (...names: string[]) => {
    for (const name of names) {
      const found = run.measurements.find((one) => one.metric === name && one.subgroup === 'all')
      if (found?.value !== undefined && found.value !== null) return found.value
    }
    return null
  }
  const asked = run.setting.method.params.delta
  const claim = {
    epsilon: run.epsilon ?? null,
    delta: measured('delta') ?? (typeof asked === 'number' ? asked : null),
    sigma: measured('sigma', 'noise_multiplier'),
  }
  if (claim.epsilon === null) return null
  return { ...claim, epsilon: measured('epsilon') ?? claim.epsilon }
}
