import {
  Button,
  Checkbox,
  Divider,
  Group,
  NativeSelect,
  Popover,
  ScrollArea,
  Skeleton,
  Stack,
  Text,
  TextInput,
} from '@mantine/core'
import { IconChartDots3, IconClipboardCheck, IconColumns, IconSearch } from '@tabler/icons-react'
import { useInfiniteQuery, useQuery } from '@tanstack/react-query'
import { getRouteApi, Link } from '@tanstack/react-router'
import { useEffect, useMemo, useState } from 'react'
import type { JobDetail } from '~/api'
import { DataTable } from '~/components/DataTable'
import { Panel } from '~/components/Panel'
import { ProblemNotice } from '~/components/ProblemNotice'
import { catalogueQuery, columnsQuery, groupsQuery, runsQuery } from '~/data/queries'
import { integer, plural, subgroupTitle } from '~/lib/format'
import { filterRuns, paramTitle, sweptParams } from '~/lib/runs'
import type { StudyView } from '~/lib/views'
import { choosable, runColumns } from './runColumns'
import { type GroupRow, groupRows, runRows, tableRows, toggled } from './runRows'

const route = getRouteApi('/studies/$id')

const NONE: string[] = []

/** Every run, alone or in groups, sortable and searchable; a row opens its panel. */
export function RunsSection({ job, onSelect }: { job: JobDetail; onSelect: (id: string) => void }) {
  const view = route.useSearch()
  const {
    filter = '',
    sort,
    down,
    run,
    by = NONE,
    columns: metrics = NONE,
    hide = NONE,
    subgroup = 'all',
  } = view
  const select = view.select ?? []
  const navigate = route.useNavigate()
  const query = useInfiniteQuery(runsQuery(job.id))
  const { data: catalogue } = useQuery(catalogueQuery)
  const numbers = { metrics, subgroup }
  const values = useQuery(columnsQuery(job.id, numbers))
  const groups = useQuery({ ...groupsQuery(job.id, by, numbers), enabled: by.length > 0 })
  const [open, setOpen] = useState<ReadonlySet<string>>(new Set())
  const runs = useMemo(() => query.data?.pages.flatMap((page) => page.items) ?? [], [query.data])
  const titles = useMemo(
    () => new Map(catalogue?.plugins.filter((p) => p.kind === 'method').map((p) => [p.name, p.title])),
    [catalogue],
  )
  const { hasNextPage, isFetchingNextPage, fetchNextPage } = query
  useEffect(() => {
    if (hasNextPage && !isFetchingNextPage) fetchNextPage()
  }, [hasNextPage, isFetchingNextPage, fetchNextPage])

  const set = (part: StudyView) =>
    navigate({ search: (old) => ({ ...old, ...part }), replace: true, resetScroll: false })
  const onOpen = ({ key }: GroupRow) => {
    const next = new Set(open)
    if (!next.delete(key)) next.add(key)
    setOpen(next)
  }
  const columns = runColumns({
    runs,
    titles,
    metrics,
    infos: catalogue?.metrics ?? [],
    hidden: hide,
    by,
    open,
    onOpen,
    select,
    onTick: (ids) => set({ select: toggled(select, ids) }),
  })
  const shown = useMemo(
    () => runRows(filterRuns(runs, filter, titles), values.data),
    [runs, filter, titles, values.data],
  )
  const inGroups = useMemo(() => (by.length ? groupRows(groups.data) : null), [by, groups.data])
  const order = sort ? { key: sort, down: down ?? false } : undefined
  const rows = tableRows(shown, inGroups, open, columns.find((one) => one.key === sort)?.sort, order)
  const problem = query.error ?? groups.error ?? values.error
  return (
    <Panel
      title="Runs"
      aside={
        <Group gap="xs">
          <TextInput
            size="xs"
            aria-label="Filter runs"
            placeholder="Filter: method, ε, seed, status"
            leftSection={<IconSearch size={13} aria-hidden />}
            defaultValue={filter}
            onChange={(event) => set({ filter: event.currentTarget.value || undefined })}
            w={{ base: '100%', xs: 220 }}
          />
          <GroupMenu by={by} offered={sweptParams(runs)} onChoose={(next) => set({ by: next })} />
          <ColumnMenu
            metrics={catalogue?.metrics.filter((one) => one.name !== 'epsilon') ?? []}
            chosen={metrics}
            columns={choosable(runs, by)}
            hidden={hide}
            onMetrics={(next) => set({ columns: next.length ? next : undefined })}
            onHidden={(next) => set({ hide: next.length ? next : undefined })}
          />
        </Group>
      }
    >
      {problem && <ProblemNotice error={problem} onRetry={() => query.refetch()} />}
      {query.isPending && <Skeleton height={240} role="status" aria-label="Loading the runs" />}
      {query.data && (
        <Stack gap="sm">
          <DataTable
            label="Runs of this study"
            columns={columns}
            rows={rows}
            sorted
            rowKey={(row) => row.key}
            heading={(row) => row.kind === 'group'}
            order={order}
            onOrder={(next) => set({ sort: next.key, down: next.down || undefined })}
            selected={run}
            onSelect={(row) => (row.kind === 'run' ? onSelect(row.run.id) : onOpen(row))}
            maxHeight={520}
          />
          <Group justify="space-between">
            <Text size="xs" c="dimmed" className="tabular">
              {inGroups && `${plural(inGroups.length, 'group')}, `}
              {integer(shown.length)} of {integer(job.runs)} runs shown
              {metrics.length > 0 &&
                `; numbers of ${subgroupTitle(subgroup)} on test rows${inGroups ? ', ± half of the 95 % Student t interval over seeds' : ''}`}
            </Text>
            <Selected job={job} select={select} onClear={() => set({ select: undefined })} />
          </Group>
        </Stack>
      )}
    </Panel>
  )
}

/** What can be done with the settings that are ticked. */
function Selected({ job, select, onClear }: { job: JobDetail; select: number[]; onClear: () => void }) {
  if (select.length === 0) return null
  return (
    <Group gap="xs" role="toolbar" aria-label="Selected settings">
      <Text size="xs" fw={500} role="status">
        {plural(select.length, 'setting')} selected
      </Text>
      <Button
        size="compact-xs"
        variant="default"
        leftSection={<IconChartDots3 size={13} aria-hidden />}
        renderRoot={(props) => <Link to="/explore" search={{ jobs: [job.id], select }} {...props} />}
      >
        Explore
      </Button>
      <Button
        size="compact-xs"
        variant="default"
        leftSection={<IconClipboardCheck size={13} aria-hidden />}
        disabled={select.length < 2 || select.length > 6}
        title={select.length < 2 || select.length > 6 ? 'A review compares 2 to 6 settings' : undefined}
        renderRoot={(props) => (
          <Link to="/reviews/new" search={{ jobs: [job.id], settings: select.map(String) }} {...props} />
        )}
      >
        Start a review
      </Button>
      <Button size="compact-xs" variant="subtle" onClick={onClear}>
        Clear
      </Button>
    </Group>
  )
}

interface GroupMenuProps {
  by: string[]
  offered: string[]
  onChoose: (by: string[] | undefined) => void
}

/** Nothing, the method, the method at each ε, or a parameter that was swept. */
function GroupMenu({ by, offered, onChoose }: GroupMenuProps) {
  const usual = ['', 'method', 'method,method.epsilon', 'method.epsilon']
  const names: Record<string, string> = {
    '': 'Not grouped',
    method: 'By method',
    'method,method.epsilon': 'By method and ε',
    'method.epsilon': 'By ε',
  }
  const swept = offered.flatMap((key) => [key, `method,${key}`])
  const chosen = by.join(',')
  const all = [...new Set([...usual, ...swept, chosen])]
  const name = (key: string) =>
    names[key] ??
    `By ${key
      .split(',')
      .map((part) => (part === 'method' ? 'method' : paramTitle(part)))
      .join(' and ')}`
  return (
    <NativeSelect
      size="xs"
      aria-label="Group runs"
      value={chosen}
      onChange={(event) =>
        onChoose(event.currentTarget.value ? event.currentTarget.value.split(',') : undefined)
      }
      data={all.map((key) => ({ value: key, label: name(key) }))}
    />
  )
}

interface ColumnMenuProps {
  metrics: { name: string; title: string }[]
  chosen: string[]
  columns: [string, string][]
  hidden: string[]
  onMetrics: (chosen: string[]) => void
  onHidden: (hidden: string[]) => void
}

/** Most metrics that the server answers at a time. */
const MOST = 12

function ColumnMenu({ metrics, chosen, columns, hidden, onMetrics, onHidden }: ColumnMenuProps) {
  const [typed, setTyped] = useState('')
  const flip = (list: string[], one: string) =>
    list.includes(one) ? list.filter((other) => other !== one) : [...list, one]
  const found = metrics.filter(({ name, title }) =>
    `${name} ${title}`.toLowerCase().includes(typed.toLowerCase()),
  )
  return (
    <Popover position="bottom-end" trapFocus returnFocus hideDetached={false}>
      <Popover.Target>
        <Button size="xs" variant="default" leftSection={<IconColumns size={13} aria-hidden />}>
          Columns
        </Button>
      </Popover.Target>
      <Popover.Dropdown aria-label="Columns of the run table">
        <Stack gap="xs" p="xs" w={280}>
          <TextInput
            size="xs"
            aria-label="Find a metric"
            placeholder="Find a metric"
            value={typed}
            onChange={(event) => setTyped(event.currentTarget.value)}
          />
          <ScrollArea.Autosize mah={240}>
            <Stack gap={6}>
              {found.map(({ name, title }) => (
                <Checkbox
                  key={name}
                  size="xs"
                  label={title}
                  checked={chosen.includes(name)}
                  disabled={!chosen.includes(name) && chosen.length >= MOST}
                  onChange={() => onMetrics(flip(chosen, name))}
                />
              ))}
            </Stack>
          </ScrollArea.Autosize>
          <Divider />
          <Stack gap={6}>
            {columns.map(([key, title]) => (
              <Checkbox
                key={key}
                size="xs"
                label={title}
                checked={!hidden.includes(key)}
                onChange={() => onHidden(flip(hidden, key))}
              />
            ))}
          </Stack>
        </Stack>
      </Popover.Dropdown>
    </Popover>
  )
}
