import { screen, waitFor } from '@testing-library/react'
import userEvent from '@testing-library/user-event'
import { beforeEach, describe, expect, it, vi } from 'vitest'
import * as api from '~/api'
import { catalogue, figure, job, plugin, preset } from '~/test/fixtures'
import { renderAt } from '~/test/render'
import { ReductionSection } from './ReductionSection'
import { ReproductionSection } from './ReproductionSection'

const study = {
  ...job({ status: 'succeeded', methods: ['sgd', 'dp_sgd', 'soft'], preset: 'claims' }),
  spec: { ...preset.spec, preset: 'claims' },
  subgroups: ['all', 'sex', 'sex & race'],
} as api.JobDetail

const answer = (data: unknown) => (async () => ({ data, response: new Response() })) as never

const presetsCall = vi.spyOn(api, 'presetsListPresets')
const verdictsCall = vi.spyOn(api, 'reproductionGet')
const claimsCall = vi.spyOn(api, 'reproductionFigure')
const reductionsCall = vi.spyOn(api, 'reproductionReductions')

const soft = plugin('method', 'soft', { title: 'Soft clipping', method: { private: true } })
const known = { ...catalogue, plugins: [...catalogue.plugins, soft] }
const claim = { statement: 'Soft is fairer', metric: 'loss_gap', method: 'soft', reference: 'dp_sgd' }

beforeEach(() => {
  for (const call of [presetsCall, verdictsCall, claimsCall, reductionsCall]) call.mockReset()
  presetsCall.mockImplementation(
    answer({ items: [{ ...preset, name: 'claims', claims: [claim] }], next: null }),
  )
  verdictsCall.mockImplementation(
    answer({
      rule: 'Reproduced where the corrected test passes.',
      verdicts: [{ statement: claim.statement, outcome: 'partly', sentence: 'Passed 2 of 6 tests' }],
      notes: ['Six seeds'],
    }),
  )
  claimsCall.mockImplementation(answer(figure({ title: 'The claim beside what was measured' })))
  reductionsCall.mockImplementation(answer(figure({ title: 'How much smaller the gap is' })))
})

const asked = (call: { mock: { lastCall?: unknown[] } }) =>
  (call.mock.lastCall?.[0] as { query: Record<string, string> } | undefined)?.query

describe('the claims', () => {
  it('are shown with their verdict, its reason and its rule', async () => {
    renderAt('/studies/j1', <ReproductionSection job={study} />)
    expect(await screen.findByText('Claim: Soft is fairer')).toBeVisible()
    expect(screen.getByText('Partly')).toBeVisible()
    expect(screen.getByText('Passed 2 of 6 tests.')).toBeVisible()
    expect(screen.getByText('Reproduced where the corrected test passes.')).toBeInTheDocument()
    expect(await screen.findByRole('heading', { name: 'The claim beside what was measured' })).toBeVisible()
    expect(asked(claimsCall)).toMatchObject({ subgroup: 'sex' })
  })

  it('are of the attributes in the address', async () => {
    const { history } = renderAt('/studies/j1?between=sex+%26+race', <ReproductionSection job={study} />)
    await waitFor(() => expect(asked(claimsCall)).toMatchObject({ subgroup: 'sex & race' }))
    await userEvent.click(await screen.findByRole('combobox', { name: 'Gap between groups of' }))
    await userEvent.click(await screen.findByRole('option', { name: 'sex' }))
    await waitFor(() => expect(history.location.search).toBe('?between=sex'))
    await waitFor(() => expect(asked(claimsCall)).toMatchObject({ subgroup: 'sex' }))
    history.back()
    await waitFor(() => expect(history.location.search).toContain('race'))
    await waitFor(() =>
      expect(screen.getByRole('combobox', { name: 'Gap between groups of' })).toHaveValue('sex × race'),
    )
  })

  it('are not there for a study of a preset that claims nothing', async () => {
    presetsCall.mockImplementation(answer({ items: [{ ...preset, name: 'claims', claims: [] }], next: null }))
    renderAt('/studies/j1', <ReproductionSection job={study} />)
    await waitFor(() => expect(presetsCall).toHaveBeenCalled())
    expect(screen.queryByText('What the paper claims, put to the test')).toBeNull()
    expect(verdictsCall).not.toHaveBeenCalled()
  })
})

describe('the reductions', () => {
  it('are compared with DP-SGD unless the address says otherwise', async () => {
    const { history } = renderAt('/studies/j1', <ReductionSection job={study} />, known)
    await waitFor(() => expect(asked(reductionsCall)).toMatchObject({ reference: 'dp_sgd', subgroup: 'sex' }))
    const menu = await screen.findByRole('combobox', { name: 'Compared with' })
    expect(menu).toHaveValue('DP-SGD')
    await userEvent.click(menu)
    expect(screen.queryByRole('option', { name: 'SGD' })).toBeNull()
    await userEvent.click(await screen.findByRole('option', { name: 'Soft clipping' }))
    await waitFor(() => expect(asked(reductionsCall)).toMatchObject({ reference: 'soft' }))
    expect(history.location.search).toBe('?against=soft')
  })

  it('may be of another metric', async () => {
    const { history } = renderAt('/studies/j1', <ReductionSection job={study} />, known)
    await waitFor(() => expect(asked(reductionsCall)).toMatchObject({ metric: 'loss_gap' }))
    await userEvent.click(await screen.findByRole('combobox', { name: /^Metric/ }))
    await userEvent.click(await screen.findByRole('option', { name: 'Loss' }))
    await waitFor(() => expect(asked(reductionsCall)).toMatchObject({ metric: 'loss', reference: 'dp_sgd' }))
    expect(history.location.search).toBe('?compared=loss')
  })

  it('come back from an address, and drop what is not on offer', async () => {
    renderAt('/studies/j1?against=soft&between=sex+%26+race', <ReductionSection job={study} />, known)
    await waitFor(() =>
      expect(asked(reductionsCall)).toMatchObject({ reference: 'soft', subgroup: 'sex & race' }),
    )
    renderAt('/studies/j1?against=sgd&between=hair', <ReductionSection job={study} />, known)
    await waitFor(() => expect(asked(reductionsCall)).toMatchObject({ reference: 'dp_sgd', subgroup: 'sex' }))
  })

  it('are not there with one private method', async () => {
    renderAt('/studies/j1', <ReductionSection job={{ ...study, methods: ['sgd', 'dp_sgd'] }} />, known)
    await waitFor(() => expect(screen.queryByLabelText('Methods against each other')).toBeNull())
    expect(reductionsCall).not.toHaveBeenCalled()
  })
})
