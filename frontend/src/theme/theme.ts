import { type CSSVariablesResolver, createTheme, type MantineColorsTuple } from '@mantine/core'

/** Okabe-Ito blue, the one accent of the page, in ten shades. */
const accent: MantineColorsTuple = [
  '#eaf4fb',
  '#d3e8f6',
  '#a6d0ec',
  '#79b8e2',
  '#4ea1d8',
  '#2a8dcc',
  '#117fc0',
  '#0072b2',
  '#00609a',
  '#004f80',
]

/** Cool greys of the dark theme: text first, deepest background last. */
const dark: MantineColorsTuple = [
  '#d6dae0',
  '#b7bdc6',
  '#939ba6',
  '#6d7682',
  '#454d58',
  '#2f363f',
  '#252b33',
  '#1a1f25',
  '#14181d',
  '#0e1115',
]

const gray: MantineColorsTuple = [
  '#f7f8f9',
  '#f0f2f4',
  '#e5e8ec',
  '#d5dae0',
  '#b9c0c9',
  '#98a1ac',
  '#727c88',
  '#545d69',
  '#363e48',
  '#1d232a',
]

export const theme = createTheme({
  fontFamily:
    "'Inter Variable', Inter, system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', sans-serif",
  fontFamilyMonospace: "ui-monospace, SFMono-Regular, Menlo, Consolas, 'Liberation Mono', monospace",
  primaryColor: 'accent',
  primaryShade: 7,
  colors: { accent, dark, gray },
  defaultRadius: 6,
  cursorType: 'pointer',
  respectReducedMotion: true,
  focusRing: 'auto',
  fontSizes: { xs: '0.75rem', sm: '0.8125rem', md: '0.875rem', lg: '1rem', xl: '1.125rem' },
  headings: {
    fontWeight: '600',
    sizes: {
      h1: { fontSize: '1.375rem', lineHeight: '1.3' },
      h2: { fontSize: '1.0625rem', lineHeight: '1.35' },
      h3: { fontSize: '0.9375rem', lineHeight: '1.4' },
    },
  },
  components: {
    Button: { defaultProps: { size: 'sm' } },
    TextInput: { defaultProps: { size: 'sm' } },
    Tooltip: { defaultProps: { withArrow: true, multiline: true, maw: 320, openDelay: 120 } },
    Skeleton: { defaultProps: { radius: 4 } },
    Paper: { defaultProps: { radius: 8 } },
    // Mantine makes them <header>s, which outside of the page's content count as banners beside the one of the page.
    ModalHeader: { defaultProps: { component: 'div' } },
    DrawerHeader: { defaultProps: { component: 'div' } },
  },
})

/** What Mantine has no name for, once for each scheme. Contrast of text is at least 4.5 to 1. */
export const cssVariables: CSSVariablesResolver = () => ({
  variables: {},
  light: {
    '--mantine-color-body': '#ffffff',
    '--mantine-color-text': '#1d232a',
    '--mantine-color-dimmed': '#59626e',
    '--mantine-color-placeholder': '#6b7480',
    '--mantine-color-anchor': '#00609a',
    '--mantine-color-error': '#b3261e',
    '--eq-sidebar': '#f7f8f9',
    '--eq-surface': '#ffffff',
    '--eq-sunken': '#f7f8f9',
    '--eq-line': '#e5e8ec',
    '--eq-hover': '#f3f5f7',
    '--eq-selected': '#eaf4fb',
    '--eq-good': '#006a50',
    '--eq-alarm': '#b3261e',
    '--eq-alarm-soft': '#fdf1f0',
    '--eq-caution': '#8a5a00',
    '--eq-caution-soft': '#fdf6e7',
  },
  dark: {
    '--mantine-color-body': '#14181d',
    '--mantine-color-text': '#d6dae0',
    '--mantine-color-dimmed': '#98a1ac',
    '--mantine-color-placeholder': '#8a939e',
    '--mantine-color-anchor': '#79b8e2',
    '--mantine-color-error': '#ff8a80',
    '--eq-sidebar': '#101317',
    '--eq-surface': '#181c22',
    '--eq-sunken': '#101317',
    '--eq-line': '#2a3038',
    '--eq-hover': '#1f242b',
    '--eq-selected': '#12293a',
    '--eq-good': '#4cc9a4',
    '--eq-alarm': '#ff8a80',
    '--eq-alarm-soft': '#2c1a1a',
    '--eq-caution': '#f0b84a',
    '--eq-caution-soft': '#2b2314',
  },
})
