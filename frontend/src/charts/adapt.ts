/** Fits a figure from the server into the page: size, background, kept zoom, axes that do not jump. Pure. */

/** The page's own face, so that a figure does not look pasted in. */
const FONT = "'Inter Variable', Inter, system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif"

type Json = Record<string, unknown>

export interface PlotlyFigure {
  data: Json[]
  layout: Json
}

export interface Extent {
  low: number
  high: number
}

export type Held = Partial<Record<'x' | 'y', Extent>>

const isJson = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
const json = (value: unknown): Json => (isJson(value) ? value : {})

export function readFigure(figure: Json): PlotlyFigure {
  return { data: Array.isArray(figure.data) ? figure.data.filter(isJson) : [], layout: json(figure.layout) }
}

function numbers(value: unknown): number[] {
  return Array.isArray(value)
    ? value.filter((entry): entry is number => typeof entry === 'number' && Number.isFinite(entry))
    : []
}

/** Values that a trace spans on one axis, its error bars included. */
function spanned(trace: Json, axis: 'x' | 'y'): number[] {
  if (trace[`${axis}axis`] !== undefined && trace[`${axis}axis`] !== axis) return []
  const values = Array.isArray(trace[axis]) ? (trace[axis] as unknown[]) : []
  const error = json(trace[`error_${axis}`])
  const up = Array.isArray(error.array) ? error.array : []
  const down = Array.isArray(error.arrayminus) ? error.arrayminus : up
  return values.flatMap((value, i) => {
    if (typeof value !== 'number' || !Number.isFinite(value)) return []
    return [value, value + (Number(up[i]) || 0), value - (Number(down[i]) || 0)]
  })
}

/** Smallest and largest value on an axis over traces and lines drawn across; null where it is not numeric. */
export function extentOf(figure: PlotlyFigure, axis: 'x' | 'y'): Extent | null {
  const settings = json(figure.layout[`${axis}axis`])
  const log = settings.type === 'log'
  const shapes = Array.isArray(figure.layout.shapes) ? figure.layout.shapes.filter(isJson) : []
  const values = [
    ...figure.data.flatMap((trace) => spanned(trace, axis)),
    ...shapes
      .filter((shape) => (shape[`${axis}ref`] ?? axis) === axis)
      .flatMap((shape) => numbers([shape[`${axis}0`], shape[`${axis}1`]])),
  ].filter((value) => !log || value > 0)
  if (values.length === 0) return null
  const scaled = log ? values.map(Math.log10) : values
  return { low: Math.min(...scaled), high: Math.max(...scaled) }
}

/** Data that fill less of an axis than this are too small to read: intervals of two seeds have shrunk. */
const LEAST_FILLED = 0.35

/**
 * The extent to draw: as before while the data still fit and can be read, otherwise around the data with some room
 * to grow. An axis that widens does not narrow at its other end.
 */
export function hold(before: Extent | undefined, data: Extent): Extent {
  const span = data.high - data.low
  const room = (span || Math.abs(data.high) || 1) * 0.08
  const around = { low: data.low - room, high: data.high + room }
  if (!before || (span > 0 && span < LEAST_FILLED * (before.high - before.low))) return around
  if (data.low >= before.low && data.high <= before.high) return before
  return { low: Math.min(before.low, around.low), high: Math.max(before.high, around.high) }
}

/** Extents for a figure that grows, from those it had before. An axis with a range of its own is left alone. */
export function holdAxes(figure: PlotlyFigure, before: Held): Held {
  const held: Held = {}
  for (const axis of ['x', 'y'] as const) {
    if (json(figure.layout[`${axis}axis`]).range !== undefined) continue
    const extent = extentOf(figure, axis)
    if (extent) held[axis] = hold(before[axis], extent)
    else if (before[axis]) held[axis] = before[axis]
  }
  return held
}

/** Where labels have to be small and a drag has to scroll the page. */
export const isNarrow = (width: number) => width < 520

/** The height that the figure asks for, as one with many rows does; otherwise the page's. */
export function heightOf(figure: Json, fallback: number): number {
  const wanted = json(figure.layout).height
  return typeof wanted === 'number' && wanted > 0 ? wanted : fallback
}

export interface Fit {
  /** Changes only when the user's zoom should be dropped: other axes, other subgroup. */
  revision: string
  width: number
  height: number
  held?: Held
}

/** The figure as the page draws it. */
export function adapt(figure: PlotlyFigure, { revision, width, height, held }: Fit): PlotlyFigure {
  const narrow = isNarrow(width)
  const { layout } = figure
  const axes: Json = {}
  for (const axis of ['x', 'y'] as const) {
    const extent = held?.[axis]
    if (extent)
      axes[`${axis}axis`] = {
        ...json(layout[`${axis}axis`]),
        range: [extent.low, extent.high],
        autorange: false,
      }
  }
  return {
    data: figure.data,
    layout: {
      ...layout,
      ...axes,
      autosize: false,
      width,
      height,
      paper_bgcolor: 'rgba(0,0,0,0)',
      plot_bgcolor: 'rgba(0,0,0,0)',
      uirevision: revision,
      modebar: { bgcolor: 'rgba(0,0,0,0)' },
      dragmode: narrow ? false : (layout.dragmode ?? 'zoom'),
      font: { ...json(layout.font), family: FONT, size: narrow ? 11 : (json(layout.font).size ?? 13) },
    },
  }
}
