import { screen, waitFor } from '@testing-library/react'
import userEvent from '@testing-library/user-event'
import { beforeEach, describe, expect, it, vi } from 'vitest'
import * as api from '~/api'
import { isOfClipping, partitionsOfHistory } from '~/lib/clipping'
import { RunClippingSection } from '~/pages/run/RunClippingSection'
import { catalogue, figure, job, plugin, preset } from '~/test/fixtures'
import { renderAt } from '~/test/render'
import { ClippingSection } from './ClippingSection'

const answer = (data: unknown) => (async () => ({ data, response: new Response() })) as never
const figureCall = vi.spyOn(api, 'figuresGetFigure')
const soft = plugin('method', 'soft', { title: 'Soft clipping', method: { private: true } })
const hard = plugin('method', 'hard', { title: 'Hard clipping', method: { private: true } })
const plain = plugin('method', 'plain', { title: 'Plain', method: { private: false } })
const known = { ...catalogue, plugins: [soft, hard, plain] }
const study = (methods: string[]) =>
  ({
    ...job({ status: 'succeeded', methods }),
    spec: { ...preset.spec, dataset: { name: 'toy', subgroups: ['sex', ['sex', 'race']] } },
    subgroups: ['all', 'sex', 'sex & race'],
  }) as api.JobDetail

const asked = () =>
  (figureCall.mock.lastCall?.[0] as { path: { name: string }; query: Record<string, unknown> } | undefined) ??
  undefined

beforeEach(() => {
  figureCall.mockReset()
  figureCall.mockImplementation(answer(figure({ title: 'Women keep 33 % of their length' })))
})

describe('clipping in a study', () => {
  it('is that of the first private method, and of the one that is chosen', async () => {
    const { history } = renderAt(
      '/studies/j1',
      <ClippingSection job={study(['plain', 'soft', 'hard'])} />,
      known,
    )
    expect(await screen.findByRole('heading', { name: /Women keep/ })).toBeVisible()
    expect(asked()?.path.name).toBe('clipping')
    expect(asked()?.query).toMatchObject({ method: 'soft', subgroup: 'sex' })
    await userEvent.click(await screen.findByRole('combobox', { name: 'Clipping of' }))
    await userEvent.click(await screen.findByRole('option', { name: 'Hard clipping' }))
    await waitFor(() => expect(asked()?.query).toMatchObject({ method: 'hard' }))
    expect(history.location.search).toContain('bends=hard')
  })

  it('has no place where no method is private', async () => {
    renderAt('/studies/j1', <ClippingSection job={study(['plain'])} />, known)
    await waitFor(() => expect(screen.queryByLabelText(/What clipping does/)).toBeNull())
  })
})

describe('clipping in a run', () => {
  const series = (name: string, groups = {}) => ({ name, unit: '', steps: [0], values: [1], groups })
  const bent = series('gradient_cosine', { 'sex=Female & race=Black': [1], 'sex=Male': [1] })
  const history = [bent, series('train_loss', { 'age=old': [1] })]

  it('is drawn for the attributes that it was recorded for', async () => {
    const run = { id: 'r1', epsilon: 2, history } as api.RunDetail
    renderAt('/runs/r1', <RunClippingSection run={run} />)
    expect(await screen.findByRole('heading', { name: /Women keep/ })).toBeVisible()
    expect(asked()?.query).toMatchObject({ run_id: 'r1', subgroup: 'sex' })
  })

  it('has no place in a run without privacy', () => {
    const run = { id: 'r1', epsilon: null, history: [series('train_loss')] } as api.RunDetail
    renderAt('/runs/r1', <RunClippingSection run={run} />)
    expect(figureCall).not.toHaveBeenCalled()
  })

  it('leaves the other series to the history', () => {
    expect(partitionsOfHistory(history)).toEqual(['sex', 'sex & race'])
    expect(history.map(({ name }) => name).filter((name) => !isOfClipping(name))).toEqual(['train_loss'])
    expect(isOfClipping('gradient_kept')).toBe(false)
    expect(isOfClipping('gradient_norm_p95')).toBe(true)
  })
})
