/** What the window is called: a page's own title, what kind of page it is, and the product. */
import { useLayoutEffect, useSyncExternalStore } from 'react'

let own: string | null = null
const listeners = new Set<() => void>()

function say(title: string | null) {
  own = title
  for (const listener of listeners) listener()
}

/** A page's own title, for as long as it is shown. */
export function usePageTitle(title: string | undefined) {
  useLayoutEffect(() => {
    if (!title) return
    say(title)
    return () => {
      if (own === title) say(null)
    }
  }, [title])
}

export const useOwnTitle = () =>
  useSyncExternalStore(
    (listener) => {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    () => own,
  )

/** The most telling part first, as a narrow tab shows only that; nothing twice. */
export const windowTitle = (title: string | null, kind: string | undefined) =>
  [...new Set([title, kind, 'Equipoise'].filter(Boolean))].join(' · ')
