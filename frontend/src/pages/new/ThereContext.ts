import { createContext } from 'react'
import type { Catalogue } from '~/api'
import type { Draft } from '~/spec/draft'
import type { There } from '~/spec/schema'

/** What parameters of methods, models and attacks may name of the chosen data set. */
export const ThereContext = createContext<There>({})

/** The data set's attributes; nothing where it is not known. */
export function thereOf(catalogue: Catalogue, draft: Draft): There {
  const plugin = catalogue.plugins.find((one) => one.kind === 'dataset' && one.name === draft.dataset.name)
  return plugin?.dataset ? { attribute: plugin.dataset.attributes ?? [] } : {}
}
