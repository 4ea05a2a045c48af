import { Stack, Text } from '@mantine/core'
import type { Exposed, ExposedRecord, RunDetail } from '~/api'
import { type Column, DataTable } from '~/components/DataTable'
import { Panel } from '~/components/Panel'
import { Term } from '~/components/Term'
import { useAttackTitles } from '~/components/useAttackTitles'
import { integer, number, words } from '~/lib/format'
import { anySubgroupTitle, finest } from '~/lib/subgroups'

const COLUMNS: Column<ExposedRecord>[] = [
  {
    key: 'row',
    title: <Term name="exposed_row">Row</Term>,
    numeric: true,
    cell: (record) => String(record.row),
  },
  {
    key: 'score',
    title: <Term name="exposed_score">Score</Term>,
    numeric: true,
    cell: (record) => number(record.score),
  },
  {
    key: 'percentile',
    title: <Term name="exposed_percentile">Percentile</Term>,
    unit: '%',
    numeric: true,
    // The highest are told apart by the last digits.
    cell: (record) => number(record.percentile, 5),
  },
  {
    key: 'subgroups',
    title: 'Subgroups',
    wrap: true,
    cell: (record) =>
      finest(record.subgroups ?? [])
        .map(anySubgroupTitle)
        .join(', '),
  },
]

/** Training rows that attacks tell apart most surely: their places in the table, never what is in them. */
export function ExposedSection({ run }: { run: RunDetail }) {
  if (!run.exposed.length) return null
  return (
    <Panel title="Most exposed records">
      <Stack gap="md">
        <Text size="sm" c="dimmed">
          Training rows that an attack with shadow models is most sure of, by their place in the table. A high
          score alone proves nothing: read it beside how many members the attack finds.
        </Text>
        {run.exposed.map((one) => (
          <OneAttack key={one.attack} exposed={one} />
        ))}
      </Stack>
    </Panel>
  )
}

function OneAttack({ exposed }: { exposed: Exposed }) {
  const records = exposed.records ?? []
  const titles = useAttackTitles()
  const title = titles.get(exposed.attack) ?? words(exposed.attack)
  return (
    <div>
      <Text size="sm" mb="xs">
        {title}: {[exposed.models ? basis(exposed) : '', exposed.statement ?? ''].filter(Boolean).join(' ')}
      </Text>
      {records.length > 0 && (
        <DataTable
          label={`Most exposed records, ${title}`}
          columns={COLUMNS}
          rows={records}
          rowKey={(record) => String(record.row)}
          maxHeight={320}
        />
      )}
    </div>
  )
}

function basis({ models = 0, left_out = 0, unscored = 0 }: Exposed): string {
  const parts = [`compared with ${integer(models)} shadow models`]
  if (left_out) parts.push(`${integer(left_out)} more diverged or failed`)
  if (unscored) parts.push(`${integer(unscored)} rows without a score`)
  return `${parts.join(', ')}.`
}
