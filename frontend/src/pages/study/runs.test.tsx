import { screen, within } from '@testing-library/react'
import userEvent from '@testing-library/user-event'
import { useState } from 'react'
import { describe, expect, it, vi } from 'vitest'
import type { GroupCell, RunGroups } from '~/api'
import { type Column, DataTable } from '~/components/DataTable'
import { parseSearch, stringifySearch } from '~/lib/search'
import { studies, study } from '~/lib/views'
import { run } from '~/test/fixtures'
import { render } from '~/test/render'
import { groupRows, runRows, tableRows, toggled } from './runRows'

const cell = (mean: number | null): GroupCell => ({
  mean,
  low: null,
  high: null,
  seeds: 2,
  runs: 2,
  balanced: true,
})

const runs = [
  run({ id: 'a', setting_id: 1, seed: 0 }),
  run({ id: 'b', setting_id: 1, seed: 1 }),
  run({ id: 'c', setting_id: 2, seed: 0 }),
]
const numbers = { run_ids: ['c', 'a'], metrics: ['loss'], values: [[0.3, 0.1]] }
const groups: RunGroups = {
  by: ['method'],
  can_group_by: ['method'],
  metrics: ['loss'],
  items: [
    { key: ['sgd'], setting_ids: [1], runs: 2, succeeded: 2, diverged: 0, failed: 0, cells: [cell(0.1)] },
    { key: ['dp_sgd'], setting_ids: [2], runs: 1, succeeded: 1, diverged: 0, failed: 0, cells: [cell(0.3)] },
  ],
}

describe('rows of the run table', () => {
  const rows = runRows(runs, numbers)

  it('hold each run’s own numbers, whatever their order', () => {
    expect(rows.map((row) => row.values.loss)).toEqual([0.1, null, 0.3])
  })

  it('are groups, and the runs of those that are open', () => {
    const found = groupRows(groups)
    const by = (row: (typeof found)[number] | (typeof rows)[number]) =>
      row.kind === 'group' ? row.cells.loss?.mean : row.values.loss
    const keys = (open: string[], down: boolean, of = rows) =>
      tableRows(of, found, new Set(open), by, { key: 'loss', down }).map((row) => row.key)
    const [sgd, dp] = found.map((row) => row.key) as [string, string]
    expect(keys([], false)).toEqual([sgd, dp])
    expect(keys([], true)).toEqual([dp, sgd])
    expect(keys([sgd], true)).toEqual([dp, sgd, 'a', 'b'])
    // A filter of runs is one of groups too.
    expect(keys([sgd], true, rows.slice(2))).toEqual([dp])
  })

  it('tick the settings of a group, and all of them off again', () => {
    expect(toggled([1], [1, 2])).toEqual([1, 2])
    expect(toggled([3, 1, 2], [1, 2])).toEqual([3])
  })
})

describe('the address', () => {
  it('holds the run table', () => {
    const address =
      '?by=method,method.epsilon&columns=loss,loss_gap&down=1&hide=seed&select=3,5&sort=metric.loss'
    const found = stringifySearch({ ...study(parseSearch(address)) })
    expect(found.slice(1).split('&').sort()).toEqual(address.slice(1).split('&'))
  })

  it('holds the list of studies and drops what is odd', () => {
    expect(studies(parseSearch('?status=failed&tag=a&archived=any&sort=runs&up=1'))).toEqual({
      status: 'failed',
      tag: 'a',
      archived: 'any',
      sort: 'runs',
      up: true,
    })
    const odd = studies(parseSearch('?status=x&archived=no&sort=size&up=maybe'))
    expect(Object.values(odd).filter((value) => value !== undefined)).toEqual([])
  })
})

describe('a table of many rows', () => {
  const columns: Column<number>[] = [{ key: 'n', title: 'Number', sort: (n) => n, cell: (n) => `row ${n}` }]

  function Table({ count }: { count: number }) {
    const [down, setDown] = useState(false)
    return (
      <DataTable
        label="Numbers"
        columns={columns}
        rows={Array.from({ length: count }, (_, n) => n)}
        rowKey={String}
        order={{ key: 'n', down }}
        onOrder={(order) => setDown(order.down)}
        maxHeight={340}
      />
    )
  }

  it('draws those in view, says how many there are, and sorts all of them', async () => {
    // A page of jsdom has no sizes of its own.
    for (const size of ['offsetHeight', 'offsetWidth'] as const)
      vi.spyOn(HTMLElement.prototype, size, 'get').mockReturnValue(340)
    for (const size of ['clientHeight', 'clientWidth'] as const)
      vi.spyOn(Element.prototype, size, 'get').mockReturnValue(340)
    render(<Table count={5000} />)
    const table = screen.getByRole('table')
    expect(table).toHaveAttribute('aria-rowcount', '5001')
    const drawn = within(table).getAllByText(/^row /)
    expect(drawn[0]).toHaveTextContent('row 0')
    expect(drawn.length).toBeGreaterThan(8)
    expect(drawn.length).toBeLessThan(60)
    await userEvent.click(screen.getByRole('button', { name: 'Sort by Number' }))
    expect(within(table).getAllByText(/^row /)[0]).toHaveTextContent('row 4999')
    vi.restoreAllMocks()
  })

  it('draws all of a few', () => {
    render(<Table count={40} />)
    expect(screen.getAllByText(/^row /)).toHaveLength(40)
    expect(screen.getByRole('table')).not.toHaveAttribute('aria-rowcount')
  })
})
