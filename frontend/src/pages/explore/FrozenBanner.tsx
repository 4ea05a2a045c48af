import { Alert, Button, Group, Text } from '@mantine/core'
import { useQuery } from '@tanstack/react-query'
import { linkQuery } from '~/data/queries'
import { moment, plural } from '~/lib/format'

interface Props {
  asOf: string
  link: string | undefined
  onThaw: () => void
}

/** That results are drawn as they were, and how many there are since. */
export function FrozenBanner({ asOf, link, onThaw }: Props) {
  const { data } = useQuery({ ...linkQuery(link ?? ''), enabled: link !== undefined })
  const newer = data?.newer ? ` ${plural(data.newer, 'run')} finished since.` : ''
  return (
    <Alert variant="light" color="gray" mb="md" role="note">
      <Group justify="space-between" gap="sm">
        <Text size="sm">
          Results as of {moment(asOf)}
          {data?.person ? `, kept by ${data.person}` : ''}.{newer}
        </Text>
        <Button size="xs" variant="default" onClick={onThaw}>
          Show current results
        </Button>
      </Group>
    </Alert>
  )
}
