import { Select } from '@mantine/core'
import { useQuery } from '@tanstack/react-query'
import { catalogueQuery } from '~/data/queries'
import { words } from '~/lib/format'

interface Props {
  attacks: readonly string[]
  value: string | undefined
  onChange: (name: string) => void
}

/** Those that have a curve: audits score no rows. */
export function useAttacksWithCurves(attacks: readonly string[]): string[] {
  const { data } = useQuery(catalogueQuery)
  const audits = new Set(
    data?.metrics.filter((one) => one.name.endsWith('_p_at_claim')).map((one) => one.family),
  )
  return attacks.filter((name) => !audits.has(name))
}

/** Which attack; shown where a study made several. */
export function AttackMenu({ attacks, value, onChange }: Props) {
  const { data } = useQuery(catalogueQuery)
  if (attacks.length < 2) return null
  const title = (name: string) =>
    data?.plugins.find((plugin) => plugin.kind === 'attack' && plugin.name === name)?.title ?? words(name)
  return (
    <Select
      size="xs"
      w={{ base: '100%', sm: 200 }}
      label="Attack"
      data={attacks.map((name) => ({ value: name, label: title(name) }))}
      value={value ?? attacks[0] ?? null}
      allowDeselect={false}
      onChange={(next) => next && onChange(next)}
    />
  )
}
