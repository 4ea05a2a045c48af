import { Button } from '@mantine/core'
import { useQueries } from '@tanstack/react-query'
import { getRouteApi } from '@tanstack/react-router'
import { FigureCard } from '~/charts/FigureCard'
import { useAxes } from '~/charts/useAxes'
import { Empty } from '~/components/Empty'
import { PageHeader } from '~/components/PageHeader'
import { QuickstartButton } from '~/components/RunPresetButton'
import { isLive, jobQuery } from '~/data/queries'
import { measurementsCsv } from '~/lib/links'
import type { ExploreView } from '~/lib/views'
import { ExploreControls } from './ExploreControls'
import { OperatingPoint } from './operating/OperatingPoint'
import { useExploreJobs } from './useExploreJobs'

const route = getRouteApi('/explore')

/** Any two metrics of any studies; the address holds the whole view. */
export function ExplorePage() {
  const view = route.useSearch()
  const navigate = route.useNavigate()
  const { jobs, options, empty } = useExploreJobs(view.jobs)
  const details = useQueries({ queries: jobs.map((id) => jobQuery(id)) })
  const known = details.flatMap(({ data }) => (data ? [data] : []))
  const { axes, menu, request, ready } = useAxes(view, known)
  const growing = known.some((job) => isLive(job.status))
  const set = (part: ExploreView) =>
    navigate({ search: (old) => ({ ...old, ...part }), replace: false, resetScroll: false })
  const frontier = view.frontier ?? true
  return (
    <>
      <PageHeader
        title="Explore"
        lead="Any metric against any other, over any studies. The address holds the view: copy it to share."
        actions={
          jobs.length > 0 && (
            <Button
              variant="default"
              component="a"
              href={measurementsCsv(jobs, { split: axes.split })}
              download
            >
              All measurements as CSV
            </Button>
          )
        }
      />
      {empty ? (
        <Empty title="Nothing to explore yet" actions={<QuickstartButton />}>
          Results appear here as soon as a study has measured its first run.
        </Empty>
      ) : (
        <FigureCard
          name="tradeoff"
          label="Trade-off"
          request={{ job_id: jobs, ...request, frontier }}
          growing={growing}
          ready={ready && jobs.length > 0 && details.every(({ isPending }) => !isPending)}
          height={520}
          table="beside"
          onSelectRun={(id) => navigate({ to: '/runs/$id', params: { id } })}
          controls={
            <ExploreControls
              axes={axes}
              jobs={jobs}
              options={options}
              menu={menu}
              frontier={frontier}
              onChange={set}
            />
          }
        />
      )}
      {jobs.length > 0 && <OperatingPoint jobs={jobs} view={view} onChange={set} />}
    </>
  )
}
