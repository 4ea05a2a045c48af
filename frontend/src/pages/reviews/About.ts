import { createContext, useContext } from 'react'
import type { Anchor, Thread } from '~/api'
import { type AnchorNames, anchorKey } from '~/lib/reviews'

/** What the parts of a review share with its discussion: begin a comment about something, see what was said of it. */
export interface About {
  names: AnchorNames
  open: ReadonlyMap<string, number>
  comment: (anchor: Anchor) => void
}

const Context = createContext<About | null>(null)
export const AboutProvider = Context.Provider

export function useAbout(): About {
  const about = useContext(Context)
  if (!about) throw new Error('no review around')
  return about
}

/** Open threads by what they are about. */
export function openThreads(threads: readonly Thread[]): Map<string, number> {
  const found = new Map<string, number>()
  for (const thread of threads) {
    if (thread.resolved) continue
    const key = anchorKey(thread.anchor)
    found.set(key, (found.get(key) ?? 0) + 1)
  }
  return found
}
