import { Button, Group, Skeleton, Stack, Text, TextInput } from '@mantine/core'
import { IconSearch } from '@tabler/icons-react'
import { useInfiniteQuery, useQuery } from '@tanstack/react-query'
import { getRouteApi } from '@tanstack/react-router'
import { useMemo } from 'react'
import type { JobDetail } from '~/api'
import { DataTable } from '~/components/DataTable'
import { Panel } from '~/components/Panel'
import { ProblemNotice } from '~/components/ProblemNotice'
import { catalogueQuery, runsQuery } from '~/data/queries'
import { integer } from '~/lib/format'
import { filterRuns } from '~/lib/runs'
import { runColumns } from './runColumns'

const route = getRouteApi('/studies/$id')

/** Every run, sortable and searchable; a row opens its panel. */
export function RunsSection({ job, onSelect }: { job: JobDetail; onSelect: (id: string) => void }) {
  const { filter = '', sort, down, run } = route.useSearch()
  const navigate = route.useNavigate()
  const query = useInfiniteQuery(runsQuery(job.id))
  const { data: catalogue } = useQuery(catalogueQuery)
  const runs = useMemo(() => query.data?.pages.flatMap((page) => page.items) ?? [], [query.data])
  const titles = useMemo(
    () => new Map(catalogue?.plugins.filter((p) => p.kind === 'method').map((p) => [p.name, p.title])),
    [catalogue],
  )
  const columns = useMemo(() => runColumns(runs, titles), [runs, titles])
  const shown = useMemo(() => filterRuns(runs, filter, titles), [runs, filter, titles])
  const set = (part: { filter?: string; sort?: string; down?: boolean }) =>
    navigate({ search: (old) => ({ ...old, ...part }), replace: true, resetScroll: false })
  return (
    <Panel
      title="Runs"
      aside={
        <TextInput
          size="xs"
          aria-label="Filter runs"
          placeholder="Filter: method, ε, seed, status"
          leftSection={<IconSearch size={13} aria-hidden />}
          defaultValue={filter}
          onChange={(event) => set({ filter: event.currentTarget.value || undefined })}
          w={{ base: '100%', xs: 240 }}
        />
      }
    >
      {query.error && !query.data && <ProblemNotice error={query.error} onRetry={() => query.refetch()} />}
      {query.isPending && <Skeleton height={240} aria-label="Loading the runs" />}
      {query.data && (
        <Stack gap="sm">
          <DataTable
            label="Runs of this study"
            columns={columns}
            rows={shown}
            rowKey={(row) => row.id}
            order={sort ? { key: sort, down: down ?? false } : undefined}
            onOrder={(order) => set({ sort: order.key, down: order.down || undefined })}
            selected={run}
            onSelect={(row) => onSelect(row.id)}
            maxHeight={520}
          />
          <Group justify="space-between">
            <Text size="xs" c="dimmed" className="tabular">
              {integer(shown.length)} of {integer(job.runs)} runs shown
            </Text>
            {query.hasNextPage && (
              <Button
                size="xs"
                variant="default"
                loading={query.isFetchingNextPage}
                onClick={() => query.fetchNextPage()}
              >
                Show more
              </Button>
            )}
          </Group>
        </Stack>
      )}
    </Panel>
  )
}
