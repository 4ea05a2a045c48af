import { Group, Skeleton, Stack } from '@mantine/core'

/** A page's shape while its code or data is on the way. */
export function PageSkeleton() {
  return (
    <Stack gap="lg" aria-busy aria-label="Loading the page">
      <Group justify="space-between">
        <Skeleton height={26} width={260} />
        <Skeleton height={34} width={120} />
      </Group>
      <Skeleton height={14} width="55%" />
      <Skeleton height={380} />
      <Skeleton height={160} />
    </Stack>
  )
}
