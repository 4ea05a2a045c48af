"""The trade-off: two metrics of every setting, one curve per method along epsilon."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from backend.analysis.labels import Words, value_text
from backend.contracts.catalogue import MetricInfo
from backend.contracts.public import Curve, CurvePoint, Curves, Figure, TableColumn
from backend.figures import parts
from backend.figures.parts import Cell, Json
from backend.figures.theme import Theme, faint, look

#: Curves at the same epsilon stand this far apart on the logarithmic axis, so that their intervals can be told apart.
DODGE = 0.012


@dataclass(frozen=True)
class _Frame:
    """What every trace of one figure needs to know."""

    theme: Theme
    words: Words
    curves: Curves
    x: MetricInfo
    y: MetricInfo
    x_log: bool
    narrow: bool

    @property
    def along_epsilon(self) -> bool:
        return self.x.name == "epsilon"


def tradeoff(curves: Curves, words: Words, theme: Theme, *, frontier: bool = False, width: int | None = None) -> Figure:
    """The figure of `curves`. Over epsilon a baseline is a dashed line; against another metric it is a point."""
    x, y = words.metric(curves.x), words.metric(curves.y)
    points = [p for c in curves.curves for p in c.points]
    columns, rows = _table(curves, x, y, words)
    drawable = [p for p in points if p.y is not None and (curves.x == "epsilon" or p.x is not None)]
    if not drawable:
        return parts.empty("tradeoff", curves.finding, _why_empty(points, y, words, curves), theme, curves.caption)
    narrow = width is not None and width < parts.NARROW
    x_log = curves.x == "epsilon" or (x.log and all((p.x or 1.0) > 0 for p in points))
    frame = _Frame(theme, words, curves, x, y, x_log, narrow)

    layout = parts.layout(theme, revision=f"{curves.x}|{curves.y}|{curves.subgroup}|{curves.split}")
    y_title = words.axis(y, curves.subgroup)
    if frame.along_epsilon:
        epsilons = [p.epsilon for p in points if p.epsilon]
        layout["xaxis"] = parts.epsilon_axis(theme, words.axis(x, "all"), epsilons, wrap=parts.across(narrow))
    else:
        x_title = words.axis(x, curves.x_subgroup, log=x_log)
        layout["xaxis"] = parts.metric_axis(theme, x, x_title, wrap=parts.across(narrow), log=x_log)
    layout["yaxis"] = parts.metric_axis(theme, y, y_title, wrap=parts.upright(narrow))

    data: list[Json] = []
    private = [c for c in curves.curves if not c.baseline]
    for curve in curves.curves:
        if curve.baseline and frame.along_epsilon:
            data += _reference(frame, curve, layout["xaxis"])
        else:
            order = private.index(curve) - (len(private) - 1) / 2 if curve in private else 0.0
            data += _curve(frame, curve, order)
    if frontier:
        data += _frontier(frame, points)
    _label_ends(frame, drawable, layout)
    return parts.figure("tradeoff", curves.finding, curves.caption, data, layout, columns, rows)


def _why_empty(points: Sequence[CurvePoint], y: MetricInfo, words: Words, curves: Curves) -> str:
    if not points:
        return "No run has finished yet. The first points appear here as soon as one has."
    what = words.phrase(y, curves.subgroup)
    return (
        f"{what} was not measured on the {curves.split} split of these runs. Choose another metric, subgroup or split."
    )


# --- traces -----------------------------------------------------------------------------------------------------------


def _x(frame: _Frame, value: float | None, order: float) -> float | None:
    if value is None or not frame.along_epsilon:
        return value
    return float(value * 10 ** (DODGE * order))


def _hover(frame: _Frame, point: CurvePoint) -> str:
    words, curves = frame.words, frame.curves
    lines = []
    if not frame.along_epsilon:
        lines.append(
            f"{words.phrase(frame.x, curves.x_subgroup)}: {parts.interval(point.x, point.x_low, point.x_high)}"
        )
    lines.append(f"{words.phrase(frame.y, curves.subgroup)}: {parts.interval(point.y, point.y_low, point.y_high)}")
    n = f", n = {point.n:,}" if point.n is not None else ""
    lines.append(f"{point.seeds} {'seed' if point.seeds == 1 else 'seeds'}{n}")
    if point.diverged:
        lines.append(f"{point.diverged} diverged and left out")
    if point.degenerate:
        lines.append("Predicts one class for nearly everybody: its figures mean nothing")
    lines.append(parts.parameters({k: v for k, v in point.params.items() if k.startswith(("method.", "training."))}))
    return parts.hover(point.label, lines)


def _symbol(point: CurvePoint, method: str) -> str:
    if point.degenerate:
        return "x-open"
    symbol = look(method).symbol
    return f"{symbol}-open" if point.n is not None and point.n < parts.SMALL_N else symbol


def _error(values: Sequence[float | None], ends: Sequence[tuple[float | None, float | None]], colour: str) -> Json:
    up = [h - v if v is not None and h is not None else 0.0 for v, (_, h) in zip(values, ends, strict=True)]
    down = [v - low if v is not None and low is not None else 0.0 for v, (low, _) in zip(values, ends, strict=True)]
    return {
        "type": "data",
        "symmetric": False,
        "array": up,
        "arrayminus": down,
        "color": colour,
        "thickness": 1.4,
        "width": 0,
    }


def _curve(frame: _Frame, curve: Curve, order: float) -> list[Json]:
    shown = [p for p in curve.points if p.y is not None and p.x is not None]
    if not shown:
        return []
    shades = frame.theme.of(curve.method)
    name = parts.safe(curve.series)
    xs = [_x(frame, p.x, order) for p in shown]
    seeds: Json = {
        "type": "scatter",
        "mode": "markers",
        "name": name,
        "x": [_x(frame, x, order) for p in shown for x in _seed_x(frame, p)],
        "y": [y for p in shown for y in p.y_seeds],
        "customdata": [[run] for p in shown for run in p.run_ids],
        "hoverinfo": "skip",
        "marker": {"size": 4, "color": faint(shades.stroke, 0.4)},
    }
    trace: Json = {
        "type": "scatter",
        "mode": "lines+markers" if len(shown) > 1 else "markers",
        "name": name,
        "x": xs,
        "y": [p.y for p in shown],
        "customdata": [p.run_ids for p in shown],
        "hovertext": [_hover(frame, p) for p in shown],
        "hoverinfo": "text",
        "line": {"color": shades.stroke, "width": 2, "dash": look(curve.method).dash},
        "marker": {
            "symbol": [_symbol(p, curve.method) for p in shown],
            "size": 9,
            "color": shades.stroke,
            "line": {"color": shades.stroke, "width": 1.5},
        },
        "error_y": _error([p.y for p in shown], [(p.y_low, p.y_high) for p in shown], faint(shades.stroke, 0.6)),
    }
    if not frame.along_epsilon:
        trace["error_x"] = _error([p.x for p in shown], [(p.x_low, p.x_high) for p in shown], faint(shades.stroke, 0.6))
    return [seeds, trace]


def _seed_x(frame: _Frame, point: CurvePoint) -> list[float | None]:
    return [point.x] * len(point.y_seeds) if frame.along_epsilon else point.x_seeds


def _reference(frame: _Frame, curve: Curve, axis: Json) -> list[Json]:
    """A baseline over epsilon: it has none, so it is a level and never a point."""
    low, high = (10**end for end in axis.get("range", (-1.0, 1.0)))
    shades = frame.theme.of(curve.method)
    traces: list[Json] = []
    for point in curve.points:
        if point.y is None:
            continue
        text = _hover(frame, point)
        common = {"type": "scatter", "name": parts.safe(curve.series), "x": [low, high]}
        if point.y_low is not None and point.y_high is not None:
            band = {"mode": "lines", "line": {"width": 0}, "hoverinfo": "skip", "showlegend": False}
            colour = faint(shades.stroke, 0.09)
            traces.append({**common, **band, "y": [point.y_low, point.y_low]})
            traces.append({**common, **band, "y": [point.y_high, point.y_high], "fill": "tonexty", "fillcolor": colour})
        traces.append(
            {
                **common,
                "mode": "lines",
                "y": [point.y, point.y],
                "customdata": [point.run_ids, point.run_ids],
                "hovertext": [text, text],
                "hoverinfo": "text",
                "line": {"color": shades.stroke, "width": 1.5, "dash": "dash"},
            }
        )
    return traces


def _frontier(frame: _Frame, points: Sequence[CurvePoint]) -> list[Json]:
    """A thin step line: below (or above) it nothing was measured."""
    best = sorted(
        (p for p in points if p.on_frontier and p.x is not None and p.y is not None), key=lambda p: p.x or 0.0
    )
    if not best or frame.x.higher_is_better is None or frame.y.higher_is_better is None:
        return []
    return [
        {
            "type": "scatter",
            "mode": "lines",
            "name": "Frontier",
            "x": [p.x for p in best],
            "y": [p.y for p in best],
            "line": {
                "color": frame.theme.muted,
                "width": 1.2,
                "shape": "vh" if frame.x.higher_is_better else "hv",
            },
            "hoverinfo": "skip",
        }
    ]


def _label_ends(frame: _Frame, drawn: Sequence[CurvePoint], layout: Json) -> None:
    """Names at the right end of each curve, moved apart where they would cover each other.

    Over epsilon, curves that reach the right end, and levels, have their names beside the plot.
    """
    ends = []
    for curve in frame.curves.curves:
        level = curve.baseline and frame.along_epsilon
        shown = [p for p in curve.points if p.y is not None and (level or (p.x is not None and _fits(frame, p.x)))]
        ends += [(curve, p) for p in (shown if level else [max(shown, key=lambda p: p.x or 0.0)] if shown else [])]
    if not ends:
        return
    width = 15 if frame.narrow else 24
    last = max((p.x for _, p in ends if p.x is not None), default=None)
    texts = [parts.wrapped(_end_text(frame, curve, point), width) for curve, point in ends]
    edges = [v for p in drawn for v in (p.y, p.y_low, p.y_high) if v is not None]
    heights = [parts.LABEL_HEIGHT * (1 + text.count("<br>")) for text in texts]
    shifts = parts.spread([p.y or 0.0 for _, p in ends], min(edges), max(edges), heights)
    for (curve, point), text, shift in zip(ends, texts, shifts, strict=True):
        x = point.x or 0.0
        place = math.log10(x) if frame.x_log and x > 0 else x
        ink = frame.theme.of(curve.method).ink
        beside = frame.along_epsilon and (point.x is None or point.x == last)
        where: Json = {"x": 1.0, "xref": "paper", "xshift": 6} if beside else {}
        label = parts.end_label(frame.theme, place, point.y or 0.0, text, ink, yshift=shift)
        layout["annotations"].append({**label, **where})
    longest = max(len(line) for text in texts for line in text.split("<br>"))
    layout["margin"]["r"] = min(150 if frame.narrow else 220, 18 + parts.CHARACTER * longest)


def _fits(frame: _Frame, x: float) -> bool:
    return not frame.x_log or x > 0


def _end_text(frame: _Frame, curve: Curve, point: CurvePoint) -> str:
    if frame.along_epsilon:
        return curve.series if not curve.baseline or "private" in curve.series else f"{curve.series}, not private"
    # Which end it is cannot be read off the axes.
    return curve.series if point.epsilon is None else f"{curve.series}, ε = {value_text(point.epsilon)}"


# --- table ------------------------------------------------------------------------------------------------------------


def _table(curves: Curves, x: MetricInfo, y: MetricInfo, words: Words) -> tuple[list[TableColumn], list[list[Cell]]]:
    columns = [TableColumn(title="Setting", numeric=False), TableColumn(title="ε")]
    with_x = curves.x != "epsilon"
    for metric, subgroup in ([(x, curves.x_subgroup)] if with_x else []) + [(y, curves.subgroup)]:
        columns += [
            TableColumn(title=words.phrase(metric, subgroup), unit=metric.unit),
            TableColumn(title="95 % low", unit=metric.unit),
            TableColumn(title="95 % high", unit=metric.unit),
        ]
    columns += [TableColumn(title="n"), TableColumn(title="Seeds"), TableColumn(title="Note", numeric=False)]
    rows: list[list[Cell]] = []
    for curve in curves.curves:
        for p in curve.points:
            notes = ["not private"] if curve.baseline else []
            notes += ["one class for nearly everybody"] if p.degenerate else []
            notes += [f"{p.diverged} diverged"] if p.diverged else []
            notes += ["on the frontier"] if p.on_frontier else []
            own: list[Cell] = [p.label, p.epsilon]
            own += [p.x, p.x_low, p.x_high] if with_x else []
            rows.append([*own, p.y, p.y_low, p.y_high, p.n, p.seeds, ", ".join(notes)])
    return columns, rows
