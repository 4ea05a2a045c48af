/** What a review's pages work out for themselves: names of anchors, who is worst off, what an entry says. All pure. */
import type { Anchor, ComparedRow, ReviewDetail, ReviewEvent, SnapshotSetting, Thread } from '~/api'
import { number, words } from './format'
import { anySubgroupTitle, isPartition } from './subgroups'

/** A to F: settings are long to name, and a table of six needs short heads. */
export const letter = (place: number): string => String.fromCharCode(65 + place)

export function letterOf(settings: readonly { setting_id: number }[], id: number): string {
  const place = settings.findIndex((one) => one.setting_id === id)
  return place < 0 ? '?' : letter(place)
}

/** The fields of an anchor that its kind reads, as one word; equal for anchors on the same thing. */
export function anchorKey(anchor: Anchor): string {
  const { kind = 'review', setting_ids = [], run_ids = [], subgroup, metric, chart } = anchor
  const ids = [...setting_ids].sort((a, b) => a - b).join(',')
  const runs = [...run_ids].sort().join(',')
  switch (kind) {
    case 'review':
      return 'review'
    case 'setting':
      return `setting ${ids}`
    case 'run':
      return `run ${runs}`
    case 'subgroup':
      return `subgroup ${subgroup}`
    case 'metric':
      return `metric ${metric} ${subgroup ?? 'all'}`
    case 'chart':
      return `chart ${chart}`
    case 'selection':
      return `selection ${ids} ${runs}`
  }
}

export interface AnchorNames {
  settings: readonly SnapshotSetting[]
  metric: (name: string) => string
  subgroup: (name: string) => string
}

const CHARTS: Record<string, string> = { tradeoff: 'Trade-off', subgroups: 'Subgroups' }

/** What a comment is about, in words. */
export function anchorTitle(anchor: Anchor, names: AnchorNames): string {
  const { kind = 'review', setting_ids = [], run_ids = [], subgroup, metric, chart } = anchor
  const letters = setting_ids.map((id) => letterOf(names.settings, id))
  switch (kind) {
    case 'review':
      return 'The whole review'
    case 'setting': {
      const setting = names.settings.find((one) => one.setting_id === setting_ids[0])
      return `${letters[0] ?? '?'}: ${setting?.label ?? 'a setting'}`
    }
    case 'run':
      return runTitle(run_ids[0] ?? '', names.settings)
    case 'subgroup':
      return names.subgroup(subgroup ?? 'all')
    case 'metric':
      return subgroup && subgroup !== 'all'
        ? `${names.metric(metric ?? '')}, ${names.subgroup(subgroup)}`
        : names.metric(metric ?? '')
    case 'chart':
      return `Chart: ${CHARTS[chart ?? ''] ?? words(chart ?? '')}`
    case 'selection':
      return setting_ids.length > 0
        ? `Settings ${letters.join(', ')}`
        : `${run_ids.length} runs, from ${runTitle(run_ids[0] ?? '', names.settings)}`
  }
}

function runTitle(id: string, settings: readonly SnapshotSetting[]): string {
  for (const [place, setting] of settings.entries()) {
    const run = setting.runs.find((one) => one.id === id)
    if (run) return `Run of ${letter(place)}, seed ${run.seed}`
  }
  return `Run ${id.slice(0, 8)}`
}

/** Titles that the comparison knows, and for the rest the names themselves in words. */
export function namesOf(
  review: Pick<ReviewDetail, 'compared'>,
  titles: { metrics: ReadonlyMap<string, string>; subgroups: ReadonlyMap<string, string> },
): AnchorNames {
  return {
    settings: review.compared,
    metric: (name) => titles.metrics.get(name) ?? words(name),
    subgroup: (name) => titles.subgroups.get(name) ?? anySubgroupTitle(name),
  }
}

export interface WorstOff {
  setting_id: number
  subgroup: string
  title: string
  mean: number
}

/**
 * For every setting the group with the worst mean of one metric. Everybody and gaps are no groups; groups too small to
 * say anything are left out, and so is a setting with fewer than two groups that have a figure.
 */
export function worstOff(
  rows: readonly ComparedRow[],
  settings: readonly { setting_id: number }[],
): WorstOff[] {
  const groups = rows.filter(
    (row) =>
      row.higher_is_better !== null && row.subgroup !== 'all' && !isPartition(row.subgroup) && !row.small,
  )
  return settings.flatMap((setting, place) => {
    const known = groups.flatMap((row) => {
      const mean = row.cells[place]?.mean
      return mean === null || mean === undefined ? [] : [{ row, mean }]
    })
    if (known.length < 2) return []
    const worst = known.reduce((a, b) =>
      (a.row.higher_is_better ? b.mean < a.mean : b.mean > a.mean) ? b : a,
    )
    return [
      {
        setting_id: setting.setting_id,
        subgroup: worst.row.subgroup,
        title: worst.row.subgroup_title,
        mean: worst.mean,
      },
    ]
  })
}

/** "Worst off by Loss: Race: Black under A (0.52) and B (0.49)." One sentence for each group that is worst anywhere. */
export function worstSentences(rows: readonly ComparedRow[], settings: readonly SnapshotSetting[]): string[] {
  const title = rows[0]?.title ?? ''
  const by = new Map<string, WorstOff[]>()
  for (const one of worstOff(rows, settings)) by.set(one.title, [...(by.get(one.title) ?? []), one])
  return [...by].map(([group, all]) => {
    const under = all.map((one) => `${letterOf(settings, one.setting_id)} (${number(one.mean)})`)
    const last = under.pop() ?? ''
    return `${title}: ${group} is worst off under ${under.length ? `${under.join(', ')} and ${last}` : last}.`
  })
}

/** Rows by metric, in the order in which they came. */
export function byMetric(rows: readonly ComparedRow[]): ComparedRow[][] {
  const found = new Map<string, ComparedRow[]>()
  for (const row of rows) found.set(row.metric, [...(found.get(row.metric) ?? []), row])
  return [...found.values()]
}

export const VERDICTS = {
  approve: 'Approve',
  request_changes: 'Request changes',
  reject: 'Reject',
} as const

const DID: Record<string, string> = {
  approve: 'approved',
  request_changes: 'asked for changes',
  reject: 'rejected',
}

const text = (value: unknown): string => (typeof value === 'string' ? value : '')

/** One entry of the history as a sentence's predicate: "approved: the gap is small enough". */
export function said(event: ReviewEvent): string {
  const { data, type } = event
  switch (type) {
    case 'opened':
      return 'opened the review'
    case 'commented':
      return typeof data.thread === 'number'
        ? `answered in thread ${data.thread}: ${text(data.text)}`
        : `commented: ${text(data.text)}`
    case 'edited':
      return `edited comment ${String(data.comment)}: ${text(data.text)}`
    case 'resolved':
      return `resolved thread ${String(data.thread)}`
    case 'reopened':
      return `reopened thread ${String(data.thread)}`
    case 'member_set':
      return `made ${text(data.name)} ${/^[ao]/.test(text(data.role)) ? 'an' : 'a'} ${text(data.role)}`
    case 'member_removed':
      return `took ${text(data.name)} off the review`
    case 'decided':
      return `${DID[text(data.decision)] ?? 'decided'}: ${text(data.reason)}`
    case 'withdrew':
      return `withdrew their decision: ${text(data.reason)}`
    case 'task_created':
      return `asked for ratings: ${text(data.title)}`
    case 'rated':
      return event.redacted
        ? 'rated items (hidden until the task is closed)'
        : `rated ${Array.isArray(data.ratings) ? data.ratings.length : 0} items`
    case 'task_closed':
      return 'closed a rating task'
    default:
      return words(type)
  }
}

export interface Piece {
  text: string
  mention: boolean
}

/** A comment cut at the mentions that the server found in it. */
export function pieces(body: string, mentions: readonly string[]): Piece[] {
  const names = [...mentions].filter(Boolean).sort((a, b) => b.length - a.length)
  if (names.length === 0) return [{ text: body, mention: false }]
  const escaped = names.map((name) => name.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'))
  const pattern = new RegExp(`(?<![\\p{L}\\p{N}_])(@(?:${escaped.join('|')}))(?![\\p{L}\\p{N}_])`, 'giu')
  return body
    .split(pattern)
    .map((part, i) => ({ text: part, mention: i % 2 === 1 }))
    .filter((piece) => piece.text !== '')
}

/** The name that is being typed after an @ just before the caret, or null. */
export function mentionAt(body: string, caret: number): { from: number; typed: string } | null {
  const found = /(?:^|[\s(])@([^\n@]{0,40})$/.exec(body.slice(0, caret))
  return found ? { from: caret - (found[1]?.length ?? 0) - 1, typed: found[1] ?? '' } : null
}

/** Names that fit what is typed, those that begin with it first. */
export function suggestions(typed: string, names: readonly string[], most = 6): string[] {
  const wanted = typed.toLowerCase()
  const fit = names.filter((name) => {
    const low = name.toLowerCase()
    return (
      low !== wanted.trimEnd() &&
      (low.startsWith(wanted) || low.split(/\s+/).some((w) => w.startsWith(wanted)))
    )
  })
  return fit
    .sort((a, b) => Number(b.toLowerCase().startsWith(wanted)) - Number(a.toLowerCase().startsWith(wanted)))
    .slice(0, most)
}

/** "Ann commented on B: DP-SGD: …" for what is new since `seen`, by others than `you`. */
export function announcement(
  threads: readonly Thread[],
  seen: number,
  you: string | null,
  names: AnchorNames,
): string {
  const fresh = threads.flatMap((thread) =>
    thread.comments
      .filter((one) => one.id > seen && one.person !== you)
      .map((one) => `${one.person} on ${anchorTitle(thread.anchor, names)}: ${one.text.slice(0, 200)}`),
  )
  return fresh.length > 3 ? `${fresh.length} new comments` : fresh.join('. ')
}

export const lastComment = (threads: readonly Thread[]): number =>
  Math.max(0, ...threads.flatMap((thread) => thread.comments.map((one) => one.id)))
