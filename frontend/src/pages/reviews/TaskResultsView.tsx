import { Select, Stack, Text } from '@mantine/core'
import { useMemo, useState } from 'react'
import type { HiddenMean, Task } from '~/api'
import { Plot } from '~/charts/Plot'
import { type Column, DataTable } from '~/components/DataTable'
import { Fold } from '~/components/Fold'
import { Panel } from '~/components/Panel'
import { integer, interval, number, words } from '~/lib/format'
import { useHiddenFigure } from './hiddenFigure'

/** Agreement, and what the raters thought of each hidden value. */
export function TaskResultsView({ task }: { task: Task }) {
  const { results } = task
  if (!results) return null
  return (
    <Stack gap="md">
      <Panel title={results.sentence}>
        {results.not_blind.length > 0 && (
          <Text size="sm" c="dimmed">
            {results.not_blind.join(', ')} made the task and may have known what was hidden.
          </Text>
        )}
        <Text size="sm" c="dimmed" mb="sm">
          1 is perfect agreement, 0 is chance. Krippendorff reads nothing from data below 0.667 and asks for
          0.8.
          {task.sampled && ` Drawn: ${task.sampled}.`}
        </Text>
        <Fold label="At other levels of measurement, and pair by pair">
          {results.agreement.map((one) => (
            <Text key={one.level} size="sm">
              {one.sentence}
            </Text>
          ))}
          {results.pairs.map((one) => (
            <Text key={`${one.a} ${one.b}`} size="sm" style={{ overflowWrap: 'anywhere' }}>
              {one.a} and {one.b}: equal on {one.equal} of {one.items} items that both answered.
            </Text>
          ))}
        </Fold>
      </Panel>
      {results.by_hidden.length > 0 && <ByHidden task={task} means={results.by_hidden} />}
      <Panel title="Items">
        <ItemTable task={task} />
      </Panel>
    </Stack>
  )
}

function ByHidden({ task, means }: { task: Task; means: HiddenMean[] }) {
  const fields = [...new Set(means.map((one) => one.field))]
  const [chosen, setChosen] = useState(fields[0] ?? '')
  const shown = useMemo(() => means.filter((one) => one.field === chosen), [means, chosen])
  const figure = useHiddenFigure(task, chosen, shown)
  const columns = useMemo<Column<HiddenMean>[]>(
    () => [
      { key: 'value', title: words(chosen), wrap: true, cell: (one) => one.value || 'none' },
      { key: 'mean', title: 'Mean answer', numeric: true, cell: (one) => number(one.mean) },
      { key: 'interval', title: '95 % interval', numeric: true, cell: (one) => interval(one.low, one.high) },
      { key: 'items', title: 'Items', numeric: true, cell: (one) => integer(one.items) },
      { key: 'answers', title: 'Answers', numeric: true, cell: (one) => integer(one.answers) },
      { key: 'unsure', title: 'Unsure', numeric: true, cell: (one) => integer(one.unsure) },
    ],
    [chosen],
  )
  return (
    <Panel title={figure.title}>
      {fields.length > 1 && (
        <Select
          size="xs"
          w={200}
          mb="sm"
          label="By"
          data={fields.map((name) => ({ value: name, label: words(name) }))}
          value={chosen}
          allowDeselect={false}
          onChange={(next) => next && setChosen(next)}
        />
      )}
      <Plot figure={figure} view={`hidden ${task.id} ${chosen}`} height={120 + 34 * shown.length} />
      <Text size="xs" c="dimmed" mb="sm">
        {figure.caption}
      </Text>
      <DataTable label={figure.title} columns={columns} rows={shown} rowKey={(one) => one.value} />
    </Panel>
  )
}

function ItemTable({ task }: { task: Task }) {
  const columns = useMemo<Column<Task['content'][number]>[]>(
    () => [
      { key: 'id', title: 'Item', numeric: true, cell: (one) => one.id },
      { key: 'content', title: 'Content', wrap: true, cell: (one) => one.content.slice(0, 400) },
      ...task.hidden_fields.map((name) => ({
        key: `hidden ${name}`,
        title: words(name),
        wrap: true,
        cell: (one: Task['content'][number]) => {
          const value = one.hidden[name]
          return typeof value === 'number' ? number(value) : (value ?? '–')
        },
      })),
    ],
    [task.hidden_fields],
  )
  return (
    <DataTable
      label="Items"
      columns={columns}
      rows={task.content}
      rowKey={(one) => String(one.id)}
      maxHeight={420}
    />
  )
}
