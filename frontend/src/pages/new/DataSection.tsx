import { SimpleGrid, Stack } from '@mantine/core'
import type { Catalogue } from '~/api'
import { Panel } from '~/components/Panel'
import type { Params } from '~/data/types'
import { type Draft, pluginsOf } from '~/spec/draft'
import { PluginSelect } from './PluginSelect'
import { SchemaForm } from './SchemaForm'

interface Props {
  catalogue: Catalogue
  draft: Draft
  onChange: (part: Partial<Draft>) => void
}

/** What data, and what is trained on them. */
export function DataSection({ catalogue, draft, onChange }: Props) {
  const datasets = pluginsOf(catalogue, 'dataset')
  const models = pluginsOf(catalogue, 'model')
  const dataset = datasets.find((plugin) => plugin.name === draft.dataset.name)
  const model = models.find((plugin) => plugin.name === draft.model.name)
  const setDataset = (params: Params) => onChange({ dataset: { ...draft.dataset, params } })
  const setModel = (params: Params) => onChange({ model: { ...draft.model, params } })
  return (
    <Panel title="What data">
      <SimpleGrid cols={{ base: 1, sm: 2 }} spacing="xl" verticalSpacing="lg">
        <Stack gap="sm">
          <PluginSelect
            label="Data set"
            path="dataset.name"
            plugins={datasets}
            value={draft.dataset.name}
            onChange={(name) => onChange({ dataset: { name, subgroups: attributesOf(catalogue, name) } })}
          />
          {dataset && (
            <SchemaForm
              schema={dataset.params_schema}
              path="dataset.params"
              params={draft.dataset.params}
              onChange={setDataset}
              columns={1}
            />
          )}
        </Stack>
        <Stack gap="sm">
          <PluginSelect
            label="Model"
            path="model.name"
            plugins={models}
            value={draft.model.name}
            onChange={(name) => onChange({ model: { name } })}
          />
          {model && (
            <SchemaForm
              schema={model.params_schema}
              path="model.params"
              params={draft.model.params}
              onChange={setModel}
              columns={1}
            />
          )}
        </Stack>
      </SimpleGrid>
    </Panel>
  )
}

/** The first two attributes of a data set: subgroups to begin with. */
function attributesOf(catalogue: Catalogue, name: string): string[] {
  const plugin = catalogue.plugins.find((one) => one.kind === 'dataset' && one.name === name)
  return plugin?.dataset?.attributes?.slice(0, 2).map((attribute) => attribute.name) ?? []
}
