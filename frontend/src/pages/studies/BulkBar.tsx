import { Button, Group, Paper, Popover, Text, TextInput } from '@mantine/core'
import { useHotkeys } from '@mantine/hooks'
import { IconArchive, IconArchiveOff, IconChartDots3, IconTag, IconTrash, IconX } from '@tabler/icons-react'
import { Link } from '@tanstack/react-router'
import { type FormEvent, useState } from 'react'
import type { Job } from '~/api'
import { useChangeJobs } from '~/data/mutations'
import { isLive } from '~/data/queries'
import { plural } from '~/lib/format'

interface Props {
  jobs: Job[]
  onClear: () => void
  onDelete: () => void
}

/** What can be done with the studies that are ticked. Escape takes the ticks away. */
export function BulkBar({ jobs, onClear, onDelete }: Props) {
  const change = useChangeJobs()
  useHotkeys([['Escape', onClear]])
  const ids = jobs.map((job) => job.id)
  const live = jobs.some((job) => isLive(job.status))
  const archived = jobs.every((job) => job.archived_at)
  return (
    <Paper
      withBorder
      p="xs"
      role="toolbar"
      aria-label="Selected studies"
      style={{ position: 'sticky', top: 'calc(var(--app-shell-header-offset, 0rem) + 8px)', zIndex: 5 }}
    >
      <Group gap="xs">
        <Text size="sm" fw={500} role="status" mr="auto">
          {plural(jobs.length, 'study', 'studies')} selected
        </Text>
        <Button
          size="xs"
          leftSection={<IconChartDots3 size={14} aria-hidden />}
          renderRoot={(props) => <Link to="/explore" search={{ jobs: ids }} {...props} />}
        >
          {jobs.length > 1 ? 'Compare' : 'Explore'}
        </Button>
        <TagMenu jobs={jobs} />
        <Button
          size="xs"
          variant="default"
          leftSection={
            archived ? <IconArchiveOff size={14} aria-hidden /> : <IconArchive size={14} aria-hidden />
          }
          loading={change.isPending}
          onClick={() => change.mutate({ ids, archived: !archived }, { onSuccess: onClear })}
        >
          {archived ? 'Take out of the archive' : 'Archive'}
        </Button>
        <Button
          size="xs"
          variant="default"
          color="red"
          leftSection={<IconTrash size={14} aria-hidden />}
          disabled={live}
          title={live ? 'Some still run: cancel them first' : undefined}
          onClick={onDelete}
        >
          Delete
        </Button>
        <Button size="xs" variant="subtle" leftSection={<IconX size={14} aria-hidden />} onClick={onClear}>
          Clear
        </Button>
      </Group>
    </Paper>
  )
}

/** Adds a tag to all of them, or takes one away. */
function TagMenu({ jobs }: { jobs: Job[] }) {
  const [typed, setTyped] = useState('')
  const change = useChangeJobs()
  const ids = jobs.map((job) => job.id)
  const there = [...new Set(jobs.flatMap((job) => job.tags))].sort()
  const add = (event: FormEvent) => {
    event.preventDefault()
    const tag = typed.trim()
    if (tag) change.mutate({ ids, add_tags: [tag] }, { onSuccess: () => setTyped('') })
  }
  return (
    <Popover position="bottom-end" trapFocus returnFocus>
      <Popover.Target>
        <Button size="xs" variant="default" leftSection={<IconTag size={14} aria-hidden />}>
          Tags
        </Button>
      </Popover.Target>
      <Popover.Dropdown aria-label="Tags of the selected studies">
        <form onSubmit={add}>
          <Group gap={6} wrap="nowrap">
            <TextInput
              size="xs"
              aria-label="Tag to add"
              placeholder="Add a tag"
              maxLength={50}
              value={typed}
              onChange={(event) => setTyped(event.currentTarget.value)}
            />
            <Button size="xs" type="submit" loading={change.isPending} disabled={!typed.trim()}>
              Add
            </Button>
          </Group>
        </form>
        {there.length > 0 && (
          <Group gap={6} mt="xs" maw={280}>
            {there.map((tag) => (
              <Button
                key={tag}
                size="compact-xs"
                variant="default"
                rightSection={<IconX size={12} aria-hidden />}
                aria-label={`Take away ${tag}`}
                onClick={() => change.mutate({ ids, remove_tags: [tag] })}
              >
                {tag}
              </Button>
            ))}
          </Group>
        )}
      </Popover.Dropdown>
    </Popover>
  )
}
