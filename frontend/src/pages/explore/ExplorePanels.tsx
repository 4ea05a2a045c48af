import { MultiSelect, SegmentedControl, Select, Tabs } from '@mantine/core'
import { useQuery } from '@tanstack/react-query'
import type { AxisMenu, JobDetail } from '~/api'
import { AttackMenu, useAttacksWithCurves } from '~/charts/AttackMenu'
import { BudgetMenu, MetricMenu, SubgroupMenu } from '~/charts/AxisMenus'
import { FigureCard } from '~/charts/FigureCard'
import { PartitionMenu } from '~/charts/PartitionMenu'
import { Explained } from '~/components/Term'
import { catalogueQuery } from '~/data/queries'
import type { FigureRequest } from '~/data/types'
import { among, knownMetric } from '~/lib/axes'
import { axisOptions } from '~/lib/axisMenu'
import { glossary } from '~/lib/glossary'
import { historyTerm, historyTitle } from '~/lib/history'
import type { Chosen } from '~/lib/selection'
import { partitionsOf, subgroupMenu } from '~/lib/subgroups'
import type { ExplorePanel, ExploreView } from '~/lib/views'

const TITLES: Record<ExplorePanel, string> = {
  subgroups: 'Subgroups',
  intersections: 'Intersections',
  parallel: 'Parallel coordinates',
  audit: 'Claimed and audited ε',
  roc: 'Attacks',
  history: 'Training',
}
const ORDER = Object.keys(TITLES) as ExplorePanel[]
const QUANTITIES = [
  'validation_loss',
  'train_loss',
  'validation_accuracy',
  'threshold',
  'share_clipped',
  'gradient_kept',
]

interface Props {
  jobs: string[]
  details: readonly JobDetail[]
  known: AxisMenu | undefined
  view: ExploreView
  axes: { x: string; y: string; split: string }
  growing: boolean
  chosen: Chosen
  onChoose: (chosen: Set<number>) => void
  onChange: (part: ExploreView) => void
}

/** The same runs looked at in another way; only what is open is asked for. */
export function ExplorePanels(props: Props) {
  const { view, onChange } = props
  const open = view.panel ?? 'subgroups'
  return (
    <Tabs
      value={open}
      keepMounted={false}
      mt="lg"
      onChange={(next) => onChange({ panel: next === 'subgroups' ? undefined : (next as ExplorePanel) })}
    >
      <Tabs.List aria-label="Other views of the same runs" mb="sm">
        {ORDER.map((name) => (
          <Tabs.Tab key={name} value={name}>
            {TITLES[name]}
          </Tabs.Tab>
        ))}
      </Tabs.List>
      <Tabs.Panel value={open}>
        <OpenPanel {...props} open={open} />
      </Tabs.Panel>
    </Tabs>
  )
}

function OpenPanel(props: Props & { open: ExplorePanel }) {
  const { open, jobs, details, known, view, axes, growing, chosen, onChoose, onChange } = props
  const { data } = useQuery(catalogueQuery)
  const metrics = data?.metrics ?? []
  const attacks = useAttacksWithCurves([
    ...new Set(details.flatMap((job) => (job.spec.evaluation?.attacks ?? []).map((one) => one.name))),
  ])
  const budgets = known?.epsilons ?? []
  const epsilon = among(view.at, budgets)
  const partitions = partitionsOf(details)
  const base: FigureRequest = {
    job_id: jobs,
    as_of: view.asOf,
    choose: view.choose,
    split: axes.split as 'test',
  }
  const common = { growing, ready: data !== undefined && known !== undefined, chosen, onChoose }
  const metric = knownMetric(view.metric, metrics, 'loss')
  const budget = epsilon !== undefined && (
    <BudgetMenu value={epsilon} budgets={budgets} onChange={(at) => onChange({ at })} />
  )
  const metricChoice = (
    <MetricMenu label="Metric" value={metric} perSubgroup onChange={(next) => onChange({ metric: next })} />
  )
  if (open === 'parallel') {
    const usual = ['epsilon', axes.y, 'loss', 'accuracy'].filter(
      (one, place, all) => all.indexOf(one) === place,
    )
    const across = view.metrics ?? usual
    return (
      <FigureCard
        {...common}
        name="parallel"
        label="Parallel coordinates"
        request={{ ...base, metrics: across }}
        controls={
          <MultiSelect
            size="xs"
            label="Axes, from left to right"
            description="Drag along an axis to select the settings that pass through."
            w="100%"
            maxValues={12}
            data={axisOptions(known, undefined)}
            value={across}
            searchable
            hidePickedOptions
            onChange={(next) => onChange({ metrics: next.length ? next : undefined })}
          />
        }
      />
    )
  }
  if (open === 'subgroups')
    return (
      <FigureCard
        {...common}
        name="subgroups"
        label="Subgroups"
        request={{ ...base, metric, epsilon, order: view.order }}
        controls={
          <>
            {metricChoice}
            {budget}
            <SegmentedControl
              size="xs"
              aria-label="Order of the subgroups"
              data={[
                { value: 'value', label: 'Worst first' },
                { value: 'gap', label: 'Furthest from everybody first' },
              ]}
              value={view.order ?? 'value'}
              onChange={(next) => onChange({ order: next === 'gap' ? 'gap' : undefined })}
            />
          </>
        }
      />
    )
  if (open === 'intersections') {
    const pairs = partitions.filter((one) => one.includes(' & '))
    const methods = known?.methods ?? []
    const method = among(view.method, methods)
    const title = (name: string) =>
      data?.plugins.find((one) => one.kind === 'method' && one.name === name)?.title ?? name
    const alone = chosen.size === 1 ? [...chosen][0] : undefined
    return (
      <FigureCard
        {...common}
        name="intersections"
        label="Intersections"
        request={{
          ...base,
          metric,
          epsilon,
          subgroup: among(view.subgroup, pairs),
          ...(alone === undefined ? { method } : { setting: alone }),
        }}
        controls={
          <>
            {metricChoice}
            {alone === undefined && methods.length > 1 && (
              <Select
                size="xs"
                w={{ base: '100%', sm: 200 }}
                label="Method"
                data={methods.map((name) => ({ value: name, label: title(name) }))}
                value={method ?? null}
                allowDeselect={false}
                onChange={(next) => next && onChange({ method: next })}
              />
            )}
            {alone === undefined && budget}
            <PartitionMenu
              names={pairs}
              value={among(view.subgroup, pairs)}
              onChange={(subgroup) => onChange({ subgroup })}
            />
          </>
        }
      />
    )
  }
  if (open === 'audit')
    return <FigureCard {...common} name="audit" label="Claimed and audited ε" request={base} />
  if (open === 'roc') {
    const menu = subgroupMenu(undefined, view.subgroup, details)
    return (
      <FigureCard
        {...common}
        name="roc"
        label="Membership inference"
        request={{ ...base, epsilon, subgroup: menu.chosen, attack: among(view.attack, attacks) }}
        controls={
          <>
            <AttackMenu
              attacks={attacks}
              value={among(view.attack, attacks)}
              onChange={(attack) => onChange({ attack })}
            />
            <SubgroupMenu menu={menu} onChange={(subgroup) => onChange({ subgroup })} />
            {budget}
          </>
        }
      />
    )
  }
  const quantity = among(view.quantity, QUANTITIES)
  const term = historyTerm(quantity ?? '')
  return (
    <FigureCard
      {...common}
      name="history"
      label="Training history"
      request={{ ...base, epsilon, series: quantity }}
      controls={
        <>
          <Select
            size="xs"
            label={<Explained text={term && glossary[term]}>Quantity</Explained>}
            w={{ base: '100%', sm: 240 }}
            data={QUANTITIES.map((name) => ({ value: name, label: historyTitle(name) }))}
            value={quantity ?? null}
            allowDeselect={false}
            onChange={(next) => next && onChange({ quantity: next })}
          />
          {budget}
        </>
      }
    />
  )
}
