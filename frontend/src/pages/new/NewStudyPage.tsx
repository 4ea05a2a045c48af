import { Skeleton, Stack } from '@mantine/core'
import { useQuery } from '@tanstack/react-query'
import { getRouteApi } from '@tanstack/react-router'
import { useMemo } from 'react'
import { PageHeader } from '~/components/PageHeader'
import { ProblemNotice } from '~/components/ProblemNotice'
import { catalogueQuery, jobQuery, presetsQuery } from '~/data/queries'
import { asDraft, type Draft, starter } from '~/spec/draft'
import { PresetCards } from './PresetCards'
import { RunBundle } from './RunBundle'
import { StudyForm } from './StudyForm'
import { useDraft } from './useDraft'

const route = getRouteApi('/new')

/** Where a study is written: from a preset, from another study, or from the start. */
export function NewStudyPage() {
  const { preset, from } = route.useSearch()
  const origin = from ? `study:${from}` : preset ? `preset:${preset}` : 'new'
  const { load, error } = useOrigin(preset, from)
  const { draft, change, replace, reset } = useDraft(origin, load)
  const catalogue = useQuery(catalogueQuery)
  return (
    <>
      <PageHeader
        title="New study"
        lead="A study trains one model per method, setting and seed, attacks each, and draws what privacy costs and who pays."
      />
      <Stack gap="lg">
        {!from && <PresetCards chosen={preset} />}
        {!from && <RunBundle />}
        {error != null && !draft && <ProblemNotice error={error} />}
        {catalogue.error && !catalogue.data && (
          <ProblemNotice error={catalogue.error} onRetry={() => catalogue.refetch()} />
        )}
        {draft && catalogue.data ? (
          <StudyForm
            catalogue={catalogue.data}
            draft={draft}
            onChange={change}
            onReplace={replace}
            onReset={reset}
          />
        ) : (
          !catalogue.error && <Skeleton height={520} aria-label="Loading the form" />
        )}
      </Stack>
    </>
  )
}

/** The study to begin from, once it has arrived. */
function useOrigin(preset?: string, from?: string): { load: Draft | undefined; error: unknown } {
  const presets = useQuery(presetsQuery)
  const catalogue = useQuery(catalogueQuery)
  const job = useQuery({ ...jobQuery(from ?? ''), enabled: Boolean(from) })
  const load = useMemo(() => {
    if (from)
      return job.data
        ? { ...asDraft(job.data.spec), name: `${job.data.name} (copy)`.slice(0, 200) }
        : undefined
    if (preset) {
      const found = presets.data?.items.find((one) => one.name === preset)
      if (found) return asDraft(found.spec)
    }
    return catalogue.data && presets.data ? starter(catalogue.data, presets.data.items) : undefined
  }, [from, preset, job.data, presets.data, catalogue.data])
  return { load, error: from ? job.error : presets.error }
}
