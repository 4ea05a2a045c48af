import { ActionIcon, Badge, Checkbox, Group, Menu, Text } from '@mantine/core'
import {
  IconArchive,
  IconArchiveOff,
  IconCopy,
  IconDots,
  IconPlayerStop,
  IconRefresh,
  IconTrash,
} from '@tabler/icons-react'
import { useQuery } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import type { Job } from '~/api'
import { JobProgress } from '~/components/JobProgress'
import { StatusBadge } from '~/components/StatusBadge'
import { useCancelJob, useChangeJobs, useRetryJob } from '~/data/mutations'
import { catalogueQuery, isLive } from '~/data/queries'
import { ago, moment, words } from '~/lib/format'
import classes from './StudiesList.module.css'
import { TagEditor } from './TagEditor'

interface Props {
  job: Job
  ticked: boolean
  onTick: (on: boolean) => void
  onDelete: () => void
}

/** One study: name, what it compares, how far it is. */
export function StudyRow({ job, ticked, onTick, onDelete }: Props) {
  const { data } = useQuery(catalogueQuery)
  const title = (kind: string, name: string) =>
    data?.plugins.find((plugin) => plugin.kind === kind && plugin.name === name)?.title ?? words(name)
  const methods = [...new Set(job.methods)].map((name) => title('method', name)).join(', ')
  return (
    <div className={classes.row} data-ticked={ticked || undefined}>
      <Checkbox
        size="xs"
        className={classes.tick}
        aria-label={`Select ${job.name}`}
        checked={ticked}
        onChange={(event) => onTick(event.currentTarget.checked)}
      />
      <div className={classes.what}>
        <Group gap={8} wrap="wrap">
          <Link to="/studies/$id" params={{ id: job.id }} className={classes.name}>
            {job.name}
          </Link>
          {job.archived_at && (
            <Badge size="xs" variant="light" color="gray" radius="sm" tt="none" fw={500}>
              archived
            </Badge>
          )}
          <TagEditor job={job} />
        </Group>
        <Text size="xs" c="dimmed" truncate="end">
          {title('dataset', job.dataset)} · {methods}
        </Text>
      </div>
      <div className={classes.status}>
        <StatusBadge status={job.status} />
      </div>
      <div className={classes.progress}>
        <JobProgress job={job} compact />
      </div>
      <Text size="xs" c="dimmed" className={classes.when} title={moment(job.created_at)}>
        {ago(job.created_at)}
      </Text>
      <RowMenu job={job} onDelete={onDelete} />
    </div>
  )
}

function RowMenu({ job, onDelete }: { job: Job; onDelete: () => void }) {
  const cancel = useCancelJob()
  const retry = useRetryJob()
  const change = useChangeJobs()
  return (
    <Menu position="bottom-end" withinPortal>
      <Menu.Target>
        <ActionIcon
          variant="subtle"
          color="gray"
          className={classes.menu}
          aria-label={`Actions for ${job.name}`}
          loading={cancel.isPending || retry.isPending}
        >
          <IconDots size={17} />
        </ActionIcon>
      </Menu.Target>
      <Menu.Dropdown>
        {isLive(job.status) && (
          <Menu.Item leftSection={<IconPlayerStop size={15} />} onClick={() => cancel.mutate(job.id)}>
            Cancel
          </Menu.Item>
        )}
        {(job.status === 'failed' || job.status === 'cancelled') && (
          <Menu.Item leftSection={<IconRefresh size={15} />} onClick={() => retry.mutate(job.id)}>
            Retry
          </Menu.Item>
        )}
        <Menu.Item
          leftSection={<IconCopy size={15} />}
          renderRoot={(props) => <Link to="/new" search={{ from: job.id }} {...props} />}
        >
          Duplicate and edit
        </Menu.Item>
        <Menu.Item
          leftSection={job.archived_at ? <IconArchiveOff size={15} /> : <IconArchive size={15} />}
          onClick={() => change.mutate({ ids: [job.id], archived: !job.archived_at })}
        >
          {job.archived_at ? 'Take out of the archive' : 'Archive'}
        </Menu.Item>
        <Menu.Divider />
        <Menu.Item
          leftSection={<IconTrash size={15} />}
          color="red"
          disabled={isLive(job.status)}
          onClick={onDelete}
        >
          {isLive(job.status) ? 'Delete (cancel it first)' : 'Delete'}
        </Menu.Item>
      </Menu.Dropdown>
    </Menu>
  )
}
