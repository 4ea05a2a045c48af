import { MantineProvider } from '@mantine/core'
import { QueryClient, QueryClientProvider } from '@tanstack/react-query'
import {
  createMemoryHistory,
  createRootRoute,
  createRoute,
  createRouter,
  RouterProvider,
} from '@tanstack/react-router'
import { render as renderBare } from '@testing-library/react'
import type { ReactNode } from 'react'
import type { Catalogue } from '~/api'
import { keys } from '~/data/queries'
import { parseSearch, stringifySearch } from '~/lib/search'
import * as views from '~/lib/views'
import { catalogue } from './fixtures'

/** Renders with theme and a cache that already holds a catalogue. */
export function render(node: ReactNode, known: Catalogue = catalogue) {
  const client = new QueryClient({
    defaultOptions: { queries: { retry: false, staleTime: Number.POSITIVE_INFINITY } },
  })
  client.setQueryData(keys.catalogue, known)
  return renderBare(
    <MantineProvider env="test">
      <QueryClientProvider client={client}>{node}</QueryClientProvider>
    </MantineProvider>,
  )
}

/** Renders part of a study's or a run's page at an address; the history says what became of it. */
export function renderAt(address: string, node: ReactNode, known?: Catalogue) {
  const history = createMemoryHistory({ initialEntries: [address] })
  const root = createRootRoute()
  const common = { getParentRoute: () => root, component: () => node }
  const routeTree = root.addChildren([
    createRoute({ ...common, path: '/studies/$id', validateSearch: views.study }),
    createRoute({ ...common, path: '/runs/$id', validateSearch: views.run }),
  ])
  const router = createRouter({ routeTree, history, parseSearch, stringifySearch })
  return { history, ...render(<RouterProvider router={router as never} />, known) }
}
