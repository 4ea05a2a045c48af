import { Menu, UnstyledButton } from '@mantine/core'
import { IconChevronDown } from '@tabler/icons-react'
import type { Anchor, ReviewDetail } from '~/api'
import chip from '~/components/AnchorChip.module.css'
import { type AnchorNames, anchorKey, anchorTitle } from '~/lib/reviews'

interface Props {
  review: ReviewDetail
  names: AnchorNames
  anchor: Anchor
  onAnchor: (anchor: Anchor) => void
}

/** What a comment is about, chosen by keyboard as well as by the buttons beside the numbers. */
export function AnchorMenu({ review, names, anchor, onAnchor }: Props) {
  const ids = review.compared.map((one) => one.setting_id)
  const choices: Anchor[] = [
    { kind: 'review' },
    ...ids.map((id): Anchor => ({ kind: 'setting', setting_ids: [id] })),
    ...ids.flatMap((a, i) =>
      ids.slice(i + 1).map((b): Anchor => ({ kind: 'selection', setting_ids: [a, b] })),
    ),
    { kind: 'chart', chart: 'tradeoff' },
  ]
  return (
    <Menu position="bottom-start" withinPortal>
      <Menu.Target>
        <UnstyledButton className={chip.chip} aria-label={`About: ${anchorTitle(anchor, names)}. Change`}>
          About: {anchorTitle(anchor, names)}
          <IconChevronDown size={13} aria-hidden />
        </UnstyledButton>
      </Menu.Target>
      <Menu.Dropdown mah={320} style={{ overflow: 'auto' }}>
        {choices.map((one) => (
          <Menu.Item key={anchorKey(one)} onClick={() => onAnchor(one)}>
            {anchorTitle(one, names)}
          </Menu.Item>
        ))}
      </Menu.Dropdown>
    </Menu>
  )
}
