import { Button, Menu, Stack, Text } from '@mantine/core'
import { IconPlus } from '@tabler/icons-react'
import type { Catalogue } from '~/api'
import { Panel } from '~/components/Panel'
import { Term } from '~/components/Term'
import { type Draft, newMethod, pluginsOf, replaceAt } from '~/spec/draft'
import { fieldId } from '~/spec/problems'
import { MethodCard } from './MethodCard'
import { useFieldProblem } from './ProblemsContext'

interface Props {
  catalogue: Catalogue
  draft: Draft
  onChange: (part: Partial<Draft>) => void
}

/** Which methods are compared, each with parameters of its own. */
export function MethodsSection({ catalogue, draft, onChange }: Props) {
  const methods = pluginsOf(catalogue, 'method')
  const problem = useFieldProblem('methods')
  const set = (next: Draft['methods']) => onChange({ methods: next })
  return (
    <Panel
      title="Which methods"
      aside={
        <Menu position="bottom-end" width={320}>
          <Menu.Target>
            <Button variant="default" size="xs" leftSection={<IconPlus size={14} />}>
              Add a method
            </Button>
          </Menu.Target>
          <Menu.Dropdown>
            {methods.map((method) => (
              <Menu.Item key={method.name} onClick={() => set([...draft.methods, newMethod(method)])}>
                <Text size="sm" fw={500}>
                  {method.title}
                </Text>
                <Text size="xs" c="dimmed">
                  {method.summary}
                </Text>
              </Menu.Item>
            ))}
          </Menu.Dropdown>
        </Menu>
      }
    >
      <Text size="sm" c="dimmed" mb="md">
        A field marked <Term name="sweep">sweep</Term> takes several values, separated by commas; each becomes
        a point of the curve.
      </Text>
      <Stack gap="sm" id={fieldId('methods')} tabIndex={-1}>
        {draft.methods.map((method, index) => (
          <MethodCard
            // biome-ignore lint/suspicious/noArrayIndexKey: a method has no identity but its place in the list
            key={`${index}-${method.name}`}
            catalogue={catalogue}
            method={method}
            path={`methods.${index}`}
            training={draft.training ?? {}}
            onChange={(next) => set(replaceAt(draft.methods, index, next))}
            onRemove={() => set(draft.methods.filter((_, i) => i !== index))}
          />
        ))}
        {draft.methods.length === 0 && (
          <Text size="sm" c="var(--mantine-color-error)">
            {problem ??
              'Add at least one method. Training without privacy is one, and makes the line to compare with.'}
          </Text>
        )}
      </Stack>
    </Panel>
  )
}
