import { Text, Title } from '@mantine/core'
import { useQuery } from '@tanstack/react-query'
import type { Catalogue, Plugin, RunDetail } from '~/api'
import { catalogueQuery } from '~/data/queries'
import { integer, words } from '~/lib/format'
import { type Fact, Facts } from './Facts'
import { paramFacts } from './paramFacts'
import { MetricTerm, Term } from './Term'

type Section = { key: string; title: string; facts: Fact[] }
type Part = RunDetail['setting']['method']

function sections(run: RunDetail, catalogue: Catalogue | undefined): Section[] {
  const { setting } = run
  const part = (kind: Plugin['kind'], label: string | null, { name, params }: Part): Section => {
    const plugin = catalogue?.plugins.find((one) => one.kind === kind && one.name === name)
    return {
      key: `${kind} ${name}`,
      title: [label, plugin?.title ?? words(name)].filter(Boolean).join(': '),
      facts: paramFacts(params, plugin?.params_schema),
    }
  }
  return [
    part('method', 'Method', setting.method),
    { key: 'training', title: 'Training', facts: paramFacts(setting.training, catalogue?.training_schema) },
    part('model', 'Model', setting.model),
    part('dataset', 'Data set', setting.dataset),
    ...roles(run, catalogue),
    ...setting.attacks.map((attack) => part('attack', null, attack)),
    {
      key: 'identity',
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

/** How many rows have which role; runs measured before roles were recorded have none. */
function roles(run: RunDetail, catalogue: Catalogue | undefined): Section[] {
  const known = catalogue?.metrics.filter((metric) => metric.family === 'roles') ?? []
  const facts = known.flatMap(({ name, title }) => {
    const value = run.measurements.find((one) => one.metric === name)?.value
    return value
      ? [{ key: name, name: <MetricTerm name={name}>{title}</MetricTerm>, value: integer(value) }]
      : []
  })
  return facts.length ? [{ key: 'roles', title: 'Rows by role, no row in two', facts }] : []
}

/** Everything that decides the run, by part, in the words of the catalogue. */
export function RunConfiguration({ run }: { run: RunDetail }) {
  const { data: catalogue } = useQuery(catalogueQuery)
  return (
    <div>
      {sections(run, catalogue).map(({ key, title, facts }) => (
        <section key={key} style={{ marginBottom: 14 }}>
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
