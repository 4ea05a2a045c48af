import { describe, expect, it } from 'vitest'
import type { ComparedRow, ReviewEvent, SnapshotSetting, Thread } from '~/api'
import { answerOf, columnsOf, firstLine, nextItem, SCALES } from './ratings'
import {
  anchorKey,
  anchorTitle,
  announcement,
  lastComment,
  mentionAt,
  namesOf,
  pieces,
  said,
  suggestions,
  worstOff,
  worstSentences,
} from './reviews'
import { newReview, review as reviewView } from './reviewViews'
import { findSettings, settingLabel, settingsOf } from './settings'

const setting = (id: number, label: string, run: string) =>
  ({ setting_id: id, label, runs: [{ id: run, seed: 3 }] }) as unknown as SnapshotSetting

const settings = [setting(12, 'DP-SGD, ε = 1', 'aa'), setting(15, 'SoftAdaClip, ε = 1', 'bb')]
const names = namesOf({ compared: settings }, { metrics: new Map([['loss', 'Loss']]), subgroups: new Map() })

const row = (subgroup: string, means: (number | null)[], more: Partial<ComparedRow> = {}): ComparedRow => ({
  metric: 'accuracy',
  subgroup,
  title: 'Accuracy',
  subgroup_title: subgroup,
  unit: '',
  higher_is_better: true,
  small: false,
  cells: means.map((mean) =>
    mean === null ? null : { mean, low: null, high: null, seeds: 3, n: 90, values: [] },
  ),
  best: [],
  tests: [],
  ...more,
})

describe('anchors', () => {
  it('are named by letter, run, metric and group', () => {
    expect(anchorTitle({ kind: 'setting', setting_ids: [15] }, names)).toBe('B: SoftAdaClip, ε = 1')
    expect(anchorTitle({ kind: 'run', run_ids: ['bb'] }, names)).toBe('Run of B, seed 3')
    expect(anchorTitle({ kind: 'run', run_ids: ['0123456789'] }, names)).toBe('Run 01234567')
    expect(anchorTitle({ kind: 'metric', metric: 'loss', subgroup: 'sex=Female' }, names)).toBe(
      'Loss, sex: Female',
    )
    expect(anchorTitle({ kind: 'selection', setting_ids: [12, 15] }, names)).toBe('Settings A, B')
    expect(anchorTitle({}, names)).toBe('The whole review')
  })

  it('are equal whatever the order of a selection and what its kind does not read', () => {
    expect(anchorKey({ kind: 'selection', setting_ids: [15, 12] })).toBe(
      anchorKey({ kind: 'selection', setting_ids: [12, 15], metric: 'loss' }),
    )
    expect(anchorKey({ kind: 'metric', metric: 'loss' })).not.toBe(
      anchorKey({ kind: 'metric', metric: 'loss', subgroup: 'sex=Male' }),
    )
  })
})

describe('who is worst off', () => {
  const rows = [
    row('all', [0.1, 0.1]),
    row('sex', [0.0, 0.0]),
    row('sex=Female', [0.7, 0.6]),
    row('sex=Male', [0.8, 0.5]),
    row('race=Other', [0.01, 0.01], { small: true }),
  ]

  it('is a group of each setting: not everybody, no partition, no small one', () => {
    expect(worstOff(rows, settings).map((one) => [one.setting_id, one.subgroup])).toEqual([
      [12, 'sex=Female'],
      [15, 'sex=Male'],
    ])
  })

  it('is the largest where lower is better, and nobody where no direction is better or one group is measured', () => {
    const lower = rows.map((one) => ({ ...one, higher_is_better: false }))
    expect(worstOff(lower, settings).map((one) => one.subgroup)).toEqual(['sex=Male', 'sex=Female'])
    expect(
      worstOff(
        rows.map((one) => ({ ...one, higher_is_better: null })),
        settings,
      ),
    ).toEqual([])
    expect(worstOff([row('sex=Female', [0.7, null]), row('sex=Male', [0.8, 0.5])], settings)).toHaveLength(1)
  })

  it('is said in one sentence for a group that is worst under both', () => {
    expect(worstSentences([row('a=1', [0.5, 0.6]), row('a=2', [0.7, 0.8])], settings)).toEqual([
      'Accuracy: a=1 is worst off under A (0.5) and B (0.6).',
    ])
  })
})

describe('mentions', () => {
  it('are marked only where the server found them, the longest name first', () => {
    expect(
      pieces('Hi @Ann Lee and @Ann, not a@Ann.', ['Ann', 'Ann Lee']).filter((one) => one.mention),
    ).toEqual([
      { text: '@Ann Lee', mention: true },
      { text: '@Ann', mention: true },
    ])
    expect(pieces('<b>@x</b>', [])).toEqual([{ text: '<b>@x</b>', mention: false }])
    expect(pieces('a (b.c) @x.y(', ['x.y(']).map((one) => one.text)).toEqual(['a (b.c) ', '@x.y('])
    expect(pieces('@Éric @Éricson', ['Éric']).map((one) => one.text)).toEqual(['@Éric', ' @Éricson'])
  })

  it('are completed after an @ that begins a word', () => {
    expect(mentionAt('see @be', 7)).toEqual({ from: 4, typed: 'be' })
    expect(mentionAt('mail a@be', 9)).toBeNull()
    expect(mentionAt('@be\nx', 5)).toBeNull()
    expect(suggestions('be', ['Abe', 'Ruth Benedict', 'Ben Okri'])).toEqual(['Ben Okri', 'Ruth Benedict'])
    expect(suggestions('Ben Okri', ['Ben Okri'])).toEqual([])
  })
})

describe('news', () => {
  const thread = (id: number, person: string): Thread => ({
    id,
    anchor: {},
    resolved: false,
    comments: [{ id, person, text: 'Look', mentions: [], created_at: '' }],
  })
  it('are comments of others that were not there before', () => {
    const threads = [thread(2, 'Ann'), thread(5, 'Ben'), thread(6, 'Me')]
    expect(announcement(threads, 2, 'Me', names)).toBe('Ben on The whole review: Look')
    expect(announcement(threads, 6, 'Me', names)).toBe('')
    expect(lastComment(threads)).toBe(6)
    expect(lastComment([])).toBe(0)
  })
})

describe('the history', () => {
  const event = (
    type: ReviewEvent['type'],
    data: Record<string, unknown>,
    redacted = false,
  ): ReviewEvent => ({
    number: 1,
    type,
    person: 'Ann',
    created_at: '',
    data,
    previous: '',
    hash: '',
    redacted,
  })
  it('reads as sentences, also where an entry is not what it should be', () => {
    expect(said(event('decided', { decision: 'reject', reason: 'No' }))).toBe('rejected: No')
    expect(said(event('member_set', { name: 'Bo', role: 'approver' }))).toBe('made Bo an approver')
    expect(said(event('rated', { task: 3 }, true))).toMatch(/hidden/)
    expect(said(event('commented', { text: { odd: 1 } }))).toBe('commented: ')
    expect(said(event('new_thing' as never, {}))).toBe('new thing')
  })
})

describe('ratings', () => {
  it('read the head of a file with quotes, commas and a mark at its beginning', () => {
    expect(firstLine('\uFEFFcontent,"a, ""b""",kind\r\nx,y,z')).toEqual(['content', 'a, "b"', 'kind'])
    expect(columnsOf('content,method,kind\n').hidden).toEqual(['method'])
    expect(columnsOf('text,method\n').problem).toMatch(/content/)
  })

  it('give what a key stands for, and nothing for others', () => {
    const scale = { points: SCALES[0]?.points ?? [], unsure: true }
    expect(answerOf('3', scale)).toBe(3)
    expect(answerOf('9', scale)).toBeUndefined()
    expect(answerOf('u', scale)).toBeNull()
    expect(answerOf('u', { ...scale, unsure: false })).toBeUndefined()
    expect(answerOf('a', scale)).toBeUndefined()
    expect(answerOf('0', { points: [{ value: 0 }, { value: 1 }] })).toBe(0)
  })

  it('go on with the next item without an answer, then with those left out', () => {
    const item = (id: number, done: boolean) => ({
      id,
      kind: 'text' as const,
      content: '',
      hidden: {},
      rating: done ? { item: id, value: 1 } : null,
    })
    const content = [item(7, false), item(3, true), item(5, false)]
    expect(nextItem(content)).toBe(0)
    expect(nextItem(content, 0)).toBe(2)
    expect(nextItem(content, 2)).toBe(0)
    expect(nextItem([item(1, true), item(2, true)], 1)).toBe(1)
  })
})

describe('settings of runs', () => {
  const run = (id: number, seed: number, rate: number, status = 'succeeded') =>
    ({
      id: `${id}${seed}`,
      setting_id: id,
      seed,
      status,
      method: 'dp_sgd',
      epsilon: 2,
      degenerate: false,
      params: { 'training.learning_rate': rate, 'method.clip': 1 },
    }) as never
  const found = settingsOf('j', [run(1, 0, 0.1), run(1, 1, 0.1, 'diverged'), run(2, 0, 0.2)])
  const titles = new Map([['dp_sgd', 'DP-SGD']])

  it('are told apart by what differs, and count what was measured', () => {
    expect(found.map((one) => settingLabel(one, titles))).toEqual([
      'DP-SGD, ε = 2, learning rate 0.1',
      'DP-SGD, ε = 2, learning rate 0.2',
    ])
    expect(found[0]).toMatchObject({ runs: 2, measured: 1 })
  })

  it('are found by words in any order', () => {
    expect(findSettings(found, '0.2 dp-sgd', titles).map((one) => one.id)).toEqual([2])
    expect(findSettings(found, 'ε=2', titles)).toHaveLength(2)
    expect(findSettings(found, 'sgd 3', titles)).toEqual([])
  })
})

describe('addresses', () => {
  it('drop what is no setting and no tab', () => {
    expect(newReview({ jobs: 'a,b', settings: '12,x,-3,015,9' })).toMatchObject({
      jobs: ['a', 'b'],
      settings: ['12', '9'],
    })
    expect(reviewView({ tab: 'history', split: 'half', threads: 'all' })).toMatchObject({
      tab: 'history',
      split: undefined,
      threads: 'all',
    })
  })
})
