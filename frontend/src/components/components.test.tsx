import { screen } from '@testing-library/react'
import userEvent from '@testing-library/user-event'
import { describe, expect, it, vi } from 'vitest'
import type { RunDetail } from '~/api'
import * as api from '~/api'
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

  it('shows what each accountant says, and what several rows and runs are promised', async () => {
    const more = { delta: 1e-5, epsilon_rdp: 2, epsilon_prv: 1.7, epsilon_pld: 1.69 }
    const sigmas = { sigma_rdp: 1, sigma_prv: 0.9, sigma_pld: 0.89 }
    const values = Object.entries({ ...more, ...sigmas })
    const one = run('keyed')
    const measurements = values.map(([metric, value]) => ({ metric, value, subgroup: 'all', split: 'test' }))
    const whole = { ...one, measurements: [...one.measurements, ...measurements] } as RunDetail
    render(<PrivacyBlock run={whole} />)
    const cells = screen.getAllByRole('cell').map((cell) => cell.textContent)
    expect(cells).toEqual(['RDP (claimed)', '2', '1', 'PRV', '1.7', '0.9', 'PLD', '1.69', '0.89'])
    expect(screen.getByText(/Two rows together: ε = 4 at δ = 8.39 × 10⁻⁵/)).toBeVisible()
  })

  it('says what choosing costs among runs of its budget, and that a fresh selection is another matter', async () => {
    const call = vi.spyOn(api, 'runsChoosing').mockResolvedValue({
      data: {
        job_id: 'j1',
        trainings: 30,
        settings: 10,
        epsilon: 2,
        delta: 1e-5,
        all_epsilon: 60,
        all_delta: 3e-4,
        random: [
          { distribution: 'geometric', epsilon: 5.5 },
          { distribution: 'poisson', epsilon: 9.25 },
        ],
      },
      response: new Response(),
    } as never)
    const one = run('keyed')
    const measurements = [
      ...one.measurements,
      { metric: 'delta', value: 1e-5, subgroup: 'all', split: 'test' },
    ]
    render(<PrivacyBlock run={{ ...one, id: 'r1', measurements } as RunDetail} job="j1" />)
    expect(await screen.findByText(/trained 30 runs with this ε and δ, of 10 settings/)).toHaveTextContent(
      /ε = 60 at δ = 3 × 10⁻⁴ by naive composition.*those of one seed share theirs/,
    )
    expect(
      screen.getByText(/30 on average, would cost ε = 5.5 \(geometric\), ε = 9.25 \(Poisson\)/),
    ).toHaveTextContent(/The runs of this study do not meet it/)
    expect(call.mock.lastCall?.[0]).toMatchObject({ path: { run_id: 'r1' }, query: { job_id: 'j1' } })
    call.mockRestore()
  })

  it('says where the noise was drawn from', () => {
    const { unmount } = render(<PrivacyBlock run={run('system')} />)
    expect(screen.getByText(/operating system/)).toBeInTheDocument()
    unmount()
    render(<PrivacyBlock run={run('keyed')} />)
    expect(screen.getByText(/keyed by this configuration/)).toBeInTheDocument()
  })
})
