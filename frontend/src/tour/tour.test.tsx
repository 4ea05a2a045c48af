import { screen } from '@testing-library/react'
import userEvent from '@testing-library/user-event'
import { beforeEach, describe, expect, it } from 'vitest'
import type { Figure, Job } from '~/api'
import { setPerson } from '~/data/person'
import { job } from '~/test/fixtures'
import { render } from '~/test/render'
import { type Facts, readingOf, studyOf } from './facts'
import { type Box, boxAt, cornerFor, MARGIN, scrollFor } from './place'
import { readProgress } from './progress'
import { placeOf, STEPS } from './steps'
import { TourEntry } from './TourEntry'

const made = (id: string, minute: number, more: Partial<Job> = {}): Job => ({
  ...job(),
  id,
  created_at: `2026-01-01T00:0${minute}:00Z`,
  ...more,
})
const facts = (study: Job | null, more: Partial<Facts> = {}): Facts => ({
  study,
  workers: 1,
  reading: {},
  ...more,
})
const step = (id: string) => {
  const found = STEPS.find((one) => one.id === id)
  if (!found) throw new Error(id)
  return found
}

describe('the study that the tour goes by', () => {
  const old = made('old', 1, { status: 'succeeded', finished: 4 })
  const done = made('done', 2, { status: 'succeeded', finished: 4 })
  const cut = made('cut', 3, { status: 'cancelled', finished: 2 })
  const waiting = made('waiting', 4, { status: 'queued', finished: 0 })

  it('is the one remembered, or the newest that is finished, or the best there is', () => {
    expect(studyOf([old, waiting, done, cut], 'old')?.id).toBe('old')
    expect(studyOf([old, waiting, done, cut], 'deleted')?.id).toBe('done')
    expect(studyOf([waiting, cut], undefined)?.id).toBe('cut')
    expect(studyOf([waiting], undefined)?.id).toBe('waiting')
  })

  it('is none where there is none, and unknown while that is not known', () => {
    expect(studyOf([], 'old')).toBeNull()
    expect(studyOf(undefined, 'old')).toBeUndefined()
  })
})

describe('steps', () => {
  it('have names of their own', () => {
    expect(new Set(STEPS.map((one) => one.id)).size).toBe(STEPS.length)
  })

  it('asks for the quickstart on an empty page and for nothing where there is a study', () => {
    expect(step('run').text(facts(null))).toContain('Press “Run quickstart”')
    expect(step('run').waitsFor?.(facts(null))).toBeTruthy()
    const full = facts(made('a', 1, { name: 'Mine' }))
    expect(step('run').text(full)).toContain('“Mine”')
    expect(step('run').waitsFor?.(full)).toBeNull()
  })

  it('says what the study does and waits for its first run', () => {
    const at = (more: Partial<Job>, workers = 1) => facts(made('a', 1, more), { workers })
    const fill = step('fill')
    expect(fill.text(at({ status: 'queued', finished: 0 }, 0))).toContain('no worker is online')
    expect(fill.text(at({ status: 'queued', finished: 0 }))).toContain('waits for a worker')
    expect(fill.text(at({ status: 'running', finished: 0 }))).toContain('as runs end')
    expect(fill.text(at({ status: 'succeeded', finished: 4 }))).toContain('complete')
    expect(fill.text(at({ status: 'failed', finished: 0 }))).toContain('Retry')
    expect(fill.waitsFor?.(at({ status: 'running', finished: 0 }))).toBeTruthy()
    expect(fill.waitsFor?.(at({ status: 'running', finished: 1 }))).toBeNull()
    expect(fill.now?.(at({ status: 'succeeded', finished: 4, runs: 4 }))).toContain('4 of 4 runs measured')
  })

  it('explains the axes as they are drawn and the baseline where there is one', () => {
    const figure = (data: unknown[]): Figure =>
      ({
        figure: {
          data,
          layout: { xaxis: { title: { text: 'Budget<br>ε' } }, yaxis: { title: { text: 'Loss gap' } } },
        },
      }) as unknown as Figure
    const reading = readingOf(figure([{ name: 'SGD (not private)', line: { dash: 'dash' } }]))
    expect(reading).toEqual({ x: 'Budget ε', y: 'Loss gap', baseline: 'SGD (not private)' })
    const said = new Map(step('read').points?.(facts(null, { reading })))
    expect(said.get('Axes')).toBe('Loss gap. Across: Budget ε')
    expect(said.get('Dashed line')).toContain('SGD (not private)')
    expect(readingOf(figure([{ name: 'DP-SGD', line: { dash: 'dash' } }])).baseline).toBeUndefined()
    expect(readingOf(undefined)).toEqual({})
  })
})

describe('place of the card', () => {
  const view = { width: 1440, height: 900 }
  const card = { width: 360, height: 300 }
  const disjoint = (a: Box, b: Box) =>
    a.right <= b.left || b.right <= a.left || a.bottom <= b.top || b.bottom <= a.top

  it('is the usual corner while that covers nothing', () => {
    expect(cornerFor(null, card, view, 0)).toBe('bottom-right')
    expect(cornerFor({ left: 250, top: 20, right: 1400, bottom: 500 }, card, view, 0)).toBe('bottom-right')
  })

  it('never covers a control that leaves it room somewhere', () => {
    for (let left = 0; left <= 1340; left += 67)
      for (let top = 0; top <= 860; top += 43) {
        const control = { left, top, right: left + 100, bottom: top + 40 }
        const corner = cornerFor(control, card, view, 52)
        expect(disjoint(boxAt(corner, card, view, 52), control)).toBe(true)
      }
  })

  it('scrolls a control into the room above the card, and only then', () => {
    const small = { width: 390, height: 844 }
    const sheet = { width: 358, height: 320 }
    const at = (top: number, height: number) => ({ left: 16, top, right: 374, bottom: top + height })
    expect(scrollFor(at(100, 40), sheet, small, 52)).toBe(0)
    for (const [top, height] of [
      [700, 40],
      [2000, 400],
      [-300, 60],
    ] as const) {
      const by = scrollFor(at(top, height), sheet, small, 52)
      expect(top - by).toBeGreaterThanOrEqual(52 + MARGIN)
      expect(top + height - by).toBeLessThanOrEqual(844 - 320 - 2 * MARGIN)
    }
    // Taller than the room: its top is what is seen.
    expect(900 - scrollFor(at(900, 1200), sheet, small, 52)).toBe(52 + MARGIN)
  })

  it('leaves alone what lies beside the card', () => {
    expect(scrollFor({ left: 20, top: 800, right: 200, bottom: 840 }, card, view, 0)).toBe(0)
  })
})

describe('progress', () => {
  beforeEach(() => {
    localStorage.clear()
    setPerson('')
  })

  it('reads what it wrote and drops what it did not', () => {
    expect(readProgress('{"state":"away","step":"read","study":"a"}')).toEqual({
      state: 'away',
      step: 'read',
      study: 'a',
    })
    for (const odd of [null, '', '{', '3', '{"state":"flying"}']) expect(readProgress(odd).state).toBe('new')
    expect(readProgress('{"state":"open","step":7}').step).toBeUndefined()
    expect(placeOf('gone')).toBe(0)
  })

  it('is resumed where it was left and begins anew when it was gone through', async () => {
    localStorage.setItem('equipoise-tour', '{"state":"away","step":"read"}')
    render(<TourEntry />)
    await userEvent.click(screen.getByRole('button', { name: `Tour, go on at 4 of ${STEPS.length}` }))
    expect(readProgress(localStorage.getItem('equipoise-tour'))).toMatchObject({
      state: 'open',
      step: 'read',
    })
  })

  it('belongs to whoever says a name, with what was done before', async () => {
    localStorage.setItem('equipoise-tour', '{"state":"away","step":"fill"}')
    setPerson('Ada')
    render(<TourEntry />)
    await userEvent.click(screen.getByRole('button', { name: /go on at 3/ }))
    expect(readProgress(localStorage.getItem('equipoise-tour:Ada'))).toMatchObject({
      state: 'open',
      step: 'fill',
    })
    expect(readProgress(localStorage.getItem('equipoise-tour'))).toMatchObject({ state: 'away' })
  })

  it('begins anew once done', async () => {
    localStorage.setItem('equipoise-tour', '{"state":"done","step":"report","study":"a"}')
    render(<TourEntry />)
    await userEvent.click(screen.getByRole('button', { name: 'Tour' }))
    expect(readProgress(localStorage.getItem('equipoise-tour'))).toEqual({ state: 'open' })
  })
})
