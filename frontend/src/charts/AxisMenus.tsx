import { Select } from '@mantine/core'
import { useQuery } from '@tanstack/react-query'
import { useMemo } from 'react'
import { Explained } from '~/components/Term'
import { catalogueQuery } from '~/data/queries'
import { metricMenu, metricOf } from '~/lib/metrics'
import type { SubgroupMenuData } from '~/lib/subgroups'

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
      label={<Explained text={metricOf(data?.metrics ?? [], value)?.explanation}>{label}</Explained>}
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
  menu: SubgroupMenuData
  onChange: (name: string) => void
}

/** A group, or for a gap the groups that it is between. */
export function SubgroupMenu({ menu, onChange }: SubgroupMenuProps) {
  if (menu.options.length === 0) return null
  return (
    <Select
      size="xs"
      w={{ base: '100%', sm: 210 }}
      label={menu.label}
      data={menu.options}
      value={menu.chosen ?? null}
      searchable
      allowDeselect={false}
      nothingFoundMessage="No subgroup of that name"
      onChange={(next) => next && onChange(next)}
    />
  )
}

interface BudgetMenuProps {
  value: number
  budgets: readonly number[]
  onChange: (epsilon: number) => void
}

/** At which ε methods are compared; shown where there is a choice. */
export function BudgetMenu({ value, budgets, onChange }: BudgetMenuProps) {
  if (budgets.length < 2) return null
  return (
    <Select
      size="xs"
      w={{ base: '100%', sm: 110 }}
      label="At ε"
      data={budgets.map(String)}
      value={String(value)}
      allowDeselect={false}
      onChange={(next) => next && onChange(Number(next))}
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
