import { ActionIcon, Button, Menu, Tooltip } from '@mantine/core'
import {
  IconBraces,
  IconClipboardCheck,
  IconCopy,
  IconDots,
  IconFileTypeCsv,
  IconPlayerStop,
  IconRefresh,
  IconTrash,
} from '@tabler/icons-react'
import { Link, useNavigate } from '@tanstack/react-router'
import { useState } from 'react'
import type { JobDetail } from '~/api'
import { ConfirmDelete } from '~/components/ConfirmDelete'
import { ReportMenu } from '~/components/ReportMenu'
import { useCancelJob, useDeleteJob, useRetryJob } from '~/data/mutations'
import { isLive } from '~/data/queries'
import { measurementsCsv } from '~/lib/links'

/** Cancel or retry in view; the rest in a menu. */
export function StudyActions({ job }: { job: JobDetail }) {
  const navigate = useNavigate()
  const cancel = useCancelJob()
  const retry = useRetryJob()
  const [asking, setAsking] = useState(false)
  const remove = useDeleteJob(() => navigate({ to: '/studies' }))
  const live = isLive(job.status)
  const again = job.status === 'failed' || job.status === 'cancelled'
  return (
    <>
      {live && (
        <Button
          variant="default"
          leftSection={<IconPlayerStop size={15} aria-hidden />}
          loading={cancel.isPending}
          onClick={() => cancel.mutate(job.id)}
        >
          Cancel
        </Button>
      )}
      {again && (
        <Button
          leftSection={<IconRefresh size={15} aria-hidden />}
          loading={retry.isPending}
          onClick={() => retry.mutate(job.id)}
        >
          Retry
        </Button>
      )}
      <Button
        variant="default"
        leftSection={<IconCopy size={15} aria-hidden />}
        renderRoot={(props) => <Link to="/new" search={{ from: job.id }} {...props} />}
      >
        Duplicate and edit
      </Button>
      {job.finished > 0 && (
        <Button
          variant="default"
          leftSection={<IconClipboardCheck size={15} aria-hidden />}
          renderRoot={(props) => <Link to="/reviews/new" search={{ jobs: [job.id] }} {...props} />}
        >
          Start a review
        </Button>
      )}
      {job.finished > 0 && <ReportMenu jobs={[job.id]} />}
      <Menu position="bottom-end">
        <Menu.Target>
          <Tooltip label="Downloads and more">
            <ActionIcon variant="default" size={36} aria-label="Downloads and more">
              <IconDots size={17} />
            </ActionIcon>
          </Tooltip>
        </Menu.Target>
        <Menu.Dropdown>
          <Menu.Item
            leftSection={<IconFileTypeCsv size={15} />}
            component="a"
            href={measurementsCsv([job.id])}
            download
          >
            Measurements as CSV
          </Menu.Item>
          <Menu.Item
            leftSection={<IconBraces size={15} />}
            component="a"
            href={specUrl(job)}
            download={`equipoise-${job.id}.json`}
          >
            Specification as JSON
          </Menu.Item>
          <Menu.Divider />
          <Menu.Item
            leftSection={<IconTrash size={15} />}
            color="red"
            disabled={live}
            onClick={() => setAsking(true)}
          >
            {live ? 'Delete (cancel it first)' : 'Delete'}
          </Menu.Item>
        </Menu.Dropdown>
      </Menu>
      <ConfirmDelete
        name={asking ? job.name : null}
        busy={remove.isPending}
        onClose={() => setAsking(false)}
        onConfirm={() => remove.mutate(job.id)}
      />
    </>
  )
}

const specUrl = (job: JobDetail) =>
  `data:application/json;charset=utf-8,${encodeURIComponent(JSON.stringify(job.spec, null, 2))}`
