import { describe, expect, it } from 'vitest'
import { job } from '~/test/fixtures'
import { applyMessage, readMessage } from './events'
import { ApiError, toProblem, unwrap } from './http'

describe('events', () => {
  it('are read whole or as their data alone', () => {
    const data = { phase: 'training', message: 'Training 47 of 240', done: 46, total: 240, seconds_left: 24 }
    const whole = readMessage('progress', JSON.stringify({ id: 3, job_id: 'j1', type: 'progress', data }))
    expect(whole).toEqual({ type: 'progress', data })
    expect(readMessage('progress', JSON.stringify(data))).toEqual({ type: 'progress', data })
    expect(readMessage('progress', 'not json')).toBeNull()
    expect(readMessage('other', '{}')).toBeNull()
  })

  it('move the progress and nothing else', () => {
    const before = { ...job(), spec: {} } as never
    const after = applyMessage(before, { type: 'progress', data: { done: 60, seconds_left: null } })
    expect(after.progress).toMatchObject({ done: 60, total: 240, seconds_left: null })
    expect(applyMessage(before, { type: 'status', data: { status: 'failed' } })).toBe(before)
  })
})

describe('problems', () => {
  it('keep the server’s own words', () => {
    const body = {
      type: '/problems/x',
      title: 'Not possible now',
      status: 409,
      detail: 'It runs.',
      problems: [],
    }
    expect(toProblem(body, 409)).toMatchObject({ title: 'Not possible now', detail: 'It runs.' })
  })

  it('are made of anything else, without a trace', () => {
    expect(toProblem('<html>', 502).title).toBe('The server could not answer')
    const framework = toProblem({ detail: [{ loc: ['body', 'name'], msg: 'too long' }] }, 422)
    expect(framework.problems).toEqual([{ field: 'name', expected: 'too long', fix: '' }])
  })

  it('say what to do where no server answers', async () => {
    const failed = unwrap(Promise.reject(new TypeError('fetch failed')))
    await expect(failed).rejects.toBeInstanceOf(ApiError)
    await expect(unwrap(Promise.resolve({ error: new TypeError('x') }))).rejects.toMatchObject({
      problem: { title: 'The server does not answer' },
    })
    await expect(unwrap(Promise.resolve({ data: 1, response: new Response() }))).resolves.toBe(1)
  })
})
