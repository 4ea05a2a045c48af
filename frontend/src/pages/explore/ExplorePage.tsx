import { Box, Button, SegmentedControl } from '@mantine/core'
import { useQueries, useQuery } from '@tanstack/react-query'
import { getRouteApi } from '@tanstack/react-router'
import { useCallback, useMemo, useState } from 'react'
import { FigureCard } from '~/charts/FigureCard'
import { useAxes } from '~/charts/useAxes'
import { Empty } from '~/components/Empty'
import { PageHeader } from '~/components/PageHeader'
import { QuickstartButton } from '~/components/RunPresetButton'
import { axisMenuQuery, isLive, jobQuery } from '~/data/queries'
import { measurementsCsv } from '~/lib/links'
import { numbers, stretches } from '~/lib/search'
import type { ExploreView } from '~/lib/views'
import { ExploreControls } from './ExploreControls'
import { ExplorePanels } from './ExplorePanels'
import { FrozenBanner } from './FrozenBanner'
import { OperatingPoint } from './operating/OperatingPoint'
import { SelectionBar } from './SelectionBar'
import { ShortLinkButton } from './ShortLinkButton'
import { useExploreJobs } from './useExploreJobs'
import { useLabels } from './useLabels'

const route = getRouteApi('/explore')
type Drag = 'zoom' | 'select' | 'lasso'

/** Any metrics of any studies; one selection in every figure; the address holds the whole view. */
export function ExplorePage() {
  const view = route.useSearch()
  const navigate = route.useNavigate()
  const { jobs, options, empty } = useExploreJobs(view.jobs)
  const details = useQueries({ queries: jobs.map((id) => jobQuery(id)) })
  const known = details.flatMap(({ data }) => (data ? [data] : []))
  const { axes, menu, request, ready } = useAxes(view, known)
  const { data: axisMenu, error: unknown } = useQuery(axisMenuQuery(jobs, view.asOf))
  const growing = view.asOf === undefined && known.some((job) => isLive(job.status))
  const [drag, setDrag] = useState<Drag>('zoom')
  const set = useCallback(
    (part: ExploreView) =>
      navigate({ search: (old) => ({ ...old, ...part }), replace: false, resetScroll: false }),
    [navigate],
  )
  const selected = useMemo(() => numbers(view.select), [view.select])
  const chosen = useMemo(() => new Set(selected), [selected])
  const choose = useCallback((next: Set<number>) => set({ select: stretches(next) }), [set])
  const clear = useCallback(() => set({ select: undefined }), [set])
  const frontier = view.frontier ?? true
  const drawn = {
    job_id: jobs,
    ...request,
    x_subgroup: view.xSubgroup,
    frontier,
    degenerate: view.degenerate,
    color: view.color,
    size: view.size,
    facet: view.facet,
    ranges: view.ranges,
    choose: view.choose,
    x_log: view.xLog,
    y_log: view.yLog,
    x_min: view.xMin,
    x_max: view.xMax,
    y_min: view.yMin,
    y_max: view.yMax,
    as_of: view.asOf,
  }
  const loaded = ready && jobs.length > 0 && details.every(({ isPending }) => !isPending)
  const labels = useLabels(drawn, loaded && chosen.size > 0)
  return (
    <>
      <PageHeader
        title="Explore"
        lead="Any metric against any other, over any studies. What is selected in one figure is lit in all; the address holds the view."
        actions={
          jobs.length > 0 && (
            <>
              <ShortLinkButton view={{ ...view, jobs }} />
              <Button
                variant="default"
                component="a"
                href={measurementsCsv(jobs, { split: axes.split })}
                download
              >
                All measurements as CSV
              </Button>
            </>
          )
        }
      />
      {view.asOf && (
        <FrozenBanner
          asOf={view.asOf}
          link={view.link}
          onThaw={() => set({ asOf: undefined, link: undefined })}
        />
      )}
      {empty ? (
        <Empty title="Nothing to explore yet" actions={<QuickstartButton />}>
          Results appear here as soon as a study has measured its first run.
        </Empty>
      ) : (
        <>
          <FigureCard
            name="tradeoff"
            label="Trade-off"
            request={drawn}
            growing={growing}
            ready={loaded}
            height={520}
            table="beside"
            chosen={chosen}
            onChoose={choose}
            drag={drag}
            tools={
              <SegmentedControl
                size="xs"
                aria-label="What dragging over the figure does"
                data={[
                  { value: 'zoom', label: 'Zoom' },
                  { value: 'select', label: 'Box' },
                  { value: 'lasso', label: 'Lasso' },
                ]}
                value={drag}
                onChange={(next) => setDrag(next as Drag)}
              />
            }
            controls={
              <ExploreControls
                axes={axes}
                view={view}
                jobs={jobs}
                options={options}
                menu={menu}
                known={axisMenu}
                onChange={set}
              />
            }
          />
          {/* Where the studies cannot be read the first figure says why; the others would wait for nothing. */}
          {jobs.length > 0 && !(unknown && !axisMenu) && (
            <ExplorePanels
              jobs={jobs}
              details={known}
              known={axisMenu}
              view={view}
              axes={axes}
              growing={growing}
              chosen={chosen}
              onChoose={choose}
              onChange={set}
            />
          )}
        </>
      )}
      {jobs.length > 0 && (
        <Box mt="lg">
          <OperatingPoint
            jobs={jobs}
            view={view}
            asOf={view.asOf}
            selected={selected}
            onSelect={(setting) => choose(new Set([setting]))}
            onChange={set}
          />
        </Box>
      )}
      <SelectionBar jobs={jobs} selected={selected} labels={labels} asOf={view.asOf} onClear={clear} />
    </>
  )
}
