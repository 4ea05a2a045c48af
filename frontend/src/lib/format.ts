/** Numbers, times and names as people read them. All pure. */

const SUPERSCRIPTS: Record<string, string> = {
  '-': '⁻',
  '0': '⁰',
  '1': '¹',
  '2': '²',
  '3': '³',
  '4': '⁴',
  '5': '⁵',
  '6': '⁶',
  '7': '⁷',
  '8': '⁸',
  '9': '⁹',
}
const MINUS = '−'
const NARROW = ' '

/** A number with sensible digits: 0.812, 1,234, 3.1 × 10⁻⁶. */
export function number(value: number | null | undefined, digits = 3): string {
  if (value === null || value === undefined || Number.isNaN(value)) return '–'
  if (!Number.isFinite(value)) return value > 0 ? '∞' : `${MINUS}∞`
  if (value === 0) return '0'
  const size = Math.abs(value)
  if (size < 1e-3 || size >= 1e7) return scientific(value, digits)
  if (Number.isInteger(value)) return sign(value.toLocaleString('en-US'))
  if (size >= 100) return sign(value.toLocaleString('en-US', { maximumFractionDigits: 1 }))
  if (size < 0.01) return sign(String(Number(value.toPrecision(2))))
  const text = size < 1 ? value.toFixed(digits) : value.toPrecision(digits + 1)
  return sign(Number(text) === value ? String(value) : text)
}

function scientific(value: number, digits: number): string {
  const [mantissa = '0', exponent = '0'] = value.toExponential(digits - 1).split('e')
  const power = [...String(Number(exponent))].map((c) => SUPERSCRIPTS[c] ?? c).join('')
  const trimmed = mantissa.replace(/\.?0+$/, '')
  return sign(trimmed === '1' ? `10${power}` : `${trimmed} × 10${power}`)
}

function sign(text: string): string {
  return text.replace(/^-/, MINUS)
}

/** Mean with its interval: 0.812 (0.806 to 0.818). */
export function interval(low: number | null | undefined, high: number | null | undefined): string {
  return low === null || low === undefined || high === null || high === undefined
    ? '–'
    : `${number(low)} to ${number(high)}`
}

export function integer(value: number | null | undefined): string {
  return value === null || value === undefined ? '–' : value.toLocaleString('en-US')
}

/** Seconds as a person says them: 42 ms, 0.4 s, 48 s, 2 min 5 s, 1 h 10 min. */
export function duration(seconds: number | null | undefined): string {
  if (seconds === null || seconds === undefined) return '–'
  if (seconds > 0 && seconds < 0.1) return `${Math.max(1, Math.round(1000 * seconds))} ms`
  if (seconds < 1) return `${seconds.toFixed(1)} s`
  if (seconds < 10) return `${Number(seconds.toFixed(1))} s`
  const whole = Math.round(seconds)
  if (whole < 60) return `${whole} s`
  if (whole < 3600) {
    const rest = whole % 60
    return rest && whole < 600 ? `${Math.floor(whole / 60)} min ${rest} s` : `${Math.round(whole / 60)} min`
  }
  const minutes = Math.round((whole % 3600) / 60)
  return minutes ? `${Math.floor(whole / 3600)} h ${minutes} min` : `${Math.floor(whole / 3600)} h`
}

/** How long ago: just now, 12 min ago, 3 h ago, 24 Nov. */
export function ago(time: string | null | undefined, now = Date.now()): string {
  if (!time) return '–'
  const then = Date.parse(time)
  const seconds = (now - then) / 1000
  if (seconds < 45) return 'just now'
  if (seconds < 3600) return `${Math.max(1, Math.round(seconds / 60))} min ago`
  if (seconds < 86_400) return `${Math.round(seconds / 3600)} h ago`
  return new Date(then).toLocaleDateString('en-GB', { day: 'numeric', month: 'short', year: 'numeric' })
}

export function moment(time: string | null | undefined): string {
  return time ? new Date(time).toLocaleString('en-GB', { dateStyle: 'medium', timeStyle: 'medium' }) : '–'
}

/** A parameter's value: lists with commas, switches in words. */
export function paramValue(value: unknown): string {
  if (value === null || value === undefined) return 'default'
  if (typeof value === 'boolean') return value ? 'yes' : 'no'
  if (typeof value === 'number') return String(value)
  if (Array.isArray(value)) return value.map(paramValue).join(', ')
  return typeof value === 'object' ? JSON.stringify(value) : String(value)
}

/** `soft_ada_clip` where no title is known: soft ada clip. */
export function words(name: string): string {
  return name.replaceAll('_', ' ')
}

/** "all" is everybody; an intersection's parts are joined with a plain "and". */
export function subgroupTitle(name: string): string {
  if (name === 'all') return 'Everybody'
  return name
    .split(' & ')
    .map((part) => {
      const [attribute = '', value] = part.split('=')
      return value === undefined ? words(attribute) : `${words(attribute)}: ${value}`
    })
    .join(' and ')
}

export function plural(count: number, one: string, many = `${one}s`): string {
  return `${integer(count)}${NARROW}${count === 1 ? one : many}`
}
