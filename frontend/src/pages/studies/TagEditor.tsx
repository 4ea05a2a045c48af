import { ActionIcon, Badge, Button, Group, Popover, Stack, TagsInput } from '@mantine/core'
import { useDisclosure } from '@mantine/hooks'
import { IconTag } from '@tabler/icons-react'
import { useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import type { Job } from '~/api'
import { useChangeJobs } from '~/data/mutations'
import { facetsQuery } from '~/data/queries'

/** A study's tags, and a small form to change them where they stand. */
export function TagEditor({ job }: { job: Job }) {
  const [open, { toggle, close }] = useDisclosure(false)
  return (
    <Group gap={6} wrap="wrap" component="span" style={{ display: 'inline-flex' }}>
      {job.tags.map((tag) => (
        <Badge key={tag} size="xs" variant="default" radius="sm" tt="none" fw={500}>
          {tag}
        </Badge>
      ))}
      <Popover
        opened={open}
        onChange={(next) => !next && close()}
        position="bottom-start"
        trapFocus
        returnFocus
        withArrow
      >
        <Popover.Target>
          <ActionIcon
            size={24}
            variant="subtle"
            color="gray"
            aria-label={`Tags of ${job.name}`}
            onClick={toggle}
          >
            <IconTag size={14} stroke={1.7} aria-hidden />
          </ActionIcon>
        </Popover.Target>
        <Popover.Dropdown>{open && <TagForm job={job} onDone={close} />}</Popover.Dropdown>
      </Popover>
    </Group>
  )
}

function TagForm({ job, onDone }: { job: Job; onDone: () => void }) {
  const { data: facets } = useQuery(facetsQuery)
  const [tags, setTags] = useState(job.tags)
  const change = useChangeJobs(onDone)
  const save = () =>
    change.mutate({
      ids: [job.id],
      add_tags: tags.filter((tag) => !job.tags.includes(tag)),
      remove_tags: job.tags.filter((tag) => !tags.includes(tag)),
    })
  return (
    <Stack gap="xs" w={260}>
      <TagsInput
        label="Tags"
        description="Enter adds one"
        value={tags}
        onChange={setTags}
        data={facets?.tag.map((one) => one.value) ?? []}
        maxTags={20}
        comboboxProps={{ withinPortal: false }}
        acceptValueOnBlur
        data-autofocus
      />
      <Button size="xs" loading={change.isPending} onClick={save}>
        Save
      </Button>
    </Stack>
  )
}
