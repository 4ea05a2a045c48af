import { Button, Skeleton, Stack, Text } from '@mantine/core'
import { IconPlus } from '@tabler/icons-react'
import { useInfiniteQuery, useQuery } from '@tanstack/react-query'
import { getRouteApi, Link } from '@tanstack/react-router'
import { useCallback } from 'react'
import { Empty } from '~/components/Empty'
import { PageHeader } from '~/components/PageHeader'
import { ProblemNotice } from '~/components/ProblemNotice'
import { QuickstartButton } from '~/components/RunPresetButton'
import { facetsQuery, jobsQuery } from '~/data/queries'
import { StudiesFilter } from './StudiesFilter'
import { StudiesList } from './StudiesList'

const route = getRouteApi('/studies')

/** All studies, newest first. */
export function StudiesPage() {
  const view = route.useSearch()
  const query = useInfiniteQuery(jobsQuery(view))
  const jobs = query.data?.pages.flatMap((page) => page.items) ?? []
  const { sort: _sort, up: _up, ...filters } = view
  const filtered = Object.values(filters).some(Boolean)
  const { fetchNextPage, hasNextPage, isFetching } = query
  const more = useCallback(() => {
    if (!isFetching) fetchNextPage()
  }, [isFetching, fetchNextPage])
  const empty = query.data !== undefined && jobs.length === 0
  const { data: facets } = useQuery(facetsQuery)
  const first = empty && !filtered && !facets?.archived
  return (
    <>
      <PageHeader
        title="Studies"
        actions={
          <Button
            leftSection={<IconPlus size={15} aria-hidden />}
            variant={first ? 'default' : 'filled'}
            renderRoot={(props) => <Link to="/new" {...props} />}
          >
            New study
          </Button>
        }
      />
      <Stack gap="md">
        {!first && <StudiesFilter view={view} />}
        {query.error && !query.data && <ProblemNotice error={query.error} onRetry={() => query.refetch()} />}
        {query.isPending && <ListSkeleton />}
        {empty && (first ? <FirstStudy /> : <NothingFound />)}
        {jobs.length > 0 && (
          <StudiesList
            jobs={jobs}
            total={query.data?.pages[0]?.total ?? jobs.length}
            onMore={hasNextPage ? more : undefined}
          />
        )}
      </Stack>
    </>
  )
}

function FirstStudy() {
  return (
    <Empty
      title="Measure what privacy costs, and who pays"
      actions={
        <>
          <QuickstartButton />
          <Button variant="default" renderRoot={(props) => <Link to="/new" {...props} />}>
            Write a study of my own
          </Button>
        </>
      }
    >
      <Text inherit>
        The quickstart trains four methods on census data at four privacy budgets, attacks every model, and
        draws the cost for each group. The first point appears within seconds, all of it within about three
        minutes.
      </Text>
    </Empty>
  )
}

function NothingFound() {
  return (
    <Empty
      title="No study fits these filters"
      actions={
        <Button variant="default" renderRoot={(props) => <Link to="/studies" search={{}} {...props} />}>
          Clear the filters
        </Button>
      }
    />
  )
}

function ListSkeleton() {
  return (
    <Stack gap={1} role="status" aria-busy aria-label="Loading the studies">
      {[0, 1, 2, 3, 4].map((i) => (
        <Skeleton key={i} height={62} />
      ))}
    </Stack>
  )
}
