import { Select } from '@mantine/core'
import { getRouteApi } from '@tanstack/react-router'
import type { RunDetail } from '~/api'
import { FigureCard } from '~/charts/FigureCard'
import { words } from '~/lib/format'

const route = getRouteApi('/runs/$id')

/** One quantity along the training. */
export function HistorySection({ run }: { run: RunDetail }) {
  const { history } = route.useSearch()
  const navigate = route.useNavigate()
  const names = run.history.map((series) => series.name)
  const shown =
    history && names.includes(history) ? history : (names.find((name) => name.includes('loss')) ?? names[0])
  if (!shown) return null
  return (
    <FigureCard
      name="history"
      label="Training history"
      request={{ run_id: run.id, series: shown }}
      height={300}
      controls={
        <Select
          size="xs"
          label="Quantity"
          w={{ base: '100%', sm: 240 }}
          data={names.map((name) => ({ value: name, label: words(name) }))}
          value={shown}
          allowDeselect={false}
          onChange={(next) =>
            next && navigate({ search: (old) => ({ ...old, history: next }), resetScroll: false })
          }
        />
      }
    />
  )
}
