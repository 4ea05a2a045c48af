import { Chip, Group, Stack, Text } from '@mantine/core'
import type { Catalogue } from '~/api'
import { Panel } from '~/components/Panel'
import { Term } from '~/components/Term'
import { words } from '~/lib/format'
import { type Draft, type SubgroupChoice, sameSubgroup, subgroupOptions, toggleSubgroup } from '~/spec/draft'
import { fieldId } from '~/spec/problems'
import { useFieldProblem } from './ProblemsContext'

interface Props {
  catalogue: Catalogue
  draft: Draft
  onChange: (part: Partial<Draft>) => void
}

/** Whose figures are wanted: single attributes and their intersections. */
export function QuestionSection({ catalogue, draft, onChange }: Props) {
  const problem = useFieldProblem('dataset.subgroups')
  const dataset = catalogue.plugins.find((one) => one.kind === 'dataset' && one.name === draft.dataset.name)
  const attributes = dataset?.dataset?.attributes ?? []
  const titles = new Map(attributes.map((attribute) => [attribute.name, attribute.title]))
  const chosen = draft.dataset.subgroups ?? []
  const { single, crossed } = subgroupOptions(attributes.map((attribute) => attribute.name))
  const known: SubgroupChoice[] = [...single, ...crossed]
  const others = chosen.filter((one) => !known.some((option) => sameSubgroup(option, one)))
  const chip = (one: SubgroupChoice) => (
    <Chip
      key={[one].flat().join('&')}
      size="xs"
      variant="outline"
      checked={chosen.some((entry) => sameSubgroup(entry, one))}
      onChange={() => onChange({ dataset: { ...draft.dataset, subgroups: toggleSubgroup(chosen, one) } })}
    >
      {[one]
        .flat()
        .map((attribute) => titles.get(attribute) ?? words(attribute))
        .join(' × ')}
    </Chip>
  )
  return (
    <Panel title="Which question">
      <Stack gap="md" id={fieldId('dataset.subgroups')} tabIndex={-1}>
        <div>
          <Text size="sm" fw={500} mb={6}>
            Who pays: figures by <Term name="subgroup">subgroup</Term> of
          </Text>
          {single.length ? (
            <Group gap="xs">{single.map(chip)}</Group>
          ) : (
            <Text size="sm" c="dimmed">
              This data set declares no sensitive attributes: figures are for everybody.
            </Text>
          )}
        </div>
        {(crossed.length > 0 || others.length > 0) && (
          <div>
            <Text size="sm" fw={500} mb={6}>
              and of their <Term name="intersection">intersections</Term>
            </Text>
            <Group gap="xs">{[...crossed, ...others].map(chip)}</Group>
          </div>
        )}
        {problem && (
          <Text size="xs" c="var(--mantine-color-error)">
            {problem}
          </Text>
        )}
      </Stack>
    </Panel>
  )
}
