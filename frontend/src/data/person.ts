/** Who acts on this page: a name kept in this browser and sent with every request. Not verified without accounts. */
import { useSyncExternalStore } from 'react'

const KEY = 'equipoise-person'
export const PERSON_HEADER = 'Equipoise-Person'
const listeners = new Set<() => void>()
let memory: string | null = null

/** The name, or null where nobody has said one. */
export function person(): string | null {
  try {
    return window.localStorage.getItem(KEY)
  } catch {
    return memory
  }
}

/** Names longer than the server takes are cut; an empty one means nobody. */
export function setPerson(name: string) {
  const clean = name.trim().replace(/\s+/g, ' ').slice(0, 100)
  memory = clean || null
  try {
    if (clean) window.localStorage.setItem(KEY, clean)
    else window.localStorage.removeItem(KEY)
  } catch {
    // A browser that keeps nothing still knows the name until the page is closed.
  }
  for (const listener of listeners) listener()
}

function subscribe(listener: () => void) {
  listeners.add(listener)
  window.addEventListener('storage', listener)
  return () => {
    listeners.delete(listener)
    window.removeEventListener('storage', listener)
  }
}

/** The name; drawn anew when it changes, also in another tab. */
export const usePerson = () => useSyncExternalStore(subscribe, person)

/** Adds the name to a request of the generated client. */
export function signed(request: Request): Request {
  const name = person()
  if (name) request.headers.set(PERSON_HEADER, encodeURIComponent(name))
  return request
}
