import { NativeSelect, Text } from '@mantine/core'
import type { Plugin } from '~/api'
import { fieldId } from '~/spec/problems'
import { useFieldProblem } from './ProblemsContext'

interface Props {
  label: string
  path: string
  plugins: Plugin[]
  value: string
  onChange: (name: string) => void
}

/** Chooses one plugin of a kind, and says what it is. */
export function PluginSelect({ label, path, plugins, value, onChange }: Props) {
  const problem = useFieldProblem(path)
  const chosen = plugins.find((plugin) => plugin.name === value)
  const unknown = chosen || !value ? [] : [{ value, label: `${value} (not in the catalogue)` }]
  return (
    <div>
      <NativeSelect
        id={fieldId(path)}
        label={label}
        error={problem}
        value={value}
        onChange={(event) => onChange(event.currentTarget.value)}
        data={[
          ...unknown,
          ...plugins.map((plugin) => ({
            value: plugin.name,
            label: plugin.dataset?.available === false ? `${plugin.title} (not available)` : plugin.title,
          })),
        ]}
      />
      {chosen && (
        <Text size="xs" c="dimmed" mt={5}>
          {chosen.summary}
          {chosen.citation ? ` ${chosen.citation}.` : ''}
        </Text>
      )}
      {chosen?.dataset?.available === false && (
        <Text size="xs" mt={5} c="var(--eq-caution)">
          {chosen.dataset.unavailable_because}
        </Text>
      )}
    </div>
  )
}
