import { InfiniteQueryObserver, QueryClient } from '@tanstack/react-query'
import { afterEach, describe, expect, it, vi } from 'vitest'
import * as api from '~/api'
import { job } from '~/test/fixtures'
import { QUIET, type ReadPages, unchanged } from './jobPages'
import { jobsQuery } from './queries'

const page = (status: 'running' | 'succeeded', next: string | null, at = 0) => ({
  items: [{ ...job(), status }],
  next,
  total: 500,
  at,
})

describe('pages that need not be asked for again', () => {
  const read: ReadPages = {
    pages: [page('succeeded', 'a'), page('running', 'b'), page('succeeded', null)],
    pageParams: [null, 'a', 'b'],
  }

  it('are quiet, young, and follow the same cursor', () => {
    expect(unchanged(read, 'b', QUIET - 1)).toBe(read.pages[2])
    expect(unchanged(read, 'b', QUIET)).toBeUndefined()
    expect(unchanged(read, 'a', 0)).toBeUndefined()
    expect(unchanged(read, null, 0)).toBeUndefined()
    expect(unchanged(read, 'c', 0)).toBeUndefined()
    expect(unchanged(undefined, 'b', 0)).toBeUndefined()
  })
})

describe('a list of many pages', () => {
  afterEach(() => vi.restoreAllMocks())

  /** A server with six pages, the fifth of which has a study that runs. */
  async function loaded(state: { running: boolean }) {
    const asked: (string | null)[] = []
    vi.spyOn(api, 'jobsListJobs').mockImplementation((async (options: { query: { cursor?: string } }) => {
      const cursor = options.query.cursor ?? null
      asked.push(cursor)
      const place = cursor === null ? 0 : Number(cursor)
      const status = place === 4 && state.running ? 'running' : 'succeeded'
      const items = [{ ...job(), id: `job${place}`, status }]
      return {
        data: { items, next: place < 5 ? String(place + 1) : null, total: 6 },
        response: new Response(),
      }
    }) as never)
    const client = new QueryClient()
    const observer = new InfiniteQueryObserver(client, { ...jobsQuery({}), enabled: false })
    const stop = observer.subscribe(() => undefined)
    await observer.refetch()
    for (let i = 0; i < 5; i++) await observer.fetchNextPage()
    asked.length = 0
    return { client, observer, asked, stop }
  }

  it('goes on refreshing, and asks only for what can have changed', async () => {
    const state = { running: true }
    const { observer, asked, stop } = await loaded(state)
    const interval = jobsQuery({}).refetchInterval as (query: unknown) => number | false
    expect(interval(observer.getCurrentQuery())).toBe(2_000)
    state.running = false
    await observer.refetch()
    expect(asked).toEqual([null, '4'])
    expect(
      observer.getCurrentResult().data?.pages.flatMap((one) => one.items.map((it) => it.status)),
    ).toEqual(Array(6).fill('succeeded'))
    expect(interval(observer.getCurrentQuery())).toBe(15_000)
    stop()
  })

  it('asks for every page once somebody changed something here', async () => {
    const { client, observer, asked, stop } = await loaded({ running: false })
    client.invalidateQueries({ queryKey: jobsQuery({}).queryKey, refetchType: 'none' })
    await observer.refetch()
    expect(asked).toEqual([null, '1', '2', '3', '4', '5'])
    stop()
  })
})
