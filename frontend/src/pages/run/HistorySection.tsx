import { Select } from '@mantine/core'
import { getRouteApi } from '@tanstack/react-router'
import type { RunDetail } from '~/api'
import { FigureCard } from '~/charts/FigureCard'
import { Explained } from '~/components/Term'
import { isOfClipping } from '~/lib/clipping'
import { glossary } from '~/lib/glossary'
import { historyTerm, historyTitle } from '~/lib/history'

const route = getRouteApi('/runs/$id')

/** One quantity along the training. */
export function HistorySection({ run }: { run: RunDetail }) {
  const { history } = route.useSearch()
  const navigate = route.useNavigate()
  const names = run.history.map((series) => series.name).filter((name) => !isOfClipping(name))
  const shown =
    history && names.includes(history) ? history : (names.find((name) => name.includes('loss')) ?? names[0])
  if (!shown) return null
  const term = historyTerm(shown)
  return (
    <FigureCard
      name="history"
      label="Training history"
      request={{ run_id: run.id, series: shown }}
      height={300}
      controls={
        <Select
          size="xs"
          label={<Explained text={term && glossary[term]}>Quantity</Explained>}
          w={{ base: '100%', sm: 240 }}
          data={names.map((name) => ({ value: name, label: historyTitle(name) }))}
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
