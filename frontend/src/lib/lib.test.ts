import { describe, expect, it } from 'vitest'
import type { JobDetail } from '~/api'
import { catalogue, job, metrics, run } from '~/test/fixtures'
import { among, chooseAxes, knownMetric } from './axes'
import { toCsv } from './csv'
import { ago, duration, number, plural, subgroupTitle } from './format'
import { summarise } from './health'
import { historyTerm, historyTitle } from './history'
import { metricMenu } from './metrics'
import { doingNow, percent } from './progress'
import { filterRuns, sweptParams } from './runs'
import { sortRows } from './sort'
import { finest, subgroupMenu } from './subgroups'

describe('numbers', () => {
  it.each([
    [0.8123, '0.812'],
    [0.5, '0.5'],
    [0.00132, '0.0013'],
    [48842, '48,842'],
    [12.3456, '12.35'],
    [1e-5, '10⁻⁵'],
    [3.1e-6, '3.1 × 10⁻⁶'],
    [-0.25, '−0.25'],
    [0, '0'],
    [null, '–'],
    [Number.POSITIVE_INFINITY, '∞'],
  ])('%s is %s', (value, text) => expect(number(value)).toBe(text))
})

describe('times', () => {
  it.each([
    [0.42, '0.4 s'],
    [25, '25 s'],
    [125, '2 min 5 s'],
    [1800, '30 min'],
    [4200, '1 h 10 min'],
    [0.0423, '42 ms'],
    [0.0001, '1 ms'],
  ])('%s seconds is %s', (value, text) => expect(duration(value)).toBe(text))

  it('says how long ago', () => {
    const now = Date.parse('2026-01-02T00:00:00Z')
    expect(ago('2026-01-01T23:59:50Z', now)).toBe('just now')
    expect(ago('2026-01-01T23:30:00Z', now)).toBe('30 min ago')
    expect(ago('2025-12-24T12:00:00Z', now)).toBe('24 Dec 2025')
  })
})

it('names subgroups in words', () => {
  expect(subgroupTitle('all')).toBe('Everybody')
  expect(subgroupTitle('sex=Female & age_band=25-44')).toBe('sex: Female and age band: 25-44')
  expect(plural(1, 'run')).toMatch(/^1.run$/)
})

describe('progress', () => {
  it('says what happens now', () => {
    expect(doingNow(job())).toBe('Training 46 of 240, about 25 s left')
    expect(percent(job())).toBeCloseTo(18.75)
  })

  it('counts shadow models and audits where it is known how many', () => {
    const before = {
      phase: 'training',
      message: 'Training shadow models 12 of 64',
      done: 0,
      total: 3,
    } as const
    expect(percent(job({ finished: 0, progress: { ...before, share: 0.175 } }))).toBeCloseTo(17.5)
    expect(doingNow(job({ finished: 0, progress: before }))).toBe('Training shadow models 12 of 64')
    expect(percent(job({ finished: 0, progress: before }))).toBe(0)
  })

  it('sums up what is over', () => {
    const over = job({ status: 'succeeded', finished: 240, reused: 38, finished_at: '2026-01-01T00:01:00Z' })
    expect(doingNow(over)).toMatch(/^240 of 240.runs measured, 38 reused, took 50 s$/)
    expect(percent(over)).toBe(100)
  })
})

describe('sorting', () => {
  it('keeps what is missing last in both directions', () => {
    const rows = [{ v: 2 }, { v: null }, { v: 10 }]
    expect(sortRows(rows, (row) => row.v, false).map((row) => row.v)).toEqual([2, 10, null])
    expect(sortRows(rows, (row) => row.v, true).map((row) => row.v)).toEqual([10, 2, null])
  })
})

describe('CSV', () => {
  it('quotes, and makes formulas inert', () => {
    expect(
      toCsv([
        ['a', 'b,c'],
        ['=1+1', -2],
        [null, 'say "x"'],
      ]),
    ).toBe('a,"b,c"\r\n\'=1+1,-2\r\n,"say ""x"""\r\n')
  })
})

describe('runs', () => {
  const runs = [
    run({ params: { 'method.epsilon': 1, 'training.learning_rate': 0.1, 'training.epochs': 2 } }),
    run({
      seed: 1,
      params: { 'method.epsilon': 2, 'training.learning_rate': 0.3, 'training.epochs': 2 },
      epsilon: 2,
    }),
    run({ method: 'sgd', epsilon: null, status: 'diverged', params: { 'training.epochs': 5 } }),
  ]
  it('show the parameters that tell them apart', () => {
    expect(sweptParams(runs)).toEqual(['training.learning_rate'])
  })
  it('are found by every word', () => {
    const titles = new Map(catalogue.plugins.map((plugin) => [plugin.name, plugin.title]))
    expect(filterRuns(runs, 'DP-SGD seed=1', titles)).toEqual([runs[1]])
    expect(filterRuns(runs, 'diverged', titles)).toEqual([runs[2]])
    expect(filterRuns(runs, ' ', titles)).toHaveLength(3)
  })
})

describe('health', () => {
  const health = { status: 'ok' as const, version: '1', database: 'sqlite', workers: 1, catalogue: 'v' }
  it('says what is missing and what to do', () => {
    expect(summarise(health, null).tone).toBe('good')
    expect(summarise({ ...health, workers: 0 }, null).advice).toContain('equipoise worker')
    expect(summarise({ ...health, catalogue: null }, null).title).toBe('No catalogue yet')
    expect(summarise(undefined, new Error('down')).advice).toContain('equipoise serve')
  })
})

describe('quantities along training', () => {
  it('are said in words that hold for every method', () => {
    expect(historyTitle('gradient_kept')).toBe('Mean factor on gradients')
    expect(historyTitle('threshold[sex=Female]')).toBe('Clipping threshold, sex: Female')
    expect(historyTitle('some_other')).toBe('some other')
    expect(historyTerm('threshold[sex=Female]')).toBe('clipping')
    expect(historyTerm('some_other')).toBeUndefined()
  })
})

describe('axes', () => {
  it('are privacy against fairness unless the address says otherwise', () => {
    expect(chooseAxes({}, metrics)).toEqual({ x: 'epsilon', y: 'loss_gap', split: 'test' })
    expect(chooseAxes({ y: 'loss' }, metrics).y).toBe('loss')
    expect(chooseAxes({ x: 'gone', y: 'gone' }, metrics)).toMatchObject({ x: 'epsilon', y: 'loss_gap' })
    expect(knownMetric('gone', metrics, 'loss')).toBe('loss')
    expect(knownMetric('loss_gap', metrics, 'loss')).toBe('loss_gap')
  })
  it('take what is on offer, or the first', () => {
    expect(among(4, [1, 4])).toBe(4)
    expect(among(3, [1, 4])).toBe(1)
    expect(among(undefined, ['a'])).toBe('a')
    expect(among('a', [])).toBeUndefined()
  })
  it('are grouped by kind, and keep an unknown choice in view', () => {
    expect(metricMenu(metrics, 'loss').map((group) => group.group)).toEqual([
      'Privacy',
      'Fairness',
      'Utility',
    ])
    expect(metricMenu(metrics, 'gone')[0]).toEqual({
      group: 'Chosen',
      items: [{ value: 'gone', label: 'gone' }],
    })
    expect(metricMenu(metrics, 'loss', true).map((group) => group.group)).toEqual(['Utility'])
  })
})

describe('the subgroup menu', () => {
  const study = {
    ...job(),
    spec: { dataset: { name: 'adult', subgroups: ['sex', ['sex', 'race']] } },
    subgroups: ['all', 'sex', 'sex=Female', 'sex & race', 'sex=Female & race=Black'],
  } as unknown as JobDetail
  const gap = metrics.find((metric) => metric.name === 'loss_gap')
  const loss = metrics.find((metric) => metric.name === 'loss')

  it('offers partitions to a gap, and groups to the rest', () => {
    const between = subgroupMenu(gap, undefined, [study])
    expect(between.options.map((option) => option.label)).toEqual(['groups of sex', 'groups of sex × race'])
    expect(between.chosen).toBe('sex')
    expect(subgroupMenu(loss, undefined, [study]).options.map((option) => option.value)).toEqual([
      'all',
      'sex=Female',
      'sex=Female & race=Black',
    ])
  })

  it('leaves out what an intersection implies', () => {
    expect(finest(['sex=Female', 'race=Black', 'sex=Female & race=Black', 'age=old'])).toEqual([
      'sex=Female & race=Black',
      'age=old',
    ])
    expect(finest(['sex=Female', 'race=Black'])).toEqual(['sex=Female', 'race=Black'])
  })

  it('keeps a choice only where it fits', () => {
    expect(subgroupMenu(gap, 'sex & race', [study]).chosen).toBe('sex & race')
    expect(subgroupMenu(gap, 'sex=Female', [study]).chosen).toBe('sex')
    expect(subgroupMenu(loss, 'sex & race', [study]).chosen).toBe('all')
    expect(subgroupMenu(loss, 'sex=Mael', [study])).toMatchObject({ chosen: 'all' })
    expect(subgroupMenu(loss, 'sex=Female', [{ ...study, subgroups: [] }]).chosen).toBe('sex=Female')
    expect(subgroupMenu(gap, undefined, []).chosen).toBeUndefined()
  })
})
