import { Text } from '@mantine/core'
import type { RunDetail } from '~/api'
import { number } from '~/lib/format'
import { privacyOf } from '~/lib/privacy'
import { type Fact, Facts } from './Facts'
import { Term } from './Term'

/** What is claimed, at which delta, with which noise, and what the claim covers. */
export function PrivacyBlock({ run }: { run: RunDetail }) {
  const claim = privacyOf(run)
  if (!claim)
    return (
      <Text size="sm" c="dimmed">
        Trained without privacy: there is no <Term name="epsilon">ε</Term>, and nothing bounds what this model
        reveals of a row.
      </Text>
    )
  const facts: Fact[] = [
    { key: 'epsilon', name: <Term name="epsilon">Claimed ε</Term>, value: number(claim.epsilon) },
    { key: 'delta', name: <Term name="delta">δ</Term>, value: number(claim.delta) },
    { key: 'sigma', name: <Term name="sigma">Noise multiplier σ</Term>, value: number(claim.sigma) },
    {
      key: 'noise',
      name: <Term name="noise_source">Noise drawn from</Term>,
      value:
        run.setting.training.noise_source === 'system'
          ? 'the operating system’s secure source; it cannot be drawn again'
          : 'a generator keyed by this configuration: repeatable, and known to whoever knows the configuration',
    },
    {
      key: 'covers',
      name: 'Covers',
      value:
        'One training with these parameters, for adding or removing one row. Choosing among settings by looking at the data is not covered.',
    },
  ]
  return <Facts facts={facts.filter((fact) => fact.value !== '–')} />
}
