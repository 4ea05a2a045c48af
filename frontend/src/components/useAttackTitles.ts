import { useQuery } from '@tanstack/react-query'
import { useMemo } from 'react'
import { catalogueQuery } from '~/data/queries'

/** Titles of attacks and audits by name. */
export function useAttackTitles(): ReadonlyMap<string, string> {
  const { data } = useQuery(catalogueQuery)
  return useMemo(
    () => new Map(data?.plugins.filter((one) => one.kind === 'attack').map((one) => [one.name, one.title])),
    [data],
  )
}
