import { fireEvent, screen, waitFor, within } from '@testing-library/react'
import { useState } from 'react'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import * as api from '~/api'
import * as views from '~/lib/views'
import { render } from '~/test/render'
import { complaintsOf, DEFAULTS, filled, NUMBERS, part, read, scaleOf, slid } from './fields'
import { GaussianTask } from './GaussianTask'

vi.mock('~/charts/Plot', () => ({
  Plot: ({ figure }: { figure: api.Figure }) => <div data-testid={figure.name} />,
}))

describe('the fields', () => {
  it('mean a request', () => {
    expect(read({ ...DEFAULTS, n: '1,000', as: 'norm', measure: 'gap' }).request).toEqual({
      rows: 1000,
      dimensions: 100,
      informative: 50,
      sigma: 1,
      epsilon: 0.24,
      signal: 0.3,
      signal_as: 'norm',
      perturbation: 'linf',
      measure: 'gap',
    })
  })

  it('say what is no number', () => {
    const bad = { ...DEFAULTS, n: '1.5', d: '', k: 'all', sigma: 'x', eps: '-', mu: '0,3' }
    const { request, complaints } = read(bad)
    expect(request).toBeNull()
    expect(Object.keys(complaints).sort()).toEqual([...NUMBERS].sort())
  })

  it('go into the address where they differ from the defaults, and come back', () => {
    const fields = { ...DEFAULTS, n: '50', moves: 'l2' as const, measure: 'tpr_01' as const, k: '' }
    expect(part(fields)).toEqual({ n: '50', moves: 'l2', measure: 'tpr_01' })
    expect(filled(views.gaussian({ ...part(fields), measure: 'luck', as: 'x' }))).toEqual({
      ...fields,
      k: '50',
      measure: 'auc',
    })
  })

  it('take the server’s problems under their own names', () => {
    const problem = {
      field: 'informative',
      expected: 'at most the 10 dimensions',
      got: '11',
      fix: 'Lower it.',
    }
    expect(complaintsOf([problem])).toEqual({
      k: 'Expected at most the 10 dimensions, got 11. Lower it.',
    })
    expect(complaintsOf([{ ...problem, field: 'epsilon' }])).toHaveProperty('eps')
  })
})

describe('sliders', () => {
  it('reach both ends and stay where they are put', () => {
    const ends = { n: [2, 10_000], d: [1, 1000], k: [0, 100], sigma: [0.1, 10], eps: [0, 10], mu: [0, 10] }
    for (const name of NUMBERS) {
      const scale = scaleOf(name, DEFAULTS)
      expect([scale.value(0), scale.value(1)]).toEqual(ends[name])
      for (const place of [0.1, 0.3, 0.5, 0.77])
        expect(scale.place(scale.value(place))).toBeCloseTo(place, name === 'n' || name === 'd' ? 0 : 1)
      expect(scale.place(1e9)).toBe(1)
      expect(scale.place(Number.NaN)).toBe(0)
    }
  })

  it('get everywhere by keyboard, one step at a time', () => {
    for (const name of NUMBERS)
      for (const [from, way, end] of [
        [0, 1, 1],
        [1, -1, 0],
      ] as const) {
        let fields = { ...DEFAULTS, [name]: String(scaleOf(name, DEFAULTS).value(from)) }
        for (let i = 0; i < 400; i += 1) {
          const place = scaleOf(name, fields).place(Number(fields[name])) + way * 0.005
          fields = slid(fields, name, Math.min(1, Math.max(0, place)))
        }
        expect(scaleOf(name, fields).place(Number(fields[name]))).toBeCloseTo(end, 2)
      }
  })

  it('take the informative coordinates along when there are fewer', () => {
    const fewer = slid(DEFAULTS, 'd', 0.4)
    expect(Number(fewer.d)).toBeLessThan(50)
    expect(fewer.k).toBe(fewer.d)
    expect(slid(DEFAULTS, 'd', 0.9).k).toBe('50')
  })
})

describe('the page', { timeout: 20_000 }, () => {
  const figure = (name: string, title: string): api.Figure => ({
    name,
    title,
    caption: 'd = 100',
    figure: { data: [], layout: {} },
    columns: [{ title: 'n', unit: '', numeric: true }],
    rows: [[2]],
  })
  const answer = (asked: api.GaussianRequest): api.Gaussian => ({
    mean: asked.signal,
    norm: 2,
    zero: 0,
    notes: asked.epsilon > 1 ? ['The perturbation is larger.'] : [],
    values: [
      {
        quantity: 'auc',
        title: 'AUC of the membership attack',
        better: 'lower',
        standard: 0.562,
        robust: 0.587,
        error: 0,
        simulated: [
          { x: 200, trainings: 50, mean: 0.57, low: 0.56, high: 0.58 },
          { x: 200, trainings: 50, mean: 0.59, low: 0.58, high: 0.6 },
        ],
      },
    ],
    curves: [],
    figures: ['a', 'b', 'c', 'd'].map((name) => figure(name, `At n = ${asked.rows}, ${name}`)),
  })
  const call = vi.spyOn(api, 'gaussianCalculate')
  const waiting = new Map<number, () => void>()
  let hold: number[] = []

  beforeEach(() => {
    hold = []
    waiting.clear()
    call.mockImplementation((async ({ body }: { body: api.GaussianRequest }) => {
      if (hold.includes(body.rows))
        await new Promise<void>((resolve) => {
          waiting.set(body.rows, resolve)
        })
      return (body.informative ?? 0) > body.dimensions
        ? {
            error: {
              title: 'The request needs a change',
              detail: '',
              problems: [{ field: 'informative', expected: 'at most 10', got: '50', fix: 'Lower it.' }],
            },
            response: new Response(null, { status: 422 }),
          }
        : { data: answer(body), response: new Response() }
    }) as never)
  })
  afterEach(() => call.mockReset())

  const type = (name: string, value: string) =>
    fireEvent.change(screen.getByRole('textbox', { name }), { target: { value } })

  it('shows theory beside simulation and the sentence of each figure', async () => {
    render(<GaussianTask view={{ n: '50' }} onView={() => {}} />)
    expect(await screen.findByRole('heading', { name: 'At n = 50, a' })).toBeVisible()
    const table = within(screen.getByRole('region', { name: 'Both estimators at this setting' }))
    expect(table.getAllByRole('cell').map((cell) => cell.textContent)).toEqual([
      'AUC of the membership attack',
      '0.562',
      '0.57 (0.56 to 0.58)',
      '0.587',
      '0.59 (0.58 to 0.6)',
      'lower',
    ])
    expect(screen.getAllByRole('button', { name: 'Download this figure' })).toHaveLength(4)
    expect(call).toHaveBeenCalledTimes(1)
  })

  it('keeps the address in step and what is shown until the next answer', async () => {
    const onView = vi.fn()
    render(<GaussianTask view={{}} onView={onView} />)
    await screen.findByRole('heading', { name: 'At n = 200, a' })
    hold = [300]
    type('Training rows n', '300')
    await waitFor(() => expect(onView).toHaveBeenLastCalledWith({ n: '300' }))
    await waitFor(() => expect(waiting.has(300)).toBe(true))
    expect(screen.getByRole('heading', { name: 'At n = 200, a' })).toBeVisible()
    waiting.get(300)?.()
    expect(await screen.findByRole('heading', { name: 'At n = 300, a' })).toBeVisible()
  })

  it('drops an answer that comes after a later question', async () => {
    render(<GaussianTask view={{}} onView={() => {}} />)
    await screen.findByRole('heading', { name: 'At n = 200, a' })
    hold = [300]
    type('Training rows n', '300')
    await waitFor(() => expect(waiting.has(300)).toBe(true))
    type('Training rows n', '400')
    expect(await screen.findByRole('heading', { name: 'At n = 400, a' })).toBeVisible()
    waiting.get(300)?.()
    await new Promise((resolve) => setTimeout(resolve, 50))
    expect(screen.queryByRole('heading', { name: 'At n = 300, a' })).toBeNull()
    expect(screen.getByRole('heading', { name: 'At n = 400, a' })).toBeVisible()
  })

  it('shows the server’s problem at the field and keeps the figures', async () => {
    render(<GaussianTask view={{}} onView={() => {}} />)
    await screen.findByRole('heading', { name: 'At n = 200, a' })
    type('Coordinates d', '10')
    expect(await screen.findByText('Expected at most 10, got 50. Lower it.')).toBeVisible()
    expect(screen.getByRole('textbox', { name: 'Informative coordinates' })).toBeInvalid()
    expect(screen.getByRole('heading', { name: 'At n = 200, a' })).toBeVisible()
    expect(screen.getByText(/what is shown is of the setting before/)).toBeVisible()
    type('Informative coordinates', '5')
    await waitFor(() => expect(screen.queryByText(/what is shown is of the setting before/)).toBeNull())
  })

  it('asks once for a slider that runs, and says what is particular', async () => {
    function Page() {
      const [view, setView] = useState<views.GaussianView>({})
      return <GaussianTask view={view} onView={setView} />
    }
    render(<Page />)
    await screen.findByRole('heading', { name: 'At n = 200, a' })
    const slider = screen.getByRole('slider', { name: 'Slider of Perturbation ε' })
    for (let i = 0; i < 8; i += 1) fireEvent.keyDown(slider, { key: 'ArrowRight' })
    await waitFor(() => expect(call).toHaveBeenCalledTimes(2))
    const moved = Number((screen.getByRole('textbox', { name: 'Perturbation ε' }) as HTMLInputElement).value)
    expect(moved).toBeGreaterThan(0.24)
    expect(call.mock.lastCall?.[0].body.epsilon).toBe(moved)
    type('Perturbation ε', '2')
    expect(await screen.findByText('The perturbation is larger.')).toBeVisible()
  })

  it('asks nothing while a field is no number', async () => {
    render(<GaussianTask view={{ n: 'many' }} onView={() => {}} />)
    expect(await screen.findByText(/Expected a whole number/)).toBeVisible()
    expect(call).not.toHaveBeenCalled()
  })
})
