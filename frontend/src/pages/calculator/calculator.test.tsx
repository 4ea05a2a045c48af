import { fireEvent, screen, waitFor, within } from '@testing-library/react'
import { useState } from 'react'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import * as api from '~/api'
import { render } from '~/test/render'
import { Calculator } from './Calculator'
import { complaintsOf, DEFAULTS, drawnSigma, read } from './fields'

describe('the fields', () => {
  it('mean a request', () => {
    expect(read({ ...DEFAULTS, n: '27,133', delta: '1e-6', epsilons: '1; 2 4' }).request).toEqual({
      rows: 27133,
      batch_size: 256,
      epochs: 10,
      delta: 1e-6,
      epsilons: [1, 2, 4],
      sigmas: [0.6, 0.8, 1, 1.5],
    })
  })

  it('say what is no number', () => {
    const bad = { n: '0', batch: '', epochs: 'ten', delta: '2', epsilons: '1, -2', sigmas: 'x', tries: '0.5' }
    const { request, complaints } = read({ ...DEFAULTS, ...bad })
    expect(request).toBeNull()
    expect(Object.keys(complaints).sort()).toEqual(Object.keys(bad).sort())
  })

  it('ask for the cost of choosing where several are tried', () => {
    expect(read({ ...DEFAULTS, tries: '2.5', drawn: 'poisson' }).request?.tries).toEqual({
      mean: 2.5,
      distribution: 'poisson',
    })
    expect(read(DEFAULTS).request).not.toHaveProperty('tries')
  })

  it('draw a σ that is asked for', () => {
    const at = (at: string) => {
      const fields = { ...DEFAULTS, at }
      const { request } = read(fields)
      return request && drawnSigma(fields, request)
    }
    expect([at('0.8'), at('0.7'), at('')]).toEqual([0.8, 0.6, 0.6])
  })

  it('take the server’s problems under their own names', () => {
    const problem = { field: 'epsilons.1', expected: 'at least 0.05', got: '1e-9', fix: 'Raise it.' }
    expect(complaintsOf([problem])).toEqual({ epsilons: 'Expected at least 0.05, got 1e-9. Raise it.' })
    expect(complaintsOf([{ ...problem, field: 'batch_size' }])).toHaveProperty('batch')
  })
})

describe('the calculator', () => {
  const answer = (asked: api.AccountingRequest): api.Accounting => {
    const accountant = asked.accountants?.[0] ?? 'rdp'
    const factor = accountant === 'rdp' ? 2 : 1
    return {
      sampling_rate: 0.01,
      steps: 1060,
      delta: 1e-5,
      noise: (asked.epsilons ?? []).map((epsilon) => ({ accountant, epsilon, sigma: factor / epsilon })),
      cost: (asked.sigmas ?? []).map((sigma) => ({ accountant, epsilon: factor / sigma, sigma })),
      selection: asked.tries && {
        noise: (asked.epsilons ?? []).map((epsilon) => row(epsilon / 2, 3)),
        cost: (asked.sigmas ?? []).map((sigma) => row(1 / sigma, sigma)),
      },
    }
  }
  const call = vi.spyOn(api, 'accountingCalculate')
  const draw = vi.spyOn(api, 'accountingSpending')
  const row = (epsilon: number, sigma: number) => ({
    sigma,
    one: epsilon,
    selected: 2 * epsilon,
    all: 9 * epsilon,
  })

  beforeEach(() => {
    call.mockImplementation((async ({ body }: { body: api.AccountingRequest }) =>
      body.batch_size > body.rows
        ? {
            error: {
              title: 'The request needs a change',
              detail: '',
              problems: [{ field: 'batch_size', expected: 'at most 100', got: '256', fix: 'Lower it.' }],
            },
            response: new Response(null, { status: 422 }),
          }
        : { data: answer(body), response: new Response() }) as never)
    draw.mockImplementation((async ({ body }: { body: api.SpendingRequest }) => ({
      data: {
        name: 'spending',
        title: `σ = ${body.sigma} costs something`,
        caption: '',
        figure: { data: [], layout: {} },
        columns: [],
        rows: [],
      },
      response: new Response(),
    })) as never)
  })
  afterEach(() => {
    call.mockReset()
    draw.mockReset()
  })

  it('asks each accountant and shows them side by side', async () => {
    render(<Calculator view={{ epsilons: '4', n: undefined }} onView={() => {}} />)
    const table = within(screen.getByRole('region', { name: 'Noise multiplier σ for each ε' }))
    await waitFor(() =>
      expect(table.getAllByRole('cell').map((cell) => cell.textContent)).toEqual([
        '4',
        '0.5',
        '0.25',
        '0.25',
      ]),
    )
    expect(screen.getByText('1,060 steps')).toBeVisible()
    expect(call).toHaveBeenCalledTimes(3)
  })

  it('says what choosing costs, by RDP alone', async () => {
    render(<Calculator view={{ epsilons: '4', sigmas: '0.5', tries: '30' }} onView={() => {}} />)
    const cells = (name: string) =>
      within(screen.getByRole('region', { name }))
        .getAllByRole('cell')
        .map((cell) => cell.textContent)
    await waitFor(() =>
      expect(cells('Noise with which the best of several costs each ε')).toEqual(['4', '3', '2']),
    )
    expect(cells('What the best of several costs with each σ')).toEqual(['0.5', '2', '4', '18'])
    expect(screen.getByText('ε, all 30 published')).toBeVisible()
    const asked = call.mock.calls.map(([{ body }]) => [body.accountants?.[0], body.tries])
    expect(asked).toEqual([
      ['rdp', { mean: 30, distribution: 'geometric' }],
      ['prv', undefined],
      ['pld', undefined],
    ])
  })

  it('draws one of the asked noise multipliers along the training', async () => {
    render(<Calculator view={{ sigmas: '0.5, 0.9', at: '0.9' }} onView={() => {}} />)
    expect(await screen.findByText('σ = 0.9 costs something')).toBeVisible()
    expect(draw.mock.lastCall?.[0].body).toMatchObject({
      rows: 27133,
      epochs: 10,
      sigma: 0.9,
      theme: 'light',
    })
  })

  it('keeps the address in step and shows the server’s problem at the field', async () => {
    const onView = vi.fn()
    render(<Calculator view={{}} onView={onView} />)
    fireEvent.change(screen.getByRole('textbox', { name: 'Training rows n' }), { target: { value: '100' } })
    await waitFor(() => expect(onView).toHaveBeenLastCalledWith({ n: '100' }))
    expect(await screen.findByText('Expected at most 100, got 256. Lower it.')).toBeVisible()
    expect(screen.getByRole('textbox', { name: 'Expected batch size' })).toBeInvalid()
  })

  it('leaves a field that was emptied empty', async () => {
    function Page() {
      const [view, setView] = useState({ n: '100', batch: '50' })
      return <Calculator view={view} onView={(next) => setView(next as typeof view)} />
    }
    render(<Page />)
    const batch = screen.getByRole('textbox', { name: 'Expected batch size' })
    fireEvent.change(batch, { target: { value: '' } })
    expect(await screen.findByText(/Expected a whole number/)).toBeVisible()
    expect(batch).toHaveValue('')
    expect(screen.getByRole('textbox', { name: 'Training rows n' })).toHaveValue('100')
  })

  it('asks nothing while a field is no number', async () => {
    render(<Calculator view={{ n: 'many' }} onView={() => {}} />)
    expect(await screen.findByText(/Expected a whole number/)).toBeVisible()
    expect(call).not.toHaveBeenCalled()
  })
})
