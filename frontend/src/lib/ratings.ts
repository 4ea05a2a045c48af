/** Blind ratings on the page: scales, the head of a CSV, keys. All pure. */
import type { NewTask, TaskItem } from '~/api'

export interface NamedScale {
  name: string
  title: string
  points: NewTask['scale']['points']
  level: NonNullable<NewTask['scale']['level']>
}

const labelled = (labels: string[], from = 1) => labels.map((label, i) => ({ value: i + from, label }))

export const SCALES: NamedScale[] = [
  {
    name: 'toxicity',
    title: 'Toxicity, 1 to 4',
    points: labelled(['not toxic', 'hard to say', 'toxic', 'very toxic']),
    level: 'ordinal',
  },
  {
    name: 'agree',
    title: 'Agreement, 1 to 5',
    points: labelled(['strongly disagree', 'disagree', 'neither', 'agree', 'strongly agree']),
    level: 'ordinal',
  },
  {
    name: 'quality',
    title: 'Quality, 1 to 5',
    points: labelled(['very poor', 'poor', 'acceptable', 'good', 'very good']),
    level: 'ordinal',
  },
  { name: 'yes', title: 'No or yes', points: labelled(['no', 'yes'], 0), level: 'nominal' },
]

/** Cells of the first line of a CSV; quotes as RFC 4180 has them. */
export function firstLine(csv: string): string[] {
  const cells: string[] = []
  let cell = ''
  let quoted = false
  const text = csv.replace(/^\uFEFF/, '')
  for (let i = 0; i < text.length; i += 1) {
    const c = text[i]
    if (quoted && c === '"' && text[i + 1] === '"') {
      cell += '"'
      i += 1
    } else if (c === '"') quoted = !quoted
    else if (!quoted && c === ',') {
      cells.push(cell)
      cell = ''
    } else if (!quoted && (c === '\n' || c === '\r')) break
    else cell += c
  }
  return [...cells, cell].map((one) => one.trim())
}

/** What a file of items hides, or what is wrong with its first line. */
export function columnsOf(csv: string): { hidden: string[]; problem?: string } {
  const head = firstLine(csv)
  if (!head.includes('content'))
    return { hidden: [], problem: 'Expected a first line with a column “content”: add it above the items.' }
  return { hidden: head.filter((name) => name !== 'content' && name !== 'kind') }
}

/** Where to begin: the first item without an answer, else the first. */
export function nextItem(content: readonly TaskItem[], after = -1): number {
  const order = [...content.keys()]
  const later = order.find((place) => place > after && !content[place]?.rating)
  return later ?? order.find((place) => !content[place]?.rating) ?? Math.min(after + 1, content.length - 1)
}

/** The answer that a key gives: its number among the points, u for unsure; undefined where it gives none. */
export function answerOf(key: string, scale: NewTask['scale']): number | null | undefined {
  if (key.toLowerCase() === 'u') return scale.unsure === false ? undefined : null
  if (!/^[0-9]$/.test(key)) return undefined
  const named = scale.points.find((point) => point.value === Number(key))
  return named?.value
}
