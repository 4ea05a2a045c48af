import { Checkbox, NumberInput, SimpleGrid, Stack, TagsInput, Text, Textarea, TextInput } from '@mantine/core'
import { useState } from 'react'
import type { Catalogue } from '~/api'
import { Fold } from '~/components/Fold'
import { Panel } from '~/components/Panel'
import { Term } from '~/components/Term'
import { type Draft, defaultAttacks, pluginsOf, toggleChoice } from '~/spec/draft'
import { fieldId } from '~/spec/problems'
import { seedsFromText, seedsToText } from '~/spec/values'
import { useFieldProblem } from './ProblemsContext'
import { SchemaForm } from './SchemaForm'

interface Props {
  catalogue: Catalogue
  draft: Draft
  onChange: (part: Partial<Draft>) => void
}

/** How carefully: training, seeds, attacks. */
export function CareSection({ catalogue, draft, onChange }: Props) {
  return (
    <Panel title="How carefully">
      <Stack gap="lg">
        <SimpleGrid cols={{ base: 1, xs: 2 }} spacing="md">
          <SeedsField seeds={draft.seeds} onChange={(seeds) => onChange({ seeds })} />
          <AttacksField catalogue={catalogue} draft={draft} onChange={onChange} />
        </SimpleGrid>
        <SchemaForm
          schema={catalogue.training_schema}
          path="training"
          params={draft.training}
          onChange={(training) => onChange({ training })}
        />
        <Fold label="Notes, tags, priority">
          <SimpleGrid cols={{ base: 1, xs: 2 }} spacing="md">
            <TagsInput
              id={fieldId('tags')}
              label="Tags"
              description="To find the study again."
              error={useFieldProblem('tags')}
              value={draft.tags ?? []}
              onChange={(tags) => onChange({ tags })}
            />
            <NumberInput
              id={fieldId('priority')}
              label="Priority"
              description="Higher runs earlier. -100 to 100."
              error={useFieldProblem('priority')}
              value={draft.priority ?? 0}
              onChange={(priority) => onChange({ priority: Number(priority) || 0 })}
            />
            <Textarea
              id={fieldId('description')}
              label="Notes"
              error={useFieldProblem('description')}
              autosize
              minRows={2}
              value={draft.description ?? ''}
              onChange={(event) => onChange({ description: event.currentTarget.value })}
            />
          </SimpleGrid>
        </Fold>
      </Stack>
    </Panel>
  )
}

function SeedsField({ seeds, onChange }: { seeds: unknown; onChange: (seeds: unknown) => void }) {
  const [typed, setTyped] = useState<string | null>(null)
  const problem = useFieldProblem('seeds')
  return (
    <TextInput
      id={fieldId('seeds')}
      label={<Term name="seed">Seeds</Term>}
      description="How many, such as 10, or which: 0, 1, 2. Fewer than 6 pairs can support no test."
      error={problem}
      inputMode="numeric"
      placeholder="3"
      value={typed ?? seedsToText(seeds)}
      onChange={(event) => {
        setTyped(event.currentTarget.value)
        onChange(seedsFromText(event.currentTarget.value))
      }}
      onBlur={() => setTyped(null)}
    />
  )
}

function AttacksField({ catalogue, draft, onChange }: Props) {
  const attacks = pluginsOf(catalogue, 'attack')
  const chosen = draft.evaluation?.attacks ?? defaultAttacks(catalogue)
  const problem = useFieldProblem('evaluation')
  const toggle = (name: string, on: boolean) =>
    onChange({ evaluation: { ...draft.evaluation, attacks: toggleChoice(chosen, name, on) } })
  return (
    <div id={fieldId('evaluation.attacks')} tabIndex={-1}>
      <Text size="sm" fw={500}>
        <Term name="membership_inference">Attacks</Term>
      </Text>
      <Text size="xs" c="dimmed" mb={8}>
        Made on every run, to see what an attacker still learns.
      </Text>
      <Stack gap={6}>
        {attacks.map((attack) => (
          <Checkbox
            key={attack.name}
            size="sm"
            label={attack.title}
            description={attack.summary}
            checked={chosen.some((one) => one.name === attack.name)}
            onChange={(event) => toggle(attack.name, event.currentTarget.checked)}
          />
        ))}
      </Stack>
      {problem && (
        <Text size="xs" c="var(--mantine-color-error)" mt={4}>
          {problem}
        </Text>
      )}
    </div>
  )
}
