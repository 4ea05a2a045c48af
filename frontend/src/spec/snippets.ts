/** The study as a line to paste into a shell or a notebook. Pure. */
import type { Draft } from './draft'

/** `it's` inside single quotes of a POSIX shell. */
const shellQuote = (text: string) => `'${text.replaceAll("'", `'\\''`)}'`

export function curlLine(origin: string, draft: Draft): string {
  return [
    `curl -X POST ${origin}/api/jobs \\`,
    "  -H 'Content-Type: application/json' \\",
    `  -d ${shellQuote(JSON.stringify(draft))}`,
  ].join('\n')
}

/** JSON as a Python literal. */
export function pythonLiteral(value: unknown, indent = 0): string {
  if (value === null || value === undefined) return 'None'
  if (typeof value === 'boolean') return value ? 'True' : 'False'
  if (typeof value === 'number' || typeof value === 'string') return JSON.stringify(value)
  const pad = ' '.repeat(indent + 4)
  const end = ' '.repeat(indent)
  if (Array.isArray(value)) {
    if (value.every((entry) => typeof entry !== 'object' || entry === null))
      return `[${value.map((entry) => pythonLiteral(entry)).join(', ')}]`
    return `[\n${value.map((entry) => `${pad}${pythonLiteral(entry, indent + 4)},\n`).join('')}${end}]`
  }
  const entries = Object.entries(value as object).filter(([, entry]) => entry !== undefined)
  if (entries.length === 0) return '{}'
  return `{\n${entries
    .map(([key, entry]) => `${pad}${JSON.stringify(key)}: ${pythonLiteral(entry, indent + 4)},\n`)
    .join('')}${end}}`
}

export function pythonLines(origin: string, draft: Draft): string {
  return [
    'from backend.client import Client',
    '',
    `equipoise = Client(${JSON.stringify(origin)})`,
    `job = equipoise.submit(${pythonLiteral(draft)})`,
    'print(job.url)',
  ].join('\n')
}
