import { List, Text } from '@mantine/core'
import { useMemo, useState } from 'react'
import type { ComparedRow, Comparison, PairTest } from '~/api'
import { type Column, DataTable } from '~/components/DataTable'
import { Fold } from '~/components/Fold'
import { Panel } from '~/components/Panel'
import { integer, interval, number } from '~/lib/format'
import { byMetric, letterOf, worstSentences } from '~/lib/reviews'
import type { Order } from '~/lib/sort'

interface Row {
  key: string
  row: ComparedRow
  test: PairTest
}

/** What the tests support, in sentences, and every test behind them. */
export function ComparedTests({ comparison }: { comparison: Comparison }) {
  const { settings, findings, notes, tests } = comparison
  const worst = byMetric(comparison.rows).flatMap((rows) => worstSentences(rows, settings))
  return (
    <Panel title="What the numbers say">
      {findings.length > 0 ? (
        <List size="sm" spacing={4}>
          {findings.map((one) => (
            <List.Item key={one}>{one}</List.Item>
          ))}
        </List>
      ) : (
        <Text size="sm">No difference between these settings is supported by a test.</Text>
      )}
      {worst.length > 0 && (
        <>
          <Text size="sm" fw={600} mt="sm">
            Who is worst off (means, small groups aside)
          </Text>
          <List size="sm" spacing={2}>
            {worst.map((one) => (
              <List.Item key={one}>{one}</List.Item>
            ))}
          </List>
        </>
      )}
      <Text size="xs" c="dimmed" mt={6}>
        {comparison.family}
      </Text>
      {notes.map((one) => (
        <Text key={one} size="xs" c="dimmed" mt={6}>
          {one}
        </Text>
      ))}
      {tests > 0 && (
        <Fold label={`All ${integer(tests)} paired tests`}>
          <TestTable comparison={comparison} />
        </Fold>
      )}
    </Panel>
  )
}

function TestTable({ comparison }: { comparison: Comparison }) {
  const [order, setOrder] = useState<Order>({ key: 'corrected', down: false })
  const rows = useMemo<Row[]>(
    () =>
      comparison.rows.flatMap((row) =>
        row.tests.map((test) => ({ key: `${row.metric} ${row.subgroup} ${test.a} ${test.b}`, row, test })),
      ),
    [comparison],
  )
  const columns = useMemo<Column<Row>[]>(() => {
    const pair = ({ test }: Row) =>
      `${letterOf(comparison.settings, test.a)} − ${letterOf(comparison.settings, test.b)}`
    return [
      {
        key: 'metric',
        title: 'Metric',
        wrap: true,
        sort: ({ row }) => row.title,
        cell: ({ row }) => row.title,
      },
      {
        key: 'group',
        title: 'Group',
        wrap: true,
        sort: ({ row }) => row.subgroup_title,
        cell: ({ row }) => (row.small ? `${row.subgroup_title} (small)` : row.subgroup_title),
      },
      { key: 'pair', title: 'Settings', sort: pair, cell: pair },
      {
        key: 'difference',
        title: 'Difference',
        numeric: true,
        sort: ({ test }) => test.difference,
        cell: ({ test }) => number(test.difference),
      },
      {
        key: 'interval',
        title: '95 % interval',
        numeric: true,
        cell: ({ test }) => interval(test.low, test.high),
      },
      {
        key: 'pairs',
        title: 'Pairs',
        numeric: true,
        sort: ({ test }) => test.pairs,
        cell: ({ test }) => test.pairs,
      },
      { key: 'p', title: 'p', numeric: true, sort: ({ test }) => test.p, cell: ({ test }) => number(test.p) },
      {
        key: 'corrected',
        title: 'p, Holm',
        numeric: true,
        sort: ({ test }) => test.corrected,
        cell: ({ test }) => (test.reachable ? number(test.corrected) : 'too few pairs'),
      },
      { key: 'sentence', title: 'In words', wrap: true, cell: ({ test }) => test.sentence },
    ]
  }, [comparison.settings])
  return (
    <DataTable
      label="Paired tests"
      columns={columns}
      rows={rows}
      rowKey={(row) => row.key}
      order={order}
      onOrder={setOrder}
      maxHeight={480}
    />
  )
}
