import { useQuery } from '@tanstack/react-query'
import { useMemo, useState } from 'react'
import type { MeasurementOut } from '~/api'
import { catalogueQuery } from '~/data/queries'
import { integer, interval, number } from '~/lib/format'
import type { Order } from '~/lib/sort'
import { isPartition, partitionTitle } from '~/lib/subgroups'
import { type Column, DataTable } from './DataTable'
import { MetricTerm, Term } from './Term'

interface Props {
  measurements: readonly MeasurementOut[]
  split?: string
  /** Attacks, or gaps between groups; left out: everything on everybody. */
  only?: 'attack' | 'gaps'
  maxHeight?: number
}

const LABELS = { all: 'Measurements', gaps: 'Gaps between groups', attack: 'Attacks' }

const BETWEEN: Column<MeasurementOut> = {
  key: 'between',
  title: 'Between groups of',
  sort: (row) => row.subgroup,
  cell: (row) => partitionTitle(row.subgroup),
}

/** What was measured on one run, in the catalogue's order. */
export function MeasurementTable({ measurements, split = 'test', only, maxHeight = 460 }: Props) {
  const { data } = useQuery(catalogueQuery)
  const [order, setOrder] = useState<Order>()
  const metrics = useMemo(() => data?.metrics ?? [], [data])
  const rows = useMemo(() => {
    const place = new Map(metrics.map((metric, i) => [metric.name, i]))
    return measurements
      .filter(
        (one) =>
          one.split === split && (only === 'gaps' ? isPartition(one.subgroup) : one.subgroup === 'all'),
      )
      .filter(
        (one) => only !== 'attack' || metrics.find((metric) => metric.name === one.metric)?.kind === 'attack',
      )
      .sort((a, b) => (place.get(a.metric) ?? 999) - (place.get(b.metric) ?? 999))
  }, [measurements, split, only, metrics])
  const columns = useMemo<Column<MeasurementOut>[]>(() => {
    const info = (name: string) => metrics.find((metric) => metric.name === name)
    return [
      {
        key: 'metric',
        title: 'Metric',
        wrap: true,
        sort: (row) => info(row.metric)?.title ?? row.metric,
        cell: (row) => (
          <>
            <MetricTerm name={row.metric} />
            {info(row.metric)?.unit && (
              <span style={{ color: 'var(--mantine-color-dimmed)' }}> {info(row.metric)?.unit}</span>
            )}
          </>
        ),
      },
      ...(only === 'gaps' ? [BETWEEN] : []),
      {
        key: 'value',
        title: 'Value',
        numeric: true,
        sort: (row) => row.value,
        cell: (row) => number(row.value),
      },
      {
        key: 'interval',
        title: <Term name="interval">95 % interval</Term>,
        numeric: true,
        cell: (row) => interval(row.low, row.high),
      },
      { key: 'n', title: 'n', numeric: true, sort: (row) => row.n, cell: (row) => integer(row.n) },
    ]
  }, [metrics, only])
  return (
    <DataTable
      label={LABELS[only ?? 'all']}
      columns={columns}
      rows={rows}
      rowKey={(row) => `${row.metric} ${row.subgroup}`}
      order={order}
      onOrder={setOrder}
      maxHeight={maxHeight}
    />
  )
}
