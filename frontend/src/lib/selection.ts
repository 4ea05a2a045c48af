/**
 * One selection for every figure and table: settings by number. A trace says in `meta.settings` of which setting each
 * of its marks is, null where a mark is of none. Pure.
 */

type Json = Record<string, unknown>

export type Chosen = ReadonlySet<number>

/** Marks of other settings, while some are selected. */
const FAINT = 0.12

const isJson = (value: unknown): value is Json => typeof value === 'object' && value !== null

/** Setting of each mark of a trace; empty where the trace names none. */
export function settingsOf(trace: Json): (number | null)[] {
  const meta = isJson(trace.meta) ? trace.meta : {}
  if (!Array.isArray(meta.settings)) return []
  return meta.settings.map((one: unknown) => (typeof one === 'number' ? one : null))
}

/** Settings that any mark of a figure can be of. */
export function selectable(data: readonly Json[]): Set<number> {
  return new Set(data.flatMap(settingsOf).filter((one) => one !== null))
}

export interface Point {
  curveNumber: number
  pointNumber?: number
  pointNumbers?: number[]
}

/** Settings behind the marks of an event. */
export function settingsAt(data: readonly Json[], points: readonly Point[]): number[] {
  const found = points.flatMap(({ curveNumber, pointNumber, pointNumbers }) => {
    const settings = settingsOf(data[curveNumber] ?? {})
    const places = pointNumbers ?? (pointNumber === undefined ? [] : [pointNumber])
    return places.map((place) => settings[place] ?? null)
  })
  return [...new Set(found.filter((one) => one !== null))]
}

/** A click adds or takes away with a key held; without, it selects this alone, or nothing where it was alone. */
export function clicked(before: Chosen, settings: readonly number[], add: boolean): Set<number> {
  if (settings.length === 0) return new Set(before)
  const all = settings.every((one) => before.has(one))
  if (!add) return all && before.size === settings.length ? new Set() : new Set(settings)
  const next = new Set(before)
  for (const one of settings) {
    if (all) next.delete(one)
    else next.add(one)
  }
  return next
}

/** The traces with the marks of the selected settings lit and the others faint; colour keeps its meaning. */
export function lit(data: readonly Json[], chosen: Chosen, dim: string): Json[] {
  if (chosen.size === 0 || ![...selectable(data)].some((one) => chosen.has(one))) return [...data]
  return data.map((trace) => {
    const settings = settingsOf(trace)
    if (settings.length === 0) return trace
    const places = settings.flatMap((one, place) => (one !== null && chosen.has(one) ? [place] : []))
    if (trace.type === 'parcoords') return litLines(trace, new Set(places), dim)
    if (trace.type === 'heatmap') return trace
    const mode = String(trace.mode ?? 'markers')
    const touched: Json = { ...trace }
    if (places.length === 0)
      touched.opacity = mode.includes('markers') && !mode.includes('lines') ? FAINT : 0.25
    if (!mode.includes('markers') && trace.type !== 'bar') return touched
    return {
      ...touched,
      selectedpoints: places,
      selected: { marker: { opacity: 1 } },
      unselected: { marker: { opacity: FAINT } },
    }
  })
}

/** Parallel lines have one colour scale: the others become one more step of it. */
function litLines(trace: Json, places: ReadonlySet<number>, dim: string): Json {
  const line = isJson(trace.line) ? trace.line : {}
  const codes = Array.isArray(line.color) ? line.color : []
  const scale = Array.isArray(line.colorscale) ? (line.colorscale as [number, string][]) : []
  const count = scale.length / 2
  if (codes.length === 0 || count === 0) return trace
  const whole = count + 1
  return {
    ...trace,
    line: {
      ...line,
      color: codes.map((code, place) => (places.has(place) ? code : -1)),
      colorscale: [
        [0, dim],
        [1 / whole, dim],
        ...scale.map(([at, colour]) => [(1 + at * count) / whole, colour]),
      ],
      cmin: -1.5,
      cmax: count - 0.5,
    },
  }
}

interface Dimension {
  values?: number[]
  constraintrange?: [number, number] | [number, number][]
}

/** Settings whose lines pass through every brushed stretch; null where nothing is brushed. */
export function brushed(trace: Json): number[] | null {
  const dimensions = (Array.isArray(trace.dimensions) ? trace.dimensions : []) as Dimension[]
  const limits = dimensions.flatMap(({ values = [], constraintrange }) => {
    if (!constraintrange || constraintrange.length === 0) return []
    const stretches = (Array.isArray(constraintrange[0]) ? constraintrange : [constraintrange]) as [
      number,
      number,
    ][]
    return [{ values, stretches }]
  })
  if (limits.length === 0) return null
  return settingsOf(trace).filter(
    (one, place): one is number =>
      one !== null &&
      limits.every(({ values, stretches }) => {
        const value = values[place]
        return value !== undefined && stretches.some(([low, high]) => value >= low && value <= high)
      }),
  )
}
