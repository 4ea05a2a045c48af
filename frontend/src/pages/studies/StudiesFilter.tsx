import { CloseButton, Group, NativeSelect, TextInput } from '@mantine/core'
import { useDebouncedCallback } from '@mantine/hooks'
import { IconSearch } from '@tabler/icons-react'
import { getRouteApi } from '@tanstack/react-router'
import { useEffect, useState } from 'react'
import type { JobStatus } from '~/data/types'
import type { StudiesView } from '~/lib/views'

const route = getRouteApi('/studies')

/** Filters by status and words, kept in the address. */
export function StudiesFilter({ view }: { view: StudiesView }) {
  const navigate = route.useNavigate()
  const [typed, setTyped] = useState(view.text ?? '')
  const set = (part: StudiesView, replace: boolean) =>
    navigate({ search: (old) => ({ ...old, ...part }), replace, resetScroll: false })
  const search = useDebouncedCallback((text: string) => set({ text: text.trim() || undefined }, true), 250)

  useEffect(() => setTyped(view.text ?? ''), [view.text])

  const change = (text: string) => {
    setTyped(text)
    search(text)
  }
  return (
    <Group gap="sm">
      <TextInput
        aria-label="Search studies"
        placeholder="Search by name or tag"
        leftSection={<IconSearch size={15} aria-hidden />}
        rightSection={
          typed ? <CloseButton size="sm" aria-label="Clear the search" onClick={() => change('')} /> : null
        }
        value={typed}
        onChange={(event) => change(event.currentTarget.value)}
        style={{ flex: '1 1 220px', maxWidth: 360 }}
      />
      <NativeSelect
        aria-label="Status"
        value={view.status ?? ''}
        onChange={(event) =>
          set({ status: (event.currentTarget.value || undefined) as JobStatus | undefined }, false)
        }
        data={[
          { value: '', label: 'Any status' },
          { value: 'queued', label: 'Queued' },
          { value: 'running', label: 'Running' },
          { value: 'succeeded', label: 'Succeeded' },
          { value: 'failed', label: 'Failed' },
          { value: 'cancelled', label: 'Cancelled' },
        ]}
      />
    </Group>
  )
}
