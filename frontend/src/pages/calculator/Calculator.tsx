import { Select, SimpleGrid, Stack, Text, TextInput } from '@mantine/core'
import { useDebouncedValue } from '@mantine/hooks'
import { useQueries } from '@tanstack/react-query'
import { useEffect, useRef, useState } from 'react'
import { Panel } from '~/components/Panel'
import { ProblemNotice } from '~/components/ProblemNotice'
import { Term } from '~/components/Term'
import { problemOf } from '~/data/http'
import { accountingQuery } from '~/data/queries'
import { integer, number } from '~/lib/format'
import type { GlossaryTerm } from '~/lib/glossary'
import { DISTRIBUTIONS } from '~/lib/views'
import { AccountTable } from './AccountTable'
import { ACCOUNTANTS, complaintsOf, DEFAULTS, type FieldName, type Fields, NAMES, read } from './fields'
import { SelectionTable } from './SelectionTable'
import { SpendingFigure } from './SpendingFigure'

interface Props {
  view: Partial<Fields>
  onView: (view: Partial<Fields>) => void
}

/** Noise of an ε and ε of a noise, worked out while typing; the address follows. */
export function Calculator({ view, onView }: Props) {
  const [fields, setFields] = useState<Fields>(filled(view))
  const [settled] = useDebouncedValue(fields, 250)
  const address = useRef(JSON.stringify(part(fields)))
  const follow = useRef(onView)
  follow.current = onView

  useEffect(() => {
    const next = part(settled)
    if (JSON.stringify(next) === address.current) return
    address.current = JSON.stringify(next)
    follow.current(next)
  }, [settled])

  // Another link to this page, or the browser's way back.
  const seen = JSON.stringify(part(filled(view)))
  useEffect(() => {
    if (seen === address.current) return
    address.current = seen
    setFields(filled(JSON.parse(seen) as Partial<Fields>))
  }, [seen])

  const { request, complaints } = read(settled)
  const answers = useQueries({
    queries: ACCOUNTANTS.map((accountant) => accountingQuery(request, accountant)),
  })
  const failed = answers.find(({ error }) => error)?.error
  const problems = failed ? (problemOf(failed).problems ?? []) : []
  const refused = request ? complaintsOf(problems) : {}
  const errors = { ...refused, ...complaints }
  const known = request ? answers.find(({ data }) => data)?.data : undefined

  const field = (name: FieldName, label: string, term: GlossaryTerm, description: string) => (
    <TextInput
      label={<Term name={term}>{label}</Term>}
      aria-label={label}
      description={description}
      value={fields[name]}
      error={errors[name]}
      inputMode={name === 'epsilons' || name === 'sigmas' || name === 'delta' ? 'text' : 'numeric'}
      placeholder={name === 'delta' ? `automatic${known ? `: ${number(known.delta)}` : ''}` : undefined}
      onChange={(event) => {
        const { value } = event.currentTarget
        setFields((old) => ({ ...old, [name]: value }))
      }}
      maxLength={200}
    />
  )

  return (
    <Stack gap="md">
      <Panel title="Training">
        <SimpleGrid cols={{ base: 1, xs: 2, lg: 4 }} spacing="md">
          {field('n', 'Training rows n', 'train_rows', 'Rows that the model is trained on.')}
          {field('batch', 'Expected batch size', 'expected_batch', 'Batches vary around it.')}
          {field('epochs', 'Epochs', 'epoch', 'Each is n / batch size steps.')}
          {field('delta', 'δ', 'delta', 'Empty: the power of ten below 1/n.')}
        </SimpleGrid>
        <Text size="sm" c="dimmed" mt="sm" aria-live="polite">
          {known ? (
            <>
              <Term name="sampling_rate">Sampling rate</Term> {number(known.sampling_rate, 4)} ·{' '}
              <Term name="steps">{integer(known.steps)} steps</Term> · δ = {number(known.delta)} · adding or
              removing one row
            </>
          ) : request && !failed ? (
            'Working it out …'
          ) : (
            'Correct the fields marked above or below.'
          )}
        </Text>
      </Panel>
      {failed && request && Object.keys(refused).length === 0 && (
        <ProblemNotice
          error={failed}
          onRetry={() => {
            for (const answer of answers) answer.refetch()
          }}
        />
      )}
      <Panel title="Noise that an ε needs">
        {field('epsilons', 'ε', 'epsilon', 'Up to ten budgets, separated by commas.')}
        <AccountTable
          label="Noise multiplier σ for each ε"
          asked="ε"
          term="epsilon"
          answer="σ"
          values={request?.epsilons ?? []}
          columns={answers.map(({ data }) => data?.noise.map((one) => one.sigma))}
        />
      </Panel>
      <Panel title="ε that a noise costs">
        {field('sigmas', 'σ', 'sigma', 'Up to ten noise multipliers, separated by commas.')}
        <AccountTable
          label="ε for each noise multiplier σ"
          asked="σ"
          term="sigma"
          answer="ε"
          values={request?.sigmas ?? []}
          columns={answers.map(({ data }) => data?.cost.map((one) => one.epsilon))}
        />
      </Panel>
      {request && Object.keys(errors).length === 0 && (
        <SpendingFigure
          fields={settled}
          request={request}
          onSigma={(at) => setFields((old) => ({ ...old, at }))}
        />
      )}
      <Panel title="After choosing the best of several trainings">
        <SimpleGrid cols={{ base: 1, xs: 2 }} spacing="md">
          {field(
            'tries',
            'Settings tried',
            'tries',
            'Mean number of trainings. Empty: one, nothing is chosen.',
          )}
          <Select
            label={<Term name="tries_distribution">Their number is</Term>}
            aria-label="Their number is"
            description="Drawn so before any training, and kept secret."
            data={DISTRIBUTIONS.map((value) => ({ value, label: DRAWN[value] }))}
            value={fields.drawn}
            error={errors.drawn}
            allowDeselect={false}
            onChange={(next) => next && setFields((old) => ({ ...old, drawn: next }))}
          />
        </SimpleGrid>
        {request?.tries && <SelectionTable request={request} selection={answers[0]?.data?.selection} />}
        <Text size="sm" c="dimmed" mt="sm" maw={720}>
          Papernot and Steinke (2022): the best by any rule is published and nothing of the others. It holds
          only where the number of trainings is drawn like this, each draws its setting at random too, and no
          two share randomness. A grid that is tried whole does not have it. By RDP, which the theorem needs.
        </Text>
      </Panel>
      <Text size="sm" c="dimmed" maw={720}>
        All three accountants give upper bounds for the same mechanism, so the smallest may be claimed; which
        one is meant belongs beside the ε, as δ does. A method that also releases a noisy count, such as
        adaptive clipping, spends the same σ on gradient and count together.
      </Text>
    </Stack>
  )
}

const DRAWN = {
  geometric: 'geometric',
  logarithmic: 'logarithmic, most often one',
  poisson: 'Poisson, may be none',
} as const

/** Every field, those that the address lacks with their defaults. */
function filled(view: Partial<Fields>): Fields {
  return Object.fromEntries(NAMES.map((name) => [name, view[name] ?? DEFAULTS[name]])) as Fields
}

/** The fields that differ from the defaults; an empty one is no part of an address. */
function part(fields: Fields): Partial<Fields> {
  return Object.fromEntries(
    NAMES.filter((name) => fields[name].trim() && fields[name] !== DEFAULTS[name]).map((name) => [
      name,
      fields[name],
    ]),
  )
}
