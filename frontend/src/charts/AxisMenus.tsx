import { Select } from '@mantine/core'
import { useQuery } from '@tanstack/react-query'
import { useMemo } from 'react'
import { catalogueQuery } from '~/data/queries'
import { subgroupTitle } from '~/lib/format'
import { metricMenu } from '~/lib/metrics'

interface MetricMenuProps {
  label: string
  value: string
  onChange: (name: string) => void
  perSubgroup?: boolean
}

/** A metric by its title, grouped by what it speaks of. */
export function MetricMenu({ label, value, onChange, perSubgroup }: MetricMenuProps) {
  const { data } = useQuery(catalogueQuery)
  const menu = useMemo(() => metricMenu(data?.metrics ?? [], value, perSubgroup), [data, value, perSubgroup])
  return (
    <Select
      size="xs"
      w={{ base: '100%', sm: 230 }}
      label={label}
      data={menu}
      value={value}
      searchable
      allowDeselect={false}
      nothingFoundMessage="No metric of that name"
      maxDropdownHeight={360}
      onChange={(next) => next && onChange(next)}
    />
  )
}

interface SubgroupMenuProps {
  value: string
  subgroups: readonly string[]
  onChange: (name: string) => void
}

export function SubgroupMenu({ value, subgroups, onChange }: SubgroupMenuProps) {
  const names = [...new Set(['all', ...subgroups, value])]
  return (
    <Select
      size="xs"
      w={{ base: '100%', sm: 200 }}
      label="Subgroup"
      data={names.map((name) => ({ value: name, label: subgroupTitle(name) }))}
      value={value}
      searchable
      allowDeselect={false}
      nothingFoundMessage="No subgroup of that name"
      onChange={(next) => next && onChange(next)}
    />
  )
}

const SPLITS = ['test', 'validation', 'train']

export function SplitMenu({ value, onChange }: { value: string; onChange: (name: string) => void }) {
  return (
    <Select
      size="xs"
      w={{ base: '100%', sm: 120 }}
      label="Split"
      data={SPLITS}
      value={value}
      allowDeselect={false}
      onChange={(next) => next && onChange(next)}
    />
  )
}
