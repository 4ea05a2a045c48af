import { Button, Group, SimpleGrid, Text, Title } from '@mantine/core'
import { Link } from '@tanstack/react-router'
import type { Plugin } from '~/api'
import { type Fact, Facts } from '~/components/Facts'
import { Panel } from '~/components/Panel'
import { StateDot } from '~/components/StateDot'
import { Term } from '~/components/Term'
import { integer } from '~/lib/format'

function factsOf(plugin: Plugin): Fact[] {
  const known = plugin.dataset
  if (!known) return []
  const hash = known.data_hash
  const facts: (Fact | false)[] = [
    { key: 'rows', name: 'Rows', value: integer(known.rows) },
    known.train_rows != null && { key: 'train', name: 'Rows trained on', value: integer(known.train_rows) },
    {
      key: 'task',
      name: 'Task',
      value: `${known.task ?? 'binary'}${known.target ? `: ${known.target}` : ''}`,
    },
    known.licence !== '' && { key: 'licence', name: 'Licence', value: known.licence },
    known.source !== '' && { key: 'source', name: 'Source', value: <Source text={known.source ?? ''} /> },
    hash != null && {
      key: 'hash',
      name: <Term name="data_hash">Data hash</Term>,
      value: <code title={hash}>{hash.slice(0, 16)}…</code>,
    },
  ]
  return facts.filter((fact): fact is Fact => fact !== false)
}

function Source({ text }: { text: string }) {
  return /^https?:\/\/\S+$/.test(text) ? (
    <a href={text} rel="noreferrer" target="_blank">
      {text}
    </a>
  ) : (
    text
  )
}

/** One data set: where it comes from, and the groups in it. */
export function DatasetCard({ plugin }: { plugin: Plugin }) {
  const available = plugin.dataset?.available !== false
  const attributes = plugin.dataset?.attributes ?? []
  return (
    <Panel
      title={plugin.title}
      aside={
        <StateDot tone={available ? 'good' : 'caution'}>{available ? 'available' : 'not available'}</StateDot>
      }
    >
      <Text size="sm" maw={720}>
        {plugin.summary} {plugin.citation}
      </Text>
      {!available && (
        <Text size="sm" mt="xs" c="var(--eq-caution)" maw={720}>
          {plugin.dataset?.unavailable_because}
        </Text>
      )}
      <SimpleGrid cols={{ base: 1, sm: 2 }} spacing="xl" mt="md">
        <Facts facts={factsOf(plugin)} />
        {attributes.length > 0 && (
          <div>
            <Title order={3} mb={6}>
              Sensitive attributes
            </Title>
            {attributes.map((attribute) => (
              <div key={attribute.name} style={{ marginBottom: 10 }}>
                <Text size="sm" fw={500}>
                  {attribute.title}
                </Text>
                <Text size="sm" c="dimmed">
                  {attribute.values.join(', ')}
                </Text>
              </div>
            ))}
          </div>
        )}
      </SimpleGrid>
      {available && (
        <Group mt="sm">
          <Button size="xs" variant="default" renderRoot={(props) => <Link to="/new" {...props} />}>
            Write a study
          </Button>
        </Group>
      )}
    </Panel>
  )
}
