import { Button, MultiSelect, NumberInput, SegmentedControl, Select, Switch } from '@mantine/core'
import type { AxisMenu } from '~/api'
import { SplitMenu, SubgroupMenu } from '~/charts/AxisMenus'
import { Fold } from '~/components/Fold'
import { Term } from '~/components/Term'
import { axisOptions, colourOptions, facetOptions, type MenuGroup } from '~/lib/axisMenu'
import type { SubgroupMenuData } from '~/lib/subgroups'
import type { ExploreView, TradeoffView } from '~/lib/views'
import classes from './ExplorePage.module.css'

interface Props {
  axes: { x: string; y: string; split: string }
  view: ExploreView
  menu: SubgroupMenuData
  known: AxisMenu | undefined
  jobs: string[]
  options: { value: string; label: string }[]
  onChange: (part: ExploreView) => void
}

/** What is drawn: studies, axes, subgroup, split, frontier; colour, size, panels and ranges are folded. */
export function ExploreControls({ axes, view, menu, known, jobs, options, onChange }: Props) {
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
        onChange={(next) => onChange({ jobs: next.length ? next : undefined, select: undefined })}
      />
      <Choice
        label="Vertical axis"
        data={axisOptions(known, axes.y)}
        value={axes.y}
        onChange={(y) => onChange({ y, yMin: undefined, yMax: undefined, yLog: undefined })}
      />
      <Choice
        label="Horizontal axis"
        data={axisOptions(known, axes.x)}
        value={axes.x}
        onChange={(x) => onChange({ x, xMin: undefined, xMax: undefined, xLog: undefined })}
      />
      <SubgroupMenu menu={menu} onChange={(subgroup) => onChange({ subgroup })} />
      <SplitMenu
        value={axes.split}
        onChange={(split) => onChange({ split: split as TradeoffView['split'] })}
      />
      <Switch
        size="sm"
        mb={6}
        label={<Term name="frontier">Frontier</Term>}
        checked={view.frontier ?? true}
        onChange={(event) => onChange({ frontier: event.currentTarget.checked ? undefined : false })}
      />
      <div className={classes.more}>
        <Fold label="Colour, size, small multiples, ranges" open={opened(view)}>
          <div className={classes.folded}>
            <Choice
              label="Colour"
              data={colourOptions(known, view.color)}
              value={view.color ?? null}
              clear="by method"
              onChange={(color) => onChange({ color })}
              onClear={() => onChange({ color: undefined })}
            />
            <Choice
              label="Size"
              data={axisOptions(known, view.size, true)}
              value={view.size ?? null}
              clear="all the same"
              onChange={(size) => onChange({ size })}
              onClear={() => onChange({ size: undefined })}
            />
            <Choice
              label="Small multiples by"
              data={facetOptions(known, axes.y)}
              value={view.facet ?? null}
              clear="one panel"
              onChange={(facet) => onChange({ facet })}
              onClear={() => onChange({ facet: undefined, ranges: undefined })}
            />
            {view.facet && (
              <SegmentedControl
                size="xs"
                aria-label="Ranges of the panels"
                data={[
                  { value: 'shared', label: 'Shared ranges' },
                  { value: 'free', label: 'Own ranges' },
                ]}
                value={view.ranges ?? 'shared'}
                onChange={(next) => onChange({ ranges: next === 'free' ? 'free' : undefined })}
              />
            )}
            <Choice
              label="Settings drawn"
              data={[
                { group: 'How many', items: [{ value: 'all', label: 'every setting' }] },
                ...axisOptions(known, undefined)
                  .filter((group) => group.group === 'Utility')
                  .map((group) => ({
                    group: 'Best on validation by',
                    items: group.items.map((item) => ({
                      ...item,
                      label: `best ${item.label.toLowerCase()}`,
                    })),
                  })),
              ]}
              value={view.choose ?? null}
              clear="as many as can be read"
              onChange={(choose) => onChange({ choose })}
              onClear={() => onChange({ choose: undefined })}
            />
            <Ends axis="x" title="Horizontal" view={view} onChange={onChange} />
            <Ends axis="y" title="Vertical" view={view} onChange={onChange} />
            <Switch
              size="sm"
              mb={6}
              label={<Term name="degenerate">Degenerate settings on the frontier</Term>}
              checked={view.degenerate ?? false}
              onChange={(event) => onChange({ degenerate: event.currentTarget.checked || undefined })}
            />
            <Button
              size="xs"
              variant="default"
              onClick={() =>
                onChange({
                  color: undefined,
                  size: undefined,
                  facet: undefined,
                  ranges: undefined,
                  choose: undefined,
                  xLog: undefined,
                  yLog: undefined,
                  xMin: undefined,
                  xMax: undefined,
                  yMin: undefined,
                  yMax: undefined,
                  degenerate: undefined,
                })
              }
            >
              Reset these
            </Button>
          </div>
        </Fold>
      </div>
    </>
  )
}

const opened = (view: ExploreView) =>
  [
    view.color,
    view.size,
    view.facet,
    view.choose,
    view.xLog,
    view.yLog,
    view.xMin,
    view.xMax,
    view.yMin,
    view.yMax,
    view.degenerate,
  ].some((one) => one !== undefined)

interface ChoiceProps {
  label: string
  data: MenuGroup[]
  value: string | null
  /** What it means that nothing is chosen; with it the menu can be emptied. */
  clear?: string
  onChange: (value: string) => void
  onClear?: () => void
}

function Choice({ label, data, value, clear, onChange, onClear }: ChoiceProps) {
  return (
    <Select
      size="xs"
      w={{ base: '100%', sm: 215 }}
      label={label}
      data={data}
      value={value}
      placeholder={clear}
      clearable={clear !== undefined}
      clearButtonProps={{ 'aria-label': `${label}: ${clear}` }}
      searchable
      allowDeselect={false}
      nothingFoundMessage="Nothing of that name"
      maxDropdownHeight={360}
      onChange={(next) => (next ? onChange(next) : onClear?.())}
    />
  )
}

interface EndsProps {
  axis: 'x' | 'y'
  title: string
  view: ExploreView
  onChange: (part: ExploreView) => void
}

/** A fixed range and the scale of one axis; an empty field follows the data. */
function Ends({ axis, title, view, onChange }: EndsProps) {
  const field = (end: 'Min' | 'Max', label: string) => {
    const key = `${axis}${end}` as const
    return (
      <NumberInput
        size="xs"
        w={110}
        label={`${title} ${label}`}
        placeholder="by the data"
        hideControls
        value={view[key] ?? ''}
        // Taken when the field is left, so that half a number draws nothing.
        onBlur={(event) => {
          const typed = event.currentTarget.value.trim()
          const next = typed === '' ? undefined : Number(typed)
          if (next !== view[key] && (next === undefined || Number.isFinite(next))) onChange({ [key]: next })
        }}
        onKeyDown={(event) => event.key === 'Enter' && event.currentTarget.blur()}
      />
    )
  }
  const key = `${axis}Log` as const
  return (
    <>
      {field('Min', 'from')}
      {field('Max', 'to')}
      <Select
        size="xs"
        w={120}
        label={`${title} scale`}
        data={[
          { value: 'auto', label: 'as fits' },
          { value: 'log', label: 'logarithmic' },
          { value: 'linear', label: 'linear' },
        ]}
        value={view[key] === undefined ? 'auto' : view[key] ? 'log' : 'linear'}
        allowDeselect={false}
        onChange={(next) => onChange({ [key]: next === 'auto' ? undefined : next === 'log' })}
      />
    </>
  )
}
