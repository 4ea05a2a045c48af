import { Text } from '@mantine/core'
import { useQuery } from '@tanstack/react-query'
import { getRouteApi } from '@tanstack/react-router'
import { useMemo } from 'react'
import type { MeasurementOut, RunDetail } from '~/api'
import { MetricMenu } from '~/charts/AxisMenus'
import { useMetric } from '~/charts/useAxes'
import { type Column, DataTable } from '~/components/DataTable'
import { Panel } from '~/components/Panel'
import { Term } from '~/components/Term'
import { catalogueQuery } from '~/data/queries'
import { integer, interval, number } from '~/lib/format'
import { anySubgroupTitle, isSmall } from '~/lib/subgroups'

const route = getRouteApi('/runs/$id')

const COLUMNS: Column<MeasurementOut>[] = [
  {
    key: 'subgroup',
    title: <Term name="subgroup">Subgroup</Term>,
    label: 'subgroup',
    wrap: true,
    sort: (row) => anySubgroupTitle(row.subgroup),
    cell: (row) => (
      <>
        {anySubgroupTitle(row.subgroup)}
        {isSmall(row.n) && <Term name="small_group"> *</Term>}
      </>
    ),
  },
  { key: 'n', title: 'n', numeric: true, sort: (row) => row.n, cell: (row) => integer(row.n) },
  { key: 'value', title: 'Value', numeric: true, sort: (row) => row.value, cell: (row) => number(row.value) },
  {
    key: 'interval',
    title: <Term name="interval">95 % interval</Term>,
    numeric: true,
    cell: (row) => interval(row.low, row.high),
  },
]

/** One metric for every subgroup, with n and interval; small groups carry an asterisk. */
export function RunSubgroups({ run }: { run: RunDetail }) {
  const { metric: wanted, sort, down = false } = route.useSearch()
  const { metric } = useMetric(wanted, 'loss')
  const navigate = route.useNavigate()
  const { data } = useQuery(catalogueQuery)
  const rows = useMemo(
    () => run.measurements.filter((one) => one.metric === metric && one.split === 'test'),
    [run, metric],
  )
  const explanation = data?.metrics.find((one) => one.name === metric)?.explanation
  return (
    <Panel
      title="Subgroups"
      aside={
        <MetricMenu
          label="Metric"
          value={metric}
          perSubgroup
          onChange={(next) => navigate({ search: (old) => ({ ...old, metric: next }), resetScroll: false })}
        />
      }
    >
      {explanation && (
        <Text size="sm" c="dimmed" mb="sm">
          {explanation}
        </Text>
      )}
      {rows.length ? (
        <DataTable
          label="One metric by subgroup"
          columns={COLUMNS}
          rows={rows}
          rowKey={(row) => row.subgroup}
          order={sort ? { key: sort, down } : undefined}
          onOrder={(order) =>
            navigate({
              search: (old) => ({ ...old, sort: order.key, down: order.down || undefined }),
              replace: true,
              resetScroll: false,
            })
          }
          maxHeight={460}
        />
      ) : (
        <Text size="sm">This metric was not measured on this run. Choose another.</Text>
      )}
    </Panel>
  )
}
