/** What a style sheet alone cannot do for paper: light colours in the dark theme, and every row of a long table. */
import { useSyncExternalStore } from 'react'
import { flushSync } from 'react-dom'

const SCHEME = 'data-mantine-color-scheme'
const FROM = 'data-printed-from'

const paper = () => window.matchMedia('print')

/** Turns the page light while it is printed, whatever its theme; a saved page is never touched. */
export function watchPrinting(root: HTMLElement) {
  const change = ({ matches }: { matches: boolean }) => {
    const scheme = root.getAttribute(SCHEME)
    if (matches && scheme && !root.hasAttribute(FROM)) {
      root.setAttribute(FROM, scheme)
      root.setAttribute(SCHEME, 'light')
    } else if (!matches && root.hasAttribute(FROM)) {
      root.setAttribute(SCHEME, root.getAttribute(FROM) ?? 'light')
      root.removeAttribute(FROM)
    }
  }
  paper().addEventListener('change', change)
}

/** Whether the page is on its way to paper; drawn at once, before it is taken. */
export const usePrinting = () =>
  useSyncExternalStore(
    (listener) => {
      const media = paper()
      const change = () => flushSync(listener)
      media.addEventListener('change', change)
      return () => media.removeEventListener('change', change)
    },
    () => paper().matches,
  )
