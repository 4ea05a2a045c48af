import { Select } from '@mantine/core'
import { partitionTitle } from '~/lib/subgroups'

interface Props {
  names: readonly string[]
  value: string | undefined
  onChange: (name: string) => void
}

/** The attributes whose groups are drawn; shown where there is a choice. */
export function PartitionMenu({ names, value, onChange }: Props) {
  if (names.length < 2) return null
  return (
    <Select
      size="xs"
      w={{ base: '100%', sm: 210 }}
      label="Groups of"
      data={names.map((name) => ({ value: name, label: partitionTitle(name) }))}
      value={value ?? null}
      allowDeselect={false}
      onChange={(next) => next && onChange(next)}
    />
  )
}
