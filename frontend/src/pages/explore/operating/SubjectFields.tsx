import { Select } from '@mantine/core'
import { MetricMenu, SplitMenu } from '~/charts/AxisMenus'
import { Term } from '~/components/Term'
import { subgroupTitle } from '~/lib/format'
import { partitionTitle } from '~/lib/subgroups'

type Groups = 'one' | 'worst' | 'every'

export interface Subject {
  metric: string
  subgroup?: string
  groups?: Groups
  split?: 'train' | 'validation' | 'test'
}

interface Props {
  label: string
  value: Subject
  subgroups: readonly string[]
  /** Each group by itself can be limited, but not be the best. */
  every?: boolean
  onMetric: (metric: string) => void
  onChange: (part: Partial<Subject>) => void
}

/** Which number: a metric, of whom, measured on which rows. */
export function SubjectFields({ label, value, subgroups, every, onMetric, onChange }: Props) {
  const options = subgroups.flatMap((name) => {
    if (name === 'all' || name.includes('=')) return [{ value: `one:${name}`, label: subgroupTitle(name) }]
    const title = partitionTitle(name)
    return [
      { value: `one:${name}`, label: `Between groups of ${title}` },
      { value: `worst:${name}`, label: `Worst of ${title}` },
      ...(every ? [{ value: `every:${name}`, label: `Every group of ${title}` }] : []),
    ]
  })
  const chosen = `${value.groups ?? 'one'}:${value.subgroup ?? 'all'}`
  if (!options.some((one) => one.value === chosen))
    options.push({ value: chosen, label: chosen.split(':')[1] ?? chosen })
  return (
    <>
      <MetricMenu label={label} value={value.metric} onChange={onMetric} />
      {value.metric !== 'epsilon' && (
        <>
          <Select
            size="xs"
            label={<Term name="groups_compared">Of</Term>}
            w={{ base: '100%', sm: 200 }}
            data={options}
            value={chosen}
            searchable
            allowDeselect={false}
            nothingFoundMessage="No subgroup of that name"
            onChange={(next) => {
              const [kind = 'one', ...rest] = (next ?? chosen).split(':')
              onChange({ groups: kind as Groups, subgroup: rest.join(':') })
            }}
          />
          <SplitMenu
            value={value.split ?? 'test'}
            onChange={(split) => onChange({ split: split as Subject['split'] })}
          />
        </>
      )}
    </>
  )
}
