/** Figures with so many marks that a browser cannot draw each as an element of its own. */

type Json = Record<string, unknown>

/** Marks of one trace from which they are drawn on the graphics card. */
export const LARGE = 1_500

let card: boolean | null = null

/** Whether this browser can draw on a graphics card, or pretends to. */
function hasCard(): boolean {
  card ??= document.createElement('canvas').getContext('webgl') !== null
  return card
}

const marks = (trace: Json) => (Array.isArray(trace.x) ? trace.x.length : 0)

/** Whether any trace is large. Pure. */
export const isLarge = (data: readonly Json[]) =>
  data.some((trace) => trace.type === 'scatter' && marks(trace) >= LARGE)

/** Large traces of marks for the graphics card; the others, and all where there is no card, as they are. */
export function onCard(data: readonly Json[], able = hasCard): Json[] {
  if (!isLarge(data) || !able()) return [...data]
  return data.map((trace) =>
    trace.type === 'scatter' && marks(trace) >= LARGE ? { ...trace, type: 'scattergl' } : trace,
  )
}
