import { MultiSelect, Switch } from '@mantine/core'
import { MetricMenu, SplitMenu, SubgroupMenu } from '~/charts/AxisMenus'
import { Term } from '~/components/Term'
import type { SubgroupMenuData } from '~/lib/subgroups'
import type { ExploreView, TradeoffView } from '~/lib/views'

interface Props {
  axes: { x: string; y: string; split: string }
  menu: SubgroupMenuData
  jobs: string[]
  options: { value: string; label: string }[]
  frontier: boolean
  onChange: (part: ExploreView) => void
}

/** What is drawn: studies, axes, subgroup, split, frontier. */
export function ExploreControls({ axes, menu, jobs, options, frontier, onChange }: Props) {
  return (
    <>
      <MultiSelect
        size="xs"
        label="Studies"
        w="100%"
        style={{ gridColumn: '1 / -1' }}
        data={options}
        value={jobs}
        searchable
        hidePickedOptions
        nothingFoundMessage="No study of that name"
        onChange={(next) => onChange({ jobs: next.length ? next : undefined })}
      />
      <MetricMenu label="Vertical axis" value={axes.y} onChange={(y) => onChange({ y })} />
      <MetricMenu label="Horizontal axis" value={axes.x} onChange={(x) => onChange({ x })} />
      <SubgroupMenu menu={menu} onChange={(subgroup) => onChange({ subgroup })} />
      <SplitMenu
        value={axes.split}
        onChange={(split) => onChange({ split: split as TradeoffView['split'] })}
      />
      <Switch
        size="sm"
        mb={6}
        label={<Term name="frontier">Frontier</Term>}
        checked={frontier}
        onChange={(event) => onChange({ frontier: event.currentTarget.checked ? undefined : false })}
      />
    </>
  )
}
