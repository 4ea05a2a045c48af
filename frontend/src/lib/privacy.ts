import type { RunDetail } from '~/api'

export interface PrivacyClaim {
  epsilon: number | null
  delta: number | null
  sigma: number | null
}

export type Accountant = 'rdp' | 'prv' | 'pld'

/** What one accountant says of a run: ε of its noise, and the σ that the asked ε would have needed. */
export interface Account {
  accountant: Accountant
  epsilon: number | null
  sigma: number | null
  /** Whether the run's claim is by this one. */
  claimed: boolean
}

type Measured = Pick<RunDetail, 'epsilon' | 'measurements' | 'setting'>

function measured(run: Measured, ...names: string[]): number | null {
  for (const name of names) {
    const found = run.measurements.find((one) => one.metric === name && one.subgroup === 'all')
    if (found?.value !== undefined && found.value !== null) return found.value
  }
  return null
}

/** The claim of a private run from its measurements, or from what was asked; null for a run without privacy. */
export function privacyOf(run: Measured): PrivacyClaim | null {
  const asked = run.setting.method.params.delta
  const claim = {
    epsilon: run.epsilon ?? null,
    delta: measured(run, 'delta') ?? (typeof asked === 'number' ? asked : null),
    sigma: measured(run, 'sigma', 'noise_multiplier'),
  }
  if (claim.epsilon === null) return null
  return { ...claim, epsilon: measured(run, 'epsilon') ?? claim.epsilon }
}

/** One per accountant; none for runs measured before accountants stood side by side. */
export function accountsOf(run: Measured): Account[] {
  const claimed = run.setting.method.params.accountant ?? 'rdp'
  return (['rdp', 'prv', 'pld'] as const)
    .map((accountant) => ({
      accountant,
      epsilon: measured(run, `epsilon_${accountant}`),
      sigma: measured(run, `sigma_${accountant}`),
      claimed: claimed === accountant,
    }))
    .filter((one) => one.epsilon !== null)
}

interface Guarantee {
  epsilon: number
  delta: number
}

/** Of `rows` rows together: (kε, δ (e^kε − 1) / (e^ε − 1)), by applying the guarantee row after row. */
export function ofGroup({ epsilon, delta }: Guarantee, rows: number): Guarantee {
  const growth = epsilon > 0 ? Math.expm1(rows * epsilon) / Math.expm1(epsilon) : rows
  return { epsilon: rows * epsilon, delta: delta * growth }
}
