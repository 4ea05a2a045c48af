import { ActionIcon, Badge, Button, Group, Popover, Stack, TagsInput } from '@mantine/core'
import { useDisclosure } from '@mantine/hooks'
import { IconPlus, IconTag } from '@tabler/icons-react'
import { useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import type { Job } from '~/api'
import { useChangeJobs } from '~/data/mutations'
import { facetsQuery } from '~/data/queries'

/** Most tags of one study. */
const MOST = 20

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
  // Offered below the field: a list that opens over it would cover the button.
  const usual = (facets?.tag ?? [])
    .map((one) => one.value)
    .filter((tag) => !tags.includes(tag))
    .slice(0, tags.length < MOST ? 6 : 0)
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
        maxTags={MOST}
        acceptValueOnBlur
        data-autofocus
      />
      {usual.length > 0 && (
        <Group gap={6} aria-label="Tags of other studies" role="group">
          {usual.map((tag) => (
            <Button
              key={tag}
              size="compact-xs"
              variant="default"
              leftSection={<IconPlus size={12} aria-hidden />}
              aria-label={`Add ${tag}`}
              onClick={() => setTags([...tags, tag])}
            >
              {tag}
            </Button>
          ))}
        </Group>
      )}
      <Button size="xs" loading={change.isPending} onClick={save}>
        Save
      </Button>
    </Stack>
  )
}
