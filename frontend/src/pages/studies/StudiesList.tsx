import { Checkbox, Group, Text } from '@mantine/core'
import { useWindowVirtualizer } from '@tanstack/react-virtual'
import { useEffect, useLayoutEffect, useRef, useState } from 'react'
import type { Job } from '~/api'
import { ConfirmDelete } from '~/components/ConfirmDelete'
import { useDeleteJobs } from '~/data/mutations'
import { integer } from '~/lib/format'
import { BulkBar } from './BulkBar'
import classes from './StudiesList.module.css'
import { StudyRow } from './StudyRow'

const ROW_HEIGHT = 64

interface Props {
  jobs: Job[]
  total: number
  /** Asks for the studies that follow, where there are any. */
  onMore?: () => void
}

/** The list itself. Only rows in view are drawn, and more are asked for as the end comes near. */
export function StudiesList({ jobs, total, onMore }: Props) {
  const [ticked, setTicked] = useState<ReadonlySet<string>>(new Set())
  const [doomed, setDoomed] = useState<Job[]>([])
  const [top, setTop] = useState(0)
  const list = useRef<HTMLUListElement>(null)
  const clear = () => setTicked(new Set())
  const remove = useDeleteJobs(() => {
    setDoomed([])
    clear()
  })
  // What stands above the list changes with filters and with the bar.
  useLayoutEffect(() => setTop((list.current?.getBoundingClientRect().top ?? 0) + globalThis.scrollY))
  const rows = useWindowVirtualizer({
    count: jobs.length,
    estimateSize: () => ROW_HEIGHT,
    overscan: 8,
    scrollMargin: top,
    getItemKey: (place) => jobs[place]?.id ?? place,
    initialRect: { width: 1000, height: 800 },
  })
  const seen = rows.getVirtualItems()
  const last = seen.at(-1)?.index ?? 0
  useEffect(() => {
    if (onMore && last >= jobs.length - 20) onMore()
  }, [onMore, last, jobs.length])

  // A study that a filter hides is not acted on.
  const chosen = jobs.filter((job) => ticked.has(job.id))
  const tick = (id: string, on: boolean) => {
    const next = new Set(ticked)
    if (on) next.add(id)
    else next.delete(id)
    setTicked(next)
  }
  const all = chosen.length === jobs.length
  return (
    <>
      {chosen.length > 0 && <BulkBar jobs={chosen} onClear={clear} onDelete={() => setDoomed(chosen)} />}
      <div>
        <Group justify="space-between" className={classes.head}>
          <Checkbox
            size="xs"
            label={jobs.length < total ? `Select the ${integer(jobs.length)} loaded` : 'Select all'}
            checked={all}
            indeterminate={chosen.length > 0 && !all}
            onChange={() => (all ? clear() : setTicked(new Set(jobs.map((job) => job.id))))}
          />
          <Text size="xs" c="dimmed" className="tabular" role="status">
            {integer(total)} {total === 1 ? 'study' : 'studies'}
          </Text>
        </Group>
        <ul ref={list} className={classes.list} style={{ height: rows.getTotalSize() }}>
          {seen.map((item) => {
            const job = jobs[item.index]
            return job ? (
              <li
                key={item.key}
                ref={rows.measureElement}
                data-index={item.index}
                aria-posinset={item.index + 1}
                aria-setsize={total}
                className={classes.place}
                style={{ transform: `translateY(${item.start - top}px)` }}
              >
                <StudyRow
                  job={job}
                  ticked={ticked.has(job.id)}
                  onTick={(on) => tick(job.id, on)}
                  onDelete={() => setDoomed([job])}
                />
              </li>
            ) : null
          })}
        </ul>
      </div>
      <ConfirmDelete
        name={doomed[0]?.name ?? null}
        count={doomed.length}
        busy={remove.isPending}
        onClose={() => setDoomed([])}
        onConfirm={() => remove.mutate(doomed.map((job) => job.id))}
      />
    </>
  )
}
