import { Button } from '@mantine/core'
import { notifications } from '@mantine/notifications'
import { IconLink } from '@tabler/icons-react'
import { useMutation } from '@tanstack/react-query'
import { problemOf } from '~/data/http'
import { keepLink } from '~/data/mutations'
import { parseSearch, stringifySearch } from '~/lib/search'
import type { ExploreView } from '~/lib/views'

/** The whole view under a short address, with the results as they are now. */
export function ShortLinkButton({ view }: { view: ExploreView }) {
  const { mutate, isPending } = useMutation({
    mutationFn: () => {
      const { asOf: _, link: __, ...rest } = view
      const search = parseSearch(stringifySearch({ ...rest }))
      return keepLink('/explore', search as Record<string, string>)
    },
    onSuccess: async ({ id }) => {
      const address = `${window.location.origin}/l/${id}`
      const copied = await navigator.clipboard?.writeText(address).then(
        () => true,
        () => false,
      )
      notifications.show({
        title: copied ? 'Short link copied' : 'Short link',
        message: `${address} shows this view with the results as they are now.`,
        autoClose: copied ? 6_000 : false,
      })
    },
    onError: (error) =>
      notifications.show({ title: 'The link was not made', message: problemOf(error).detail, color: 'red' }),
  })
  return (
    <Button
      variant="default"
      loading={isPending}
      leftSection={<IconLink size={15} stroke={1.7} aria-hidden />}
      onClick={() => mutate()}
    >
      Short link
    </Button>
  )
}
