import { ActionIcon, Menu, Tooltip } from '@mantine/core'
import { notifications } from '@mantine/notifications'
import { IconDownload } from '@tabler/icons-react'
import type { Figure } from '~/api'
import type { Chosen } from '~/lib/selection'
import { saveCsv, saveImage } from './export'

/** PNG, SVG and CSV of exactly what is drawn. */
export function DownloadMenu({ figure, chosen }: { figure: Figure; chosen?: Chosen }) {
  const image = (format: 'png' | 'svg') => {
    const background = getComputedStyle(document.documentElement).getPropertyValue('--eq-surface').trim()
    saveImage(figure, format, background, chosen).catch(() =>
      notifications.show({
        title: 'The image could not be made',
        message: 'The browser refused to draw it. The numbers can still be saved as CSV.',
        color: 'red',
      }),
    )
  }
  return (
    <Menu position="bottom-end" withinPortal>
      <Menu.Target>
        <Tooltip label="Download">
          <ActionIcon variant="subtle" color="gray" aria-label="Download this figure">
            <IconDownload size={17} stroke={1.7} />
          </ActionIcon>
        </Tooltip>
      </Menu.Target>
      <Menu.Dropdown>
        <Menu.Item onClick={() => image('png')}>PNG image</Menu.Item>
        <Menu.Item onClick={() => image('svg')}>SVG drawing</Menu.Item>
        <Menu.Item onClick={() => saveCsv(figure)}>CSV of the values drawn</Menu.Item>
      </Menu.Dropdown>
    </Menu>
  )
}
