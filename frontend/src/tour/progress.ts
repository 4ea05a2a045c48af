/** How far somebody is in the tour: kept in this browser under their name, and the same in all of its windows. */
import { useMemo, useSyncExternalStore } from 'react'
import { usePerson } from '~/data/person'

export interface Progress {
  /** `new`: never seen; `open`: on the page; `away`: left, to be resumed; `done`: gone through. */
  state: 'new' | 'open' | 'away' | 'done'
  step?: string
  study?: string
}

const NEW: Progress = { state: 'new' }
const STATES = ['new', 'open', 'away', 'done']
const PREFIX = 'equipoise-tour'
const listeners = new Set<() => void>()
const memory = new Map<string, string>()

const keyOf = (person: string | null) => (person ? `${PREFIX}:${person}` : PREFIX)

function stored(key: string): string | null {
  try {
    return window.localStorage.getItem(key) ?? memory.get(key) ?? null
  } catch {
    return memory.get(key) ?? null
  }
}

/** What somebody did before they said who they are counts as theirs. */
const textOf = (person: string | null) => stored(keyOf(person)) ?? stored(keyOf(null))

export function readProgress(text: string | null): Progress {
  try {
    const found = JSON.parse(text ?? 'null')
    if (!STATES.includes(found?.state)) return NEW
    const name = (value: unknown) => (typeof value === 'string' ? value : undefined)
    return { state: found.state, step: name(found.step), study: name(found.study) }
  } catch {
    return NEW
  }
}

export function keepProgress(person: string | null, progress: Progress) {
  const text = JSON.stringify(progress)
  memory.set(keyOf(person), text)
  try {
    window.localStorage.setItem(keyOf(person), text)
  } catch {
    // A browser that keeps nothing still knows it until the page is closed.
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

export function useProgress(): [Progress, (part: Partial<Progress>) => void] {
  const person = usePerson()
  const text = useSyncExternalStore(subscribe, () => textOf(person))
  return useMemo(() => {
    const progress = readProgress(text)
    return [progress, (part) => keepProgress(person, { ...progress, ...part })]
  }, [person, text])
}
