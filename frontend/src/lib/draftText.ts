import { useCallback, useState } from 'react'

const PREFIX = 'equipoise-draft:'

/** A text that a reload does not lose: kept in this browser until it is sent or emptied. */
export function useDraftText(key: string, initial = ''): [string, (text: string) => void] {
  const [text, setText] = useState(() => read(key) ?? initial)
  const change = useCallback(
    (next: string) => {
      setText(next)
      keep(key, next)
    },
    [key],
  )
  return [text, change]
}

function read(key: string): string | null {
  try {
    return window.localStorage.getItem(PREFIX + key)
  } catch {
    return null
  }
}

function keep(key: string, text: string) {
  try {
    if (text) window.localStorage.setItem(PREFIX + key, text)
    else window.localStorage.removeItem(PREFIX + key)
  } catch {
    // Without storage the draft lives as long as the page.
  }
}
