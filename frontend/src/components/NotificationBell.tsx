import { ActionIcon, Button, Group, Indicator, Popover, Stack, Text, TextInput } from '@mantine/core'
import { useDisclosure, useLocalStorage } from '@mantine/hooks'
import { IconBell } from '@tabler/icons-react'
import { useQuery } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { type FormEvent, useState } from 'react'
import type { Notification } from '~/api'
import { problemOf } from '~/data/http'
import { useMailAddress, useSeeNotifications } from '~/data/mutations'
import { usePerson } from '~/data/person'
import { deliveriesQuery, mailQuery, notificationsQuery } from '~/data/queries'
import { ago, moment } from '~/lib/format'
import classes from './NotificationBell.module.css'
import { ProblemNotice } from './ProblemNotice'

/** What happened that concerns whoever looks, newest first, and how much of it is new. */
export function NotificationBell() {
  const name = usePerson()
  // Who has no name here has seen what this browser has shown.
  const [shown, setShown] = useLocalStorage({ key: 'equipoise-seen', defaultValue: 0 })
  const { data, error, refetch } = useQuery(notificationsQuery(name, shown))
  const see = useSeeNotifications()
  const [open, { toggle, close }] = useDisclosure(false)
  const unseen = data?.unseen ?? 0
  const markSeen = () => {
    const newest = data?.newest ?? 0
    setShown(newest)
    if (name) see.mutate(newest)
  }
  const label = unseen ? `Notifications, ${unseen} new` : 'Notifications'
  return (
    <Popover
      opened={open}
      onChange={(next) => !next && close()}
      position="right-end"
      width="min(380px, calc(100vw - 24px))"
      withArrow
      trapFocus
      returnFocus
    >
      <Indicator
        label={unseen > 99 ? '99+' : unseen}
        disabled={unseen === 0}
        size={16}
        offset={4}
        color="red.9"
        inline
      >
        <Popover.Target>
          <ActionIcon variant="subtle" color="gray" size={32} aria-label={label} onClick={toggle}>
            <IconBell size={17} stroke={1.7} aria-hidden />
          </ActionIcon>
        </Popover.Target>
      </Indicator>
      <Popover.Dropdown className={classes.dropdown} aria-label="Notifications">
        <Group justify="space-between" mb="xs">
          <Text fw={600} size="sm">
            Notifications
          </Text>
          <Button size="compact-xs" variant="subtle" disabled={unseen === 0} onClick={markSeen}>
            Mark all as seen
          </Button>
        </Group>
        {error && !data && <ProblemNotice error={error} onRetry={() => refetch()} />}
        {data?.items.length === 0 && (
          <Text size="sm" c="dimmed">
            Nothing yet. A study that ends is told here, and a review that needs you.
          </Text>
        )}
        <ul className={classes.list}>
          {data?.items.map((one) => (
            <Entry key={one.id} one={one} onFollow={close} />
          ))}
        </ul>
        <MailAddress name={name} />
      </Popover.Dropdown>
    </Popover>
  )
}

function Entry({ one, onFollow }: { one: Notification; onFollow: () => void }) {
  return (
    <li className={classes.entry} data-new={!one.seen || undefined} data-kind={one.kind}>
      <Link to={one.path} onClick={onFollow} className={classes.link}>
        {!one.seen && <span className={classes.new}>New: </span>}
        {one.text}
      </Link>
      <Text size="xs" c="dimmed" title={moment(one.created_at)}>
        {ago(one.created_at)}
      </Text>
    </li>
  )
}

/** Where mail to this person goes; only where the server sends any. */
function MailAddress({ name }: { name: string | null }) {
  const { data } = useQuery(deliveriesQuery)
  const { data: known = '' } = useQuery({ ...mailQuery(name), enabled: Boolean(data?.mail && name) })
  const [changed, setTyped] = useState<string | null>(null)
  const typed = changed ?? known
  const save = useMailAddress()
  if (!data?.mail) return null
  if (!name)
    return (
      <Text size="xs" c="dimmed" mt="sm">
        Say who you are, and this server can send you mail.
      </Text>
    )
  const submit = (event: FormEvent) => {
    event.preventDefault()
    save.mutate(typed.trim() || null)
  }
  return (
    <form onSubmit={submit}>
      <Stack gap={6} mt="sm">
        <TextInput
          size="xs"
          type="email"
          label="Mail for me"
          description="Where what concerns you is sent. Empty: no mail."
          value={typed}
          maxLength={254}
          error={save.error ? problemOf(save.error).detail : undefined}
          onChange={(event) => setTyped(event.currentTarget.value)}
        />
        <Button type="submit" size="compact-xs" variant="default" loading={save.isPending}>
          {save.isSuccess ? 'Saved' : 'Save'}
        </Button>
      </Stack>
    </form>
  )
}
