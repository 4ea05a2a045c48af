import { fireEvent, screen, waitFor, within } from '@testing-library/react'
import { useState } from 'react'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import * as api from '~/api'
import { render } from '~/test/render'
import { Calculator } from './Calculator'
import { complaintsOf, DEFAULTS, read } from './fields'

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
    const bad = { n: '0', batch: '', epochs: 'ten', delta: '2', epsilons: '1, -2', sigmas: 'x' }
    const { request, complaints } = read(bad)
    expect(request).toBeNull()
    expect(Object.keys(complaints).sort()).toEqual(Object.keys(DEFAULTS).sort())
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
    }
  }
  const call = vi.spyOn(api, 'accountingCalculate')

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
  })
  afterEach(() => call.mockReset())

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
