import { Stack, Text } from '@mantine/core'
import { useQuery } from '@tanstack/react-query'
import type { RunDetail } from '~/api'
import { jobQuery } from '~/data/queries'
import { auditsOf } from '~/lib/audits'
import { integer, number, words } from '~/lib/format'
import { accountsOf, ofGroup, ofRuns, privacyOf } from '~/lib/privacy'
import { AccountantTable } from './AccountantTable'
import { type Fact, Facts } from './Facts'
import { Term } from './Term'
import { useAttackTitles } from './useAttackTitles'

/** What is claimed, at which delta, with which noise, and what the claim covers. */
export function PrivacyBlock({ run }: { run: RunDetail }) {
  const claim = privacyOf(run)
  const trainings = useTrainings(claim ? run.jobs?.[0] : undefined)
  const titles = useAttackTitles()
  if (!claim)
    return (
      <Text size="sm" c="dimmed">
        Trained without privacy: there is no <Term name="epsilon">ε</Term>, and nothing bounds what this model
        reveals of a row.
      </Text>
    )
  const accounts = accountsOf(run)
  const audited: Fact[] = auditsOf(run).map((one) => ({
    key: one.audit,
    name: <Term name="audit">{titles.get(one.audit) ?? words(one.audit)}</Term>,
    value: `${one.bound === null ? 'No bound' : `ε is at least ${number(one.bound)}, with 95 % confidence`}; ${one.guesses === null ? 'what it saw' : `${integer(one.correct)} of ${integer(one.guesses)} guesses right`}, which the claim allows with p = ${number(one.p)}.`,
  }))
  const facts: Fact[] = [
    { key: 'epsilon', name: <Term name="epsilon">Claimed ε</Term>, value: number(claim.epsilon) },
    { key: 'delta', name: <Term name="delta">δ</Term>, value: number(claim.delta) },
    { key: 'sigma', name: <Term name="sigma">Noise multiplier σ</Term>, value: number(claim.sigma) },
    ...audited,
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
  if (claim.epsilon !== null && claim.delta !== null) {
    const guarantee = { epsilon: claim.epsilon, delta: claim.delta }
    facts.push({
      key: 'group',
      name: <Term name="group_privacy">Several rows</Term>,
      value: `Two rows together: ${worded(ofGroup(guarantee, 2))}. Five: ${worded(ofGroup(guarantee, 5))}.`,
    })
    if (trainings > 1)
      facts.push({
        key: 'tuning',
        name: <Term name="tuning_cost">Choosing among runs</Term>,
        value: `If the best of ${integer(trainings)} trainings with this budget were chosen by looking at the data (the study has so many in all, of any budget and none): ${worded(ofRuns(guarantee, trainings))} by naive composition. It holds for trainings that draw their own batches; those of one seed share theirs, and it does not cover them.`,
      })
  }
  return (
    <Stack gap="sm">
      <Facts facts={facts.filter((fact) => fact.value !== '–')} />
      {accounts.length > 0 && (
        <>
          <AccountantTable accounts={accounts} />
          <Text size="xs" c="dimmed">
            ε is what the σ of this run costs by each accountant; σ needed is what the asked ε would have
            taken. All three are upper bounds.
          </Text>
        </>
      )}
    </Stack>
  )
}

/** A guarantee in words; a δ of one or more promises nothing. */
function worded({ epsilon, delta }: { epsilon: number; delta: number }): string {
  return delta < 1 ? `ε = ${number(epsilon)} at δ = ${number(delta)}` : 'nothing is promised'
}

/** How many trainings a study has; 0 while it is not known. */
function useTrainings(job: string | undefined): number {
  const { data } = useQuery({ ...jobQuery(job ?? ''), enabled: job !== undefined })
  return data?.runs ?? 0
}
