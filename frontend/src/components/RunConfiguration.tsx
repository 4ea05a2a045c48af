import { Text, Title } from '@mantine/core'
import type { RunDetail } from '~/api'
import { paramValue, words } from '~/lib/format'
import { type Fact, Facts } from './Facts'
import { Term } from './Term'

type Section = { title: string; facts: Fact[] }

function paramFacts(params: Record<string, unknown>): Fact[] {
  return Object.entries(params).map(([key, value]) => ({ key, name: words(key), value: paramValue(value) }))
}

function sections(run: RunDetail): Section[] {
  const { setting } = run
  return [
    { title: `Method: ${setting.method.name}`, facts: paramFacts(setting.method.params) },
    { title: 'Training', facts: paramFacts(setting.training) },
    { title: `Model: ${setting.model.name}`, facts: paramFacts(setting.model.params) },
    { title: `Data set: ${setting.dataset.name}`, facts: paramFacts(setting.dataset.params) },
    {
      title: 'Attacks',
      facts: setting.attacks.map((attack) => ({
        key: attack.name,
        name: words(attack.name),
        value: Object.keys(attack.params).length ? paramValue(attack.params) : 'defaults',
      })),
    },
    {
      title: 'Identity',
      facts: [
        { key: 'hash', name: 'Configuration hash', value: <code>{run.config_hash}</code> },
        {
          key: 'data',
          name: <Term name="data_hash">Data hash</Term>,
          value: <code>{setting.data_hash ?? 'none'}</code>,
        },
        { key: 'engine', name: <Term name="engine">Engine</Term>, value: run.engine || 'not recorded' },
        { key: 'code', name: 'Code version', value: <code>{setting.engine_version}</code> },
      ],
    },
  ]
}

/** Everything that decides the run, by part. */
export function RunConfiguration({ run }: { run: RunDetail }) {
  return (
    <div>
      {sections(run).map(({ title, facts }) => (
        <section key={title} style={{ marginBottom: 14 }}>
          <Title order={3} mb={2}>
            {title}
          </Title>
          {facts.length ? (
            <Facts facts={facts} />
          ) : (
            <Text size="sm" c="dimmed">
              No parameters
            </Text>
          )}
        </section>
      ))}
    </div>
  )
}
