import { Text, Title } from '@mantine/core'
import { useQuery } from '@tanstack/react-query'
import type { Delivery } from '~/api'
import { type Column, DataTable } from '~/components/DataTable'
import { ProblemNotice } from '~/components/ProblemNotice'
import { StateDot, type Tone } from '~/components/StateDot'
import { deliveriesQuery } from '~/data/queries'
import { ago, moment, plural } from '~/lib/format'

const WORDS: Record<Delivery['state'], string> = {
  waiting: 'waiting',
  delivered: 'arrived',
  given_up: 'given up',
}

const tone = (one: Delivery): Tone =>
  one.state === 'given_up' ? 'alarm' : one.state === 'delivered' ? 'good' : one.error ? 'caution' : 'unknown'

const COLUMNS: Column<Delivery>[] = [
  { key: 'state', title: 'State', cell: (one) => <StateDot tone={tone(one)}>{WORDS[one.state]}</StateDot> },
  { key: 'channel', title: 'By', cell: (one) => (one.channel === 'email' ? 'mail' : one.channel) },
  { key: 'target', title: 'To', cell: (one) => one.target },
  { key: 'attempts', title: 'Attempts', numeric: true, cell: (one) => one.attempts },
  { key: 'error', title: 'Why the last one failed', wrap: true, cell: (one) => one.error ?? '–' },
  {
    key: 'next',
    title: 'Next attempt',
    cell: (one) => (one.next_at ? moment(one.next_at) : '–'),
  },
  {
    key: 'made',
    title: 'Made',
    cell: (one) => <time title={moment(one.created_at)}>{ago(one.created_at)}</time>,
  },
]

/** What leaves the server by webhook and mail, and what could not. */
export function DeliveriesSection() {
  const { data, error, refetch } = useQuery(deliveriesQuery)
  const channels = [
    data?.webhooks.length ? plural(data.webhooks.length, 'webhook') : null,
    data?.mail ? 'mail' : null,
  ].filter(Boolean)
  return (
    <section aria-labelledby="deliveries" style={{ marginTop: 32 }}>
      <Title order={2} id="deliveries">
        Notifications that leave this server
      </Title>
      {error && !data && <ProblemNotice error={error} onRetry={() => refetch()} />}
      {data && (
        <Text size="sm" c="dimmed" mt={4} mb="sm">
          {channels.length
            ? `Set up: ${channels.join(' and ')}. `
            : 'No webhook and no mail server is set up: notifications stay in the page (docs/notifications.md says how). '}
          {data.failing > 0 && `${plural(data.failing, 'delivery', 'deliveries')} of the last day failed.`}
        </Text>
      )}
      {data && data.items.length > 0 && (
        <DataTable
          label="Webhooks and mail"
          columns={COLUMNS}
          rows={data.items}
          rowKey={(one) => String(one.id)}
          maxHeight={420}
        />
      )}
    </section>
  )
}
