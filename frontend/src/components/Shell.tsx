import { AppShell, Burger, Group, NavLink, Text } from '@mantine/core'
import { useDisclosure } from '@mantine/hooks'
import {
  IconCalculator,
  IconChartAreaLine,
  IconChartDots3,
  IconClipboardCheck,
  IconDatabase,
  IconListDetails,
  IconServer2,
} from '@tabler/icons-react'
import { Link, Outlet, useLocation } from '@tanstack/react-router'
import { HealthLine } from './HealthLine'
import { Logo } from './Logo'
import { NotificationBell } from './NotificationBell'
import { PersonMenu } from './PersonMenu'
import classes from './Shell.module.css'
import { ThemeToggle } from './ThemeToggle'

interface Place {
  to: '/studies' | '/explore' | '/reviews' | '/calculator' | '/gaussian' | '/data' | '/workers'
  label: string
  icon: typeof IconDatabase
  /** Pages that belong to this place without lying under its address. */
  also?: string[]
}

const PLACES: Place[] = [
  { to: '/studies', label: 'Studies', icon: IconListDetails, also: ['/new', '/runs'] },
  { to: '/explore', label: 'Explore', icon: IconChartDots3 },
  { to: '/reviews', label: 'Reviews', icon: IconClipboardCheck },
  { to: '/calculator', label: 'Calculator', icon: IconCalculator },
  { to: '/gaussian', label: 'Gaussian task', icon: IconChartAreaLine },
  { to: '/data', label: 'Data', icon: IconDatabase },
  { to: '/workers', label: 'Workers', icon: IconServer2 },
]

/** Navigation on the left, one page on the right. */
export function Shell() {
  const [open, { toggle, close }] = useDisclosure(false)
  const path = useLocation({ select: (location) => location.pathname })
  return (
    <>
      <a className="skip-link" href="#main">
        Skip to content
      </a>
      <AppShell
        navbar={{ width: 216, breakpoint: 'sm', collapsed: { mobile: !open } }}
        header={{ height: { base: 52, sm: 0 } }}
        padding={0}
      >
        <AppShell.Header className={classes.header} hiddenFrom="sm">
          <Group h="100%" px="md" justify="space-between">
            <Brand />
            <Group gap="xs">
              <NotificationBell />
              <Burger opened={open} onClick={toggle} size="sm" aria-label="Navigation" aria-expanded={open} />
            </Group>
          </Group>
        </AppShell.Header>
        <AppShell.Navbar className={classes.navbar} aria-label="Main">
          <div className={classes.brand}>
            <Brand />
          </div>
          <div className={classes.places}>
            {PLACES.map(({ to, label, icon: Icon, also = [] }) => (
              <NavLink
                key={to}
                className={classes.place}
                label={label}
                leftSection={<Icon size={17} stroke={1.7} aria-hidden />}
                onClick={close}
                active={[to, ...also].some((root) => path.startsWith(root))}
                renderRoot={(props) => <Link to={to} {...props} />}
              />
            ))}
          </div>
          <div className={classes.foot}>
            <div className={classes.who}>
              <PersonMenu />
              <NotificationBell />
            </div>
            <HealthLine />
            <ThemeToggle />
          </div>
        </AppShell.Navbar>
        <AppShell.Main className={classes.main} id="main" tabIndex={-1}>
          <div className={classes.page}>
            <Outlet />
          </div>
        </AppShell.Main>
      </AppShell>
    </>
  )
}

function Brand() {
  return (
    <Link to="/studies" className={classes.home}>
      <Logo />
      <Text span fw={600} size="md">
        Equipoise
      </Text>
    </Link>
  )
}
