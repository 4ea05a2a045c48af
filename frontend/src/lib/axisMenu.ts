/** What may stand on an axis, in colour, size and small multiples: measured metrics first, then parameters. Pure. */
import type { AxisMenu } from '~/api'
import { isPartition, partitionTitle } from './subgroups'

export interface MenuGroup {
  group: string
  items: { value: string; label: string }[]
}

const KINDS: Record<string, string> = {
  privacy: 'Privacy',
  fairness: 'Fairness',
  utility: 'Utility',
  attack: 'Attacks',
  cost: 'Cost',
}

const filled = (groups: MenuGroup[]) => groups.filter((group) => group.items.length > 0)

/** Metrics by kind and parameters; what is chosen and not measured keeps a place. */
export function axisOptions(
  menu: AxisMenu | undefined,
  chosen: string | undefined,
  numeric = false,
): MenuGroup[] {
  const groups = Object.entries(KINDS).map(([kind, group]) => ({
    group,
    items: (menu?.metrics ?? [])
      .filter((one) => one.kind === kind)
      .map((one) => ({ value: one.name, label: one.title })),
  }))
  groups.push({
    group: 'Parameters',
    items: (menu?.parameters ?? [])
      .filter((one) => !numeric || one.numeric)
      .map((one) => ({ value: one.name, label: one.title })),
  })
  const known = groups.some((group) => group.items.some((item) => item.value === chosen))
  if (chosen && !known)
    groups.unshift({ group: 'Chosen', items: [{ value: chosen, label: chosen.replaceAll('_', ' ') }] })
  return filled(groups)
}

/** Colour: what settings are of, or a number of theirs. */
export function colourOptions(menu: AxisMenu | undefined, chosen: string | undefined): MenuGroup[] {
  const words = ['method', 'dataset', 'model'].map((value) => ({ value, label: value }))
  return [
    { group: 'Kind', items: words },
    ...axisOptions(menu, words.some((w) => w.value === chosen) ? undefined : chosen),
  ]
}

/** Small multiples: one panel for each value, or for each group of an attribute. */
export function facetOptions(menu: AxisMenu | undefined, y: string): MenuGroup[] {
  const subgroups = menu?.metrics.find((one) => one.name === y)?.subgroups ?? []
  const attributes = new Set(
    subgroups
      .filter((one) => one.includes('='))
      .map((one) =>
        one
          .split(' & ')
          .map((part) => part.split('=')[0])
          .join(' & '),
      ),
  )
  for (const one of subgroups) if (isPartition(one)) attributes.add(one)
  return filled([
    { group: 'Kind', items: ['method', 'dataset', 'model'].map((value) => ({ value, label: value })) },
    {
      group: 'Subgroups',
      items: [...attributes].map((value) => ({ value, label: `groups of ${partitionTitle(value)}` })),
    },
    {
      group: 'Parameters',
      items: (menu?.parameters ?? []).map((one) => ({ value: one.name, label: one.title })),
    },
  ])
}
