/** Small stand-ins for what the server answers. */
import type { Catalogue, Figure, Job, MetricInfo, Plugin, Preset, Run } from '~/api'

const schema = (properties: Record<string, unknown>) => ({ type: 'object', properties })

export const epsilonSchema = schema({
  epsilon: {
    type: 'number',
    title: 'Epsilon',
    description: 'Privacy budget.',
    exclusiveMinimum: 0,
    maximum: 1000,
    default: 2,
    sweepable: true,
  },
  delta: {
    anyOf: [{ type: 'number', exclusiveMinimum: 0, exclusiveMaximum: 1 }, { type: 'null' }],
    title: 'Delta',
    default: null,
    advanced: true,
  },
})

export const plugin = (kind: Plugin['kind'], name: string, more: Partial<Plugin> = {}): Plugin => ({
  kind,
  name,
  title: name,
  summary: `About ${name}.`,
  version: '1',
  params_schema: schema({}),
  ...more,
})

export const metrics: MetricInfo[] = [
  {
    name: 'epsilon',
    title: 'Privacy budget',
    explanation: 'Bounds what a model reveals.',
    family: 'privacy',
    higher_is_better: false,
    kind: 'privacy',
    per_subgroup: false,
  },
  {
    name: 'loss_gap',
    title: 'Loss gap between groups',
    explanation: 'Largest minus smallest loss.',
    family: 'core',
    higher_is_better: false,
    kind: 'fairness',
    per_subgroup: false,
  },
  {
    name: 'loss',
    title: 'Loss',
    explanation: 'Mean cross-entropy.',
    family: 'core',
    higher_is_better: false,
    kind: 'utility',
    per_subgroup: true,
  },
]

export const catalogue: Catalogue = {
  version: 'v',
  engine_version: 'e',
  training_schema: schema({ epochs: { type: 'integer', title: 'Epochs', minimum: 1, default: 10 } }),
  plugins: [
    plugin('dataset', 'faces', {
      dataset: { available: false, unavailable_because: 'Put the files there.' },
    }),
    plugin('dataset', 'adult', {
      dataset: {
        attributes: [
          { name: 'sex', title: 'Sex', values: ['Female', 'Male'] },
          { name: 'race', title: 'Race', values: ['Black', 'White'] },
          { name: 'age_band', title: 'Age band', values: ['young', 'old'] },
        ],
      },
    }),
    plugin('model', 'mlp'),
    plugin('method', 'sgd', { title: 'SGD' }),
    plugin('method', 'dp_sgd', { title: 'DP-SGD', params_schema: epsilonSchema, method: { private: true } }),
    plugin('attack', 'loss_threshold'),
    plugin('attack', 'lira'),
  ],
  metrics,
}

export const preset: Preset = {
  name: 'quickstart',
  title: 'Quickstart',
  question: 'What does privacy cost?',
  citation: 'Adult',
  spec: {
    name: 'Quickstart',
    dataset: { name: 'adult', subgroups: ['sex', ['sex', 'race']] },
    model: { name: 'mlp' },
    methods: [{ name: 'sgd' }, { name: 'dp_sgd', params: { epsilon: [1, 2] } }],
    preset: 'quickstart',
  },
}

export const job = (more: Partial<Job> = {}): Job => ({
  id: 'j1',
  name: 'A study',
  status: 'running',
  created_at: '2026-01-01T00:00:00Z',
  started_at: '2026-01-01T00:00:10Z',
  finished_at: null,
  runs: 240,
  finished: 45,
  reused: 0,
  attempt: 1,
  progress: { phase: 'training', message: 'Training 46 of 240', done: 45, total: 240, seconds_left: 25 },
  dataset: 'adult',
  model: 'mlp',
  methods: ['sgd'],
  tags: [],
  priority: 0,
  preset: null,
  ...more,
})

export const figure = (more: Partial<Figure> = {}): Figure => ({
  name: 'tradeoff',
  title: 'A finding',
  caption: 'n = 10',
  figure: { data: [], layout: {} },
  columns: [{ title: 'Method', numeric: false }],
  rows: [['DP-SGD']],
  empty: null,
  ...more,
})

export const run = (more: Partial<Run> = {}): Run => ({
  id: '00000000000000000001',
  status: 'succeeded',
  method: 'dp_sgd',
  setting_id: 1,
  seed: 0,
  epsilon: 1,
  params: {},
  engine: 'opacus',
  wall_seconds: 1.5,
  degenerate: false,
  message: null,
  finished_at: null,
  ...more,
})
