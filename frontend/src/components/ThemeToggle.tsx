import { SegmentedControl, useMantineColorScheme, VisuallyHidden } from '@mantine/core'
import { IconDeviceDesktop, IconMoon, IconSun } from '@tabler/icons-react'

const option = (value: string, name: string, Icon: typeof IconSun) => ({
  value,
  label: (
    <>
      <Icon size={15} stroke={1.7} style={{ display: 'block', margin: '2px auto' }} aria-hidden />
      <VisuallyHidden>{name}</VisuallyHidden>
    </>
  ),
})

const OPTIONS = [
  option('light', 'Light', IconSun),
  option('dark', 'Dark', IconMoon),
  option('auto', 'As the system', IconDeviceDesktop),
]

/** Light, dark, or as the system says. */
export function ThemeToggle() {
  const { colorScheme, setColorScheme } = useMantineColorScheme()
  return (
    <SegmentedControl
      size="xs"
      fullWidth
      aria-label="Colour scheme"
      value={colorScheme}
      onChange={(value) => setColorScheme(value as 'light' | 'dark' | 'auto')}
      data={OPTIONS}
    />
  )
}
