import { ActionIcon, CloseButton, Group, NativeSelect, TextInput, Tooltip } from '@mantine/core'
import { useDebouncedCallback } from '@mantine/hooks'
import { IconSearch, IconSortAscending, IconSortDescending } from '@tabler/icons-react'
import { useQuery } from '@tanstack/react-query'
import { getRouteApi } from '@tanstack/react-router'
import { useEffect, useState } from 'react'
import type { Facet } from '~/api'
import { catalogueQuery, facetsQuery } from '~/data/queries'
import { integer, words } from '~/lib/format'
import type { StudiesView } from '~/lib/views'

const route = getRouteApi('/studies')

const FACETS = ['status', 'dataset', 'method', 'tag', 'preset'] as const
const ANY: Record<(typeof FACETS)[number], string> = {
  status: 'Any status',
  dataset: 'Any data set',
  method: 'Any method',
  tag: 'Any tag',
  preset: 'Any preset',
}
const ORDERS = [
  { value: 'created', label: 'By date' },
  { value: 'name', label: 'By name' },
  { value: 'status', label: 'By status' },
  { value: 'runs', label: 'By runs' },
]

/** Filters, order and words, kept in the address. */
export function StudiesFilter({ view }: { view: StudiesView }) {
  const navigate = route.useNavigate()
  const [typed, setTyped] = useState(view.text ?? '')
  const { data: facets } = useQuery(facetsQuery)
  const titles = useTitles()
  const set = (part: StudiesView, replace: boolean) =>
    navigate({ search: (old) => ({ ...old, ...part }), replace, resetScroll: false })
  const search = useDebouncedCallback((text: string) => set({ text: text.trim() || undefined }, true), 250)

  useEffect(() => setTyped(view.text ?? ''), [view.text])

  const change = (text: string) => {
    setTyped(text)
    search(text)
  }
  return (
    <Group gap="sm" role="search">
      <TextInput
        aria-label="Search studies"
        placeholder="Search by name or tag"
        leftSection={<IconSearch size={15} aria-hidden />}
        rightSection={
          typed ? <CloseButton size="sm" aria-label="Clear the search" onClick={() => change('')} /> : null
        }
        value={typed}
        maxLength={200}
        onChange={(event) => change(event.currentTarget.value)}
        style={{ flex: '1 1 220px', maxWidth: 360 }}
      />
      {FACETS.map((facet) => (
        <FacetMenu
          key={facet}
          label={ANY[facet]}
          chosen={view[facet]}
          offered={facets?.[facet] ?? []}
          title={(value) => titles(facet, value)}
          onChoose={(value) => set({ [facet]: value }, false)}
        />
      ))}
      {(facets?.archived || view.archived) && (
        <NativeSelect
          aria-label="Archived studies"
          value={view.archived ?? ''}
          onChange={(event) =>
            set({ archived: (event.currentTarget.value || undefined) as StudiesView['archived'] }, false)
          }
          data={[
            { value: '', label: 'Not archived' },
            { value: 'yes', label: `Archived (${integer(facets?.archived ?? 0)})` },
            { value: 'any', label: 'Both' },
          ]}
        />
      )}
      <Group gap={4} wrap="nowrap">
        <NativeSelect
          aria-label="Order"
          value={view.sort ?? 'created'}
          onChange={(event) => {
            const sort = event.currentTarget.value as StudiesView['sort']
            // Names from A on, everything else newest or largest on top.
            set({ sort: sort === 'created' ? undefined : sort, up: sort === 'name' || undefined }, false)
          }}
          data={ORDERS}
        />
        <Tooltip label={view.up ? 'Ascending' : 'Descending'}>
          <ActionIcon
            variant="default"
            size={36}
            aria-label={view.up ? 'Order: ascending, turn around' : 'Order: descending, turn around'}
            onClick={() => set({ up: view.up ? undefined : true }, false)}
          >
            {view.up ? <IconSortAscending size={16} /> : <IconSortDescending size={16} />}
          </ActionIcon>
        </Tooltip>
      </Group>
    </Group>
  )
}

interface FacetProps {
  label: string
  chosen: string | undefined
  offered: Facet[]
  title: (value: string) => string
  onChoose: (value: string | undefined) => void
}

/** A menu of the values that studies have; nothing where there is nothing to choose. */
function FacetMenu({ label, chosen, offered, title, onChoose }: FacetProps) {
  if (offered.length === 0 && !chosen) return null
  const values =
    offered.some((one) => one.value === chosen) || !chosen
      ? offered
      : [{ value: chosen, jobs: 0 }, ...offered]
  return (
    <NativeSelect
      aria-label={label.replace('Any', 'Filter by')}
      value={chosen ?? ''}
      onChange={(event) => onChoose(event.currentTarget.value || undefined)}
      data={[
        { value: '', label },
        ...values.map((one) => ({ value: one.value, label: `${title(one.value)} (${integer(one.jobs)})` })),
      ]}
      maw={190}
    />
  )
}

function useTitles() {
  const { data } = useQuery(catalogueQuery)
  return (facet: (typeof FACETS)[number], value: string) => {
    if (facet === 'tag' || facet === 'preset') return value
    if (facet === 'status') return words(value)
    return data?.plugins.find((one) => one.kind === facet && one.name === value)?.title ?? words(value)
  }
}
