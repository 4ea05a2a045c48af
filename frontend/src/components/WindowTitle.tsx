import { useDocumentTitle } from '@mantine/hooks'
import { useMatches } from '@tanstack/react-router'
import { useOwnTitle, windowTitle } from '~/lib/pageTitle'

/** Keeps the title of the window: also of a page that loads, fails or has no heading of its own. */
export function WindowTitle() {
  const kind = useMatches({ select: (matches) => matches.at(-1)?.staticData.title })
  useDocumentTitle(windowTitle(useOwnTitle(), kind))
  return null
}
