import { screen, waitFor, within } from '@testing-library/react'
import userEvent from '@testing-library/user-event'
import { useState } from 'react'
import { beforeEach, describe, expect, it, vi } from 'vitest'
import type { Constraint, ConstraintFacts, Feasibility, MetricInfo, Objective, SettingVerdict } from '~/api'
import * as api from '~/api'
import { setPerson } from '~/data/person'
import type { OperatingView } from '~/lib/operating'
import { catalogue, figure } from '~/test/fixtures'
import { render } from '~/test/render'
import { ConstraintRow } from './ConstraintRow'
import { NumberField } from './NumberField'
import { ObjectiveRow } from './ObjectiveRow'
import { Offers } from './Offers'
import { OperatingPoint } from './OperatingPoint'

const share: MetricInfo = {
  name: 'accuracy',
  title: 'Accuracy',
  explanation: 'Share of right answers.',
  family: 'core',
  higher_is_better: true,
  low: 0,
  high: 1,
  kind: 'utility',
}
const facts: ConstraintFacts = {
  title: 'ε',
  unit: '',
  better: 'lower is better',
  low: 0.25,
  high: 4,
  histogram: { edges: [0.25, 1, 4], counts: [2, 1] },
  failing: 1,
  only_failing: 1,
  unknown: 0,
  sentence: '1 setting fails it',
}
const verdict = (more: Partial<SettingVerdict>): SettingVerdict => ({
  setting_id: 1,
  label: 'DP-SGD, ε = 1',
  method: 'dp_sgd',
  epsilon: 1,
  params: {},
  run_ids: [],
  seeds: 3,
  diverged: 0,
  status: 'feasible',
  reasons: [],
  checks: [{ value: 1, mean: 1, low: null, high: null, seeds: 3, holds: true }],
  objectives: [0.8],
  chance: { held: 3, seeds: 3, low: 0.292, high: 1, means: null },
  ...more,
})
const answer = (more: Partial<Feasibility> = {}): Feasibility => ({
  headline: '1 of 4 settings meets the constraint',
  sentences: ['A and B cannot be told apart'],
  caption: 'Adult; 3 seeds',
  settings: 4,
  feasible: 1,
  infeasible: 1,
  unknown: 1,
  excluded: 1,
  winner: 1,
  met: [verdict({})],
  others: [
    verdict({
      setting_id: 2,
      label: 'DP-SGD, ε = 8',
      status: 'infeasible',
      reasons: ['ε 8, at most 4 asked'],
    }),
    verdict({ setting_id: 3, label: 'SGD', status: 'unknown', reasons: ['Unknown: loss was not measured'] }),
    verdict({ setting_id: 4, label: 'Odd', status: 'excluded', reasons: ['Left out: refuted'] }),
  ],
  constraints: [facts],
  sensitivity: [
    {
      constraint: 0,
      kind: 'relax',
      threshold: 8,
      sentence: 'Relax ε to 8 and gain 1 points',
      setting_id: 2,
      settings: 1,
    },
  ],
  weights: [],
  nearest: [],
  alarms: [{ setting_id: 4, label: 'Odd', alarm: 'An audit refutes the claimed ε', accepted: false }],
  ...more,
})
const limit = (more: Partial<Constraint> = {}): Constraint => ({
  metric: 'epsilon',
  operator: '<=',
  threshold: 4,
  subgroup: 'all',
  groups: 'one',
  split: 'test',
  judge: 'mean',
  share: 1,
  ...more,
})

beforeEach(() => {
  vi.restoreAllMocks()
  window.localStorage.clear()
})

describe('a number field', () => {
  function Field({
    seen,
    ...more
  }: {
    seen: (value: number | undefined) => void
    share?: boolean
    empty?: string
  }) {
    const [value, setValue] = useState<number | undefined>(0.8)
    return (
      <NumberField
        label="Limit"
        name="Limit"
        value={value}
        onChange={(next) => {
          setValue(next)
          seen(next)
        }}
        {...more}
      />
    )
  }

  it('takes per cent of a share, keeps what is typed, and says what it cannot read', async () => {
    const seen = vi.fn()
    render(<Field seen={seen} share />)
    const box = screen.getByRole('textbox', { name: 'Limit' })
    await userEvent.clear(box)
    expect(screen.getByText('Expected a number, such as 0.8 or 0.5 %.')).toBeInTheDocument()
    await userEvent.type(box, '0.5 %')
    expect(seen).toHaveBeenLastCalledWith(0.005)
    expect(box).toHaveValue('0.5 %')
    await userEvent.clear(box)
    await userEvent.type(box, 'x')
    expect(seen).toHaveBeenLastCalledWith(0.005)
    expect(box).toHaveValue('x')
  })

  it('may be empty where that means something', async () => {
    const seen = vi.fn()
    render(<Field seen={seen} empty="seed noise" />)
    await userEvent.clear(screen.getByRole('textbox', { name: 'Limit' }))
    expect(seen).toHaveBeenLastCalledWith(undefined)
    expect(screen.getByPlaceholderText('seed noise')).toBeInTheDocument()
  })
})

describe('a limit', () => {
  const row = (constraint: Constraint, metric: MetricInfo | undefined, more = {}) => {
    const change = vi.fn()
    render(
      <ConstraintRow
        constraint={constraint}
        metric={metric}
        facts={facts}
        subgroups={['all', 'sex', 'sex & race', 'sex=Female']}
        problems={[]}
        onChange={change}
        onRemove={vi.fn()}
        {...more}
      />,
    )
    return change
  }

  it('has a slider that is logarithmic where the metric is', async () => {
    const change = row(limit({ threshold: 1 }), { ...share, name: 'epsilon', title: 'ε', log: true })
    const slider = screen.getByRole('slider')
    // One lies in the middle of a quarter to four on that scale.
    expect(Number(slider.getAttribute('aria-valuenow'))).toBeCloseTo(0.5)
    expect(slider).toHaveAttribute('aria-valuetext', '1')
    slider.focus()
    await userEvent.keyboard('{ArrowRight}')
    expect(change.mock.lastCall?.[0].threshold).toBeCloseTo(0.25 * 16 ** 0.505, 2)
  })

  it('is set for groups, seeds and splits', async () => {
    const change = row(
      limit({ metric: 'accuracy', operator: '>=', threshold: 0.8, judge: 'share', share: 0.9 }),
      share,
    )
    await userEvent.click(screen.getByRole('combobox', { name: 'Of' }))
    await userEvent.click(
      await screen.findByRole('option', { name: 'Every group of sex × race', hidden: true }),
    )
    expect(change).toHaveBeenLastCalledWith(
      expect.objectContaining({ groups: 'every', subgroup: 'sex & race' }),
    )
    const seeds = screen.getByRole('textbox', { name: /^Share of seeds/ })
    expect(seeds).toHaveValue('90')
    await userEvent.clear(seeds)
    await userEvent.type(seeds, '75')
    expect(change).toHaveBeenLastCalledWith(expect.objectContaining({ share: 0.75 }))
    await userEvent.clear(seeds)
    await userEvent.type(seeds, '120')
    expect(screen.getByText('Expected more than 0 and at most 100.')).toBeInTheDocument()
  })

  it('shows what the server would not take of it', () => {
    row(limit(), undefined, { problems: ['Expected a known metric.'] })
    expect(screen.getByRole('alert')).toHaveTextContent('Expected a known metric.')
  })
})

describe('an objective', () => {
  const row = (objective: Objective, metric: MetricInfo, more = {}) => {
    const on = { change: vi.fn(), move: vi.fn(), remove: vi.fn() }
    render(
      <ObjectiveRow
        objective={objective}
        metric={metric}
        place={0}
        count={2}
        weighted={false}
        total={4}
        subgroups={['all']}
        problems={[]}
        onMetric={vi.fn()}
        onChange={on.change}
        onMove={on.move}
        onRemove={on.remove}
        {...more}
      />,
    )
    return on
  }

  it('has a weight whose slider leaves the others as they are', async () => {
    const on = row({ metric: 'accuracy', weight: 1 }, share, { weighted: true })
    const slider = screen.getByRole('slider')
    expect(slider).toHaveAttribute('aria-valuetext', '25 %')
    slider.focus()
    await userEvent.keyboard('{ArrowRight}')
    const { weight } = on.change.mock.lastCall?.[0] ?? {}
    expect(weight / (weight + 3)).toBeCloseTo(0.26, 2)
  })

  it('is moved and removed by keyboard, and has a tie in per cent', async () => {
    const on = row({ metric: 'accuracy' }, share)
    await userEvent.type(screen.getByRole('textbox', { name: 'Tie within, Accuracy' }), '1 %')
    expect(on.change).toHaveBeenLastCalledWith(expect.objectContaining({ tolerance: 0.01 }))
    expect(screen.getByRole('button', { name: 'Move Accuracy up' })).toBeDisabled()
    screen.getByRole('button', { name: 'Move Accuracy down' }).focus()
    await userEvent.keyboard('{Enter}')
    expect(on.move).toHaveBeenCalledWith(1)
    screen.getByRole('button', { name: 'Remove the objective Accuracy' }).focus()
    await userEvent.keyboard(' ')
    expect(on.remove).toHaveBeenCalled()
  })

  it('asks which way is best where neither is', async () => {
    const on = row({ metric: 'accuracy' }, { ...share, higher_is_better: null })
    await userEvent.click(screen.getByRole('combobox', { name: 'Best is' }))
    await userEvent.click(await screen.findByRole('option', { name: 'lowest', hidden: true }))
    expect(on.change).toHaveBeenLastCalledWith(expect.objectContaining({ higher: false }))
  })
})

describe('offers', () => {
  it('say the same move once and do what they say', async () => {
    const apply = vi.fn()
    const near = [{ setting_id: 2, violation: 1, sentence: 'B is admitted', thresholds: [8] }]
    render(<Offers evaluation={answer({ nearest: near })} constraints={[limit()]} onApply={apply} />)
    const buttons = screen.getAllByRole('button', { name: /^Apply/ })
    expect(buttons.map((one) => one.getAttribute('aria-label'))).toEqual(['Apply: B is admitted'])
    await userEvent.click(buttons[0] as HTMLElement)
    expect(apply).toHaveBeenCalledWith([limit({ threshold: 8 })])
  })
})

describe('the operating point', () => {
  const served = (found: Feasibility | { status: number; body: object }) => {
    const reply = (data: unknown) => Promise.resolve({ data, response: new Response() } as never)
    const refuse = (status: number, error: object) =>
      Promise.resolve({ error, response: new Response(null, { status }) } as never)
    const evaluate = vi
      .spyOn(api, 'operatingPointsEvaluate')
      .mockImplementation(() => ('headline' in found ? reply(found) : refuse(found.status, found.body)))
    vi.spyOn(api, 'operatingPointsFigure').mockImplementation(() => reply(figure({ empty: 'nothing' })))
    vi.spyOn(api, 'operatingPointsListOperatingPoints').mockImplementation(() =>
      reply({ items: [], next: null }),
    )
    vi.spyOn(api, 'jobsGetJob').mockImplementation(() =>
      reply({ id: 'j', spec: { dataset: { name: 'adult', subgroups: ['sex'] } }, subgroups: [] }),
    )
    const choose = vi.spyOn(api, 'operatingPointsChoose').mockImplementation(() => reply({}))
    return { evaluate, choose }
  }
  function Page({
    view: first,
    changed,
    asOf,
  }: {
    view: OperatingView
    changed?: (part: OperatingView) => void
    asOf?: string
  }) {
    const [view, setView] = useState(first)
    return (
      <OperatingPoint
        jobs={['j']}
        view={view}
        asOf={asOf}
        onChange={(part) => {
          changed?.(part)
          setView((old) => ({ ...old, ...part }))
        }}
      />
    )
  }
  const known = {
    ...catalogue,
    metrics: [...catalogue.metrics, share, { ...share, name: 'worst_group_accuracy' }],
  }

  it('teaches where nothing is asked and offers an example', async () => {
    served(answer({ constraints: [] }))
    const changed = vi.fn()
    render(<Page view={{}} changed={changed} />, known)
    await userEvent.click(await screen.findByRole('button', { name: /^Try an example: ε ≤ 4, Worst group/ }))
    expect(changed).toHaveBeenCalledWith({ c: 'epsilon<=4;worst_group_accuracy@sex>=0.8', o: 'accuracy' })
    expect(screen.queryByRole('button', { name: /^Try an example/ })).toBeNull()
  })

  it('says why not in words and signs, and asks a reason for what is not feasible', async () => {
    setPerson('Ada')
    const { choose } = served(answer())
    render(<Page view={{ c: 'epsilon<=4' }} />, known)
    expect(
      await screen.findByRole('heading', { name: '1 of 4 settings meets the constraint.' }),
    ).toBeInTheDocument()
    const table = screen.getByRole('region', { name: 'Settings that are not feasible' })
    for (const word of ['fails', 'unknown', 'left out'])
      expect(within(table).getByText(word)).toBeInTheDocument()
    await userEvent.click(within(table).getByText('Choose anyway', { selector: '[aria-label*="ε = 8"] *' }))
    const dialog = await screen.findByRole('dialog')
    expect(within(dialog).getByRole('note')).toHaveTextContent('ε 8, at most 4 asked.')
    const save = within(dialog).getByRole('button', { name: 'Choose anyway' })
    expect(save).toBeDisabled()
    await userEvent.type(within(dialog).getByRole('textbox', { name: /^Reason/ }), 'Only a demonstration')
    await userEvent.click(save)
    await waitFor(() => expect(choose).toHaveBeenCalled())
    expect(choose.mock.lastCall?.[0].body).toMatchObject({
      setting_id: 2,
      although: true,
      reason: 'Only a demonstration',
      constraints: [limit()],
    })
    await waitFor(() => expect(screen.queryByRole('dialog')).toBeNull())
  })

  it('makes exceptions only when told', async () => {
    const { evaluate } = served(answer())
    const changed = vi.fn()
    render(<Page view={{ c: 'epsilon<=4' }} changed={changed} />, known)
    const accept = await screen.findByLabelText(/^Accept the alarm of Odd/)
    await userEvent.click(accept)
    expect(changed).toHaveBeenCalledWith({ alarms: [4] })
    await userEvent.click(screen.getByLabelText(/^Also settings that mostly diverged/))
    expect(changed).toHaveBeenCalledWith({ ill: true })
    await waitFor(() =>
      expect(evaluate.mock.lastCall?.[0].body).toMatchObject({ accept_alarms: [4], accept_degenerate: true }),
    )
  })

  it('puts a refusal at its limit', async () => {
    const problem = { field: 'constraints.0.metric', expected: 'a metric', got: 'nonsense', fix: 'Use loss.' }
    served({ status: 422, body: { type: 't', title: 'No', status: 422, detail: 'd', problems: [problem] } })
    render(<Page view={{ c: 'nonsense<=4' }} />, known)
    const row = (await screen.findByRole('alert')).closest('li')
    expect(row).toHaveTextContent('Expected a metric, got nonsense. Use loss.')
  })

  it('is asked of the past without a choice in a frozen view', async () => {
    const { evaluate } = served(answer())
    render(<Page view={{ c: 'epsilon<=4' }} asOf="2026-01-01T00:00:00Z" />, known)
    expect(await screen.findByText(/^This view is frozen\./)).toBeInTheDocument()
    expect(screen.queryByRole('button', { name: /^Choose/ })).toBeNull()
    expect(evaluate.mock.lastCall?.[0].body).toMatchObject({ as_of: '2026-01-01T00:00:00Z' })
  })
})
