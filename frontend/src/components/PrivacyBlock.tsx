import { Stack, Text } from '@mantine/core'
import { useQuery } from '@tanstack/react-query'
import type { Choosing, RunDetail } from '~/api'
import { choosingQuery } from '~/data/queries'
import { auditsOf } from '~/lib/audits'
import { integer, number, plural, words } from '~/lib/format'
import { accountsOf, ofGroup, privacyOf } from '~/lib/privacy'
import { AccountantTable } from './AccountantTable'
import { type Fact, Facts } from './Facts'
import { Term } from './Term'
import { useAttackTitles } from './useAttackTitles'

interface Props {
  run: RunDetail
  /** The study in which it is looked at; else the first that has it. */
  job?: string
}

/** What is claimed, at which delta, with which noise, and what the claim covers. */
export function PrivacyBlock({ run, job }: Props) {
  const claim = privacyOf(run)
  const { data: choosing } = useQuery({ ...choosingQuery(run.id, job), enabled: claim !== null })
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
    if (choosing && choosing.trainings > 1) facts.push(...choosingFacts(choosing))
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

/** What choosing this run among those of its study at the same budget costs, and what a fresh selection would. */
function choosingFacts(choosing: Choosing): Fact[] {
  const { trainings, settings, delta, random } = choosing
  const together = { epsilon: choosing.all_epsilon, delta: choosing.all_delta }
  const facts: Fact[] = [
    {
      key: 'tuning',
      name: <Term name="tuning_cost">Choosing among runs</Term>,
      value: `The study trained ${integer(trainings)} runs with this ε and δ, of ${plural(settings, 'setting')}. If the best of them were chosen by looking at the data: ${worded(together)} by naive composition. It holds for trainings that draw their own batches; those of one seed share theirs, and it does not cover them.`,
    },
  ]
  if (random.length > 0)
    facts.push({
      key: 'fresh',
      name: <Term name="fresh_selection">A fresh selection</Term>,
      value: `Publishing the best of a random number of trainings, ${integer(trainings)} on average, would cost ${random.map((one) => `ε = ${number(one.epsilon)} (${one.distribution === 'poisson' ? 'Poisson' : one.distribution})`).join(', ')} at δ = ${number(delta)} (Papernot and Steinke 2022). This holds only where the number is drawn so beforehand, each training draws its setting at random, and no two share randomness. The runs of this study do not meet it.`,
    })
  return facts
}
