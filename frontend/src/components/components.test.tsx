import { screen } from '@testing-library/react'
import userEvent from '@testing-library/user-event'
import { describe, expect, it, vi } from 'vitest'
import type { RunDetail } from '~/api'
import { render } from '~/test/render'
import { DataTable } from './DataTable'
import { PrivacyBlock } from './PrivacyBlock'
import { ProblemNotice } from './ProblemNotice'
import { MetricTerm, Term } from './Term'

describe('Term', () => {
  it('explains itself to the keyboard', async () => {
    render(<Term name="epsilon">ε</Term>)
    await userEvent.tab()
    expect(await screen.findByRole('tooltip')).toHaveTextContent(/privacy budget/)
  })

  it('takes a metric’s words from the catalogue', async () => {
    render(<MetricTerm name="loss_gap" />)
    await userEvent.hover(screen.getByText('Loss gap between groups'))
    expect(await screen.findByRole('tooltip')).toHaveTextContent('Largest minus smallest loss.')
  })
})

describe('DataTable', () => {
  it('says how it is sorted and asks for another order', async () => {
    const onOrder = vi.fn()
    render(
      <DataTable
        label="Runs"
        columns={[
          { key: 'n', title: 'n', numeric: true, sort: (row: { n: number }) => row.n, cell: (row) => row.n },
        ]}
        rows={[{ n: 10 }, { n: 2 }]}
        rowKey={(row) => String(row.n)}
        order={{ key: 'n', down: false }}
        onOrder={onOrder}
      />,
    )
    expect(screen.getAllByRole('cell').map((cell) => cell.textContent)).toEqual(['2', '10'])
    expect(screen.getByRole('columnheader')).toHaveAttribute('aria-sort', 'ascending')
    await userEvent.click(screen.getByRole('button', { name: 'Sort by n' }))
    expect(onOrder).toHaveBeenCalledWith({ key: 'n', down: true })
  })
})

describe('ProblemNotice', () => {
  it('says what happened, what was expected and what to do', async () => {
    const retry = vi.fn()
    render(
      <ProblemNotice
        problem={{
          type: 'x',
          title: 'The worker does not have the data',
          status: 422,
          detail: 'adult.parquet was not found.',
          problems: [{ field: 'dataset', expected: 'the file', got: 'nothing', fix: 'Put it there.' }],
        }}
        onRetry={retry}
      />,
    )
    expect(screen.getByRole('alert')).toHaveTextContent('Expected the file, got nothing. Put it there.')
    await userEvent.click(screen.getByRole('button', { name: 'Try again' }))
    expect(retry).toHaveBeenCalled()
  })
})

describe('PrivacyBlock', () => {
  const run = (noise_source: string) =>
    ({
      epsilon: 2,
      setting: { method: { name: 'dp_sgd', params: { epsilon: 2 } }, training: { noise_source } },
      measurements: [{ metric: 'epsilon', subgroup: 'all', split: 'test', value: 2 }],
    }) as unknown as RunDetail

  it('says where the noise was drawn from', () => {
    const { unmount } = render(<PrivacyBlock run={run('system')} />)
    expect(screen.getByText(/operating system/)).toBeInTheDocument()
    unmount()
    render(<PrivacyBlock run={run('keyed')} />)
    expect(screen.getByText(/keyed by this configuration/)).toBeInTheDocument()
  })
})
