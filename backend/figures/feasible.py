"""Settings against two metrics: what meets the constraints is lit, the rest faint with its reason, the best ringed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from backend.analysis.labels import Words, value_text
from backend.contracts.catalogue import MetricInfo
from backend.contracts.operating_points import Status
from backend.contracts.public import Figure, TableColumn
from backend.figures import parts
from backend.figures.parts import Cell, Json
from backend.figures.theme import Theme, faint, look

#: Marks drawn, at most; the feasible ones and the nearest of the rest come first.
MOST_MARKS = 4000
#: Above so many marks they are drawn by the graphics card, and the runs behind each are left to its setting.
MANY_MARKS = 1500
#: Of so many, the first ones, hover says by how much each constraint is missed; of the others, which.
MOST_TOLD = 600


@dataclass(frozen=True)
class Mark:
    """One setting: its numbers on both axes and what is said of it. `x` None: it is not private, over epsilon."""

    setting: int
    method: str
    title: str
    label: str
    runs: Sequence[str]
    status: Status
    reasons: Sequence[str]
    chance: str
    x: float | None
    x_ends: tuple[float | None, float | None]
    y: float
    y_ends: tuple[float | None, float | None]
    seeds: int
    winner: bool


@dataclass(frozen=True)
class Edge:
    """A constraint on one of the axes: what lies beyond is infeasible, and why."""

    axis: str
    upper: bool
    threshold: float
    text: str


@dataclass(frozen=True)
class Axes:
    """Both metrics and the subgroups they are of."""

    x: MetricInfo
    x_subgroup: str
    y: MetricInfo
    y_subgroup: str

    @property
    def along_epsilon(self) -> bool:
        """Whether the horizontal axis is the budget that was asked for."""
        return self.x.name == "epsilon"


def feasible(
    marks: Sequence[Mark],
    edges: Sequence[Edge],
    axes: Axes,
    words: Words,
    theme: Theme,
    *,
    title: str,
    caption: str,
    width: int | None = None,
) -> Figure:
    """The figure; `marks` come with the most interesting first."""
    if not marks:
        what = words.phrase(axes.y, axes.y_subgroup)
        return parts.empty(
            "feasible", title, f"{what} was not measured of these settings. Choose another axis.", theme, caption
        )
    narrow = width is not None and width < parts.NARROW
    drawn = marks[:MOST_MARKS]
    if len(drawn) < len(marks):
        caption += f"; {len(drawn):,} of {len(marks):,} settings drawn, the nearest to feasible"
    x_log = axes.along_epsilon or (axes.x.log and all((m.x or 0) > 0 for m in drawn))
    layout = parts.layout(theme, revision=f"feasible|{axes.x.name}|{axes.y.name}|{axes.y_subgroup}")
    _axes(drawn, edges, axes, words, theme, layout, x_log=x_log, narrow=narrow)
    data: list[Json] = []
    lit = [m for m in drawn if m.status == "feasible"]
    rest = [m for m in drawn if m.status != "feasible"]
    kind = "scattergl" if len(drawn) > MANY_MARKS else "scatter"
    for some, bright in ((rest, False), (lit, True)):
        placed = [m for m in some if m.x is not None]
        if placed:
            data.append(_trace(placed, axes, words, theme, kind, bright=bright, runs=len(drawn) <= MANY_MARKS))
        data += [_level(m, axes, words, theme, layout, bright=bright) for m in some if m.x is None]
    data += _ring([m for m in lit if m.winner], theme, layout)
    _shade(edges, theme, layout, narrow=narrow)
    _names(drawn, theme, layout, x_log=x_log, narrow=narrow)
    columns, rows = _table(drawn, axes, words)
    return parts.figure("feasible", title, caption, data, layout, columns, rows)


# --- axes and regions -------------------------------------------------------------------------------------------------


def _range(values: Sequence[float], *, log: bool) -> list[float]:
    some = [math.log10(v) for v in values if v > 0] if log else list(values)
    low, high = min(some), max(some)
    room = (high - low) * 0.08 or abs(high) * 0.08 or 0.1
    return [low - room, high + room]


def _axes(
    marks: Sequence[Mark],
    edges: Sequence[Edge],
    axes: Axes,
    words: Words,
    theme: Theme,
    layout: Json,
    *,
    x_log: bool,
    narrow: bool,
) -> None:
    def reach(axis: str, values: list[float], *, log: bool) -> list[float]:
        # A threshold far from all settings would press them together.
        span = _range(values, log=log)
        for edge in edges:
            at = edge.threshold
            if edge.axis != axis or (log and at <= 0):
                continue
            place = math.log10(at) if log else at
            far = 0.5 * (span[1] - span[0])
            if span[0] - far <= place <= span[1] + far:
                span = [min(span[0], place - 0.04 * far), max(span[1], place + 0.04 * far)]
        return span

    xs = [m.x for m in marks if m.x is not None]
    ys = [v for m in marks for v in (m.y, *m.y_ends) if v is not None]
    if axes.along_epsilon:
        layout["xaxis"] = parts.epsilon_axis(theme, words.axis(axes.x, "all"), xs, wrap=parts.across(narrow))
    else:
        title = words.axis(axes.x, axes.x_subgroup, log=x_log)
        layout["xaxis"] = parts.metric_axis(theme, axes.x, title, wrap=parts.across(narrow), log=x_log)
    if xs:
        layout["xaxis"]["range"] = reach("x", xs, log=x_log)
    title = words.axis(axes.y, axes.y_subgroup)
    layout["yaxis"] = parts.metric_axis(theme, axes.y, title, wrap=parts.upright(narrow))
    layout["yaxis"]["range"] = reach("y", ys, log=False)


def _shade(edges: Sequence[Edge], theme: Theme, layout: Json, *, narrow: bool) -> None:
    """The infeasible side of each constraint on an axis, with the constraint written at its edge."""
    for edge in edges:
        axis = layout[f"{edge.axis}axis"]
        if "range" not in axis:
            continue
        log = axis.get("type") == "log"
        if log and edge.threshold <= 0:
            continue
        place = math.log10(edge.threshold) if log else edge.threshold
        low, high = axis["range"]
        if not low <= place <= high:
            continue
        end = high if edge.upper else low
        far = 10**end if log else end
        other = "y" if edge.axis == "x" else "x"
        common: Json = {
            f"{edge.axis}ref": edge.axis,
            f"{other}ref": "paper",
            f"{other}0": 0,
            f"{other}1": 1,
            "layer": "below",
        }
        layout["shapes"].append(
            {
                **common,
                "type": "rect",
                f"{edge.axis}0": edge.threshold,
                f"{edge.axis}1": far,
                "fillcolor": theme.shade,
                "line": {"width": 0},
            }
        )
        layout["shapes"].append(
            {
                **common,
                "type": "line",
                f"{edge.axis}0": edge.threshold,
                f"{edge.axis}1": edge.threshold,
                "line": {"color": theme.muted, "width": 1.2, "dash": "dot"},
            }
        )
        text = parts.wrapped(edge.text, 22 if narrow else 40)
        note: Json = {"text": text, "showarrow": False, "font": {"color": theme.muted, "size": 11}, "align": "left"}
        if edge.axis == "x":
            side = "left" if edge.upper else "right"
            shift = 4 if edge.upper else -4
            where: Json = {"x": place, "y": 1, "yref": "paper", "xanchor": side, "yanchor": "top", "xshift": shift}
        else:
            below = not edge.upper
            where = {"x": 0, "xref": "paper", "y": place, "xanchor": "left", "yanchor": "top" if below else "bottom"}
            where["xshift"] = 6
        layout["annotations"].append({**note, **where})


# --- marks ------------------------------------------------------------------------------------------------------------

_SAID = {
    "feasible": "Meets every constraint",
    "infeasible": "Not feasible",
    "unknown": "Unknown",
    "excluded": "Left out",
}


def _hover(mark: Mark, axes: Axes, words: Words) -> str:
    lines = []
    if mark.x is not None and not axes.along_epsilon:
        lines.append(f"{words.phrase(axes.x, axes.x_subgroup)}: {parts.interval(mark.x, *mark.x_ends)}")
    lines.append(f"{words.phrase(axes.y, axes.y_subgroup)}: {parts.interval(mark.y, *mark.y_ends)}")
    lines.append(f"{mark.seeds} {'seed' if mark.seeds == 1 else 'seeds'}")
    lines.append(_SAID[mark.status] + (", the best" if mark.winner else ""))
    lines += list(mark.reasons)[:4]
    lines.append(mark.chance)
    return parts.hover(mark.label, lines)


def _trace(
    marks: Sequence[Mark], axes: Axes, words: Words, theme: Theme, kind: str, *, bright: bool, runs: bool
) -> Json:
    strokes = [theme.of(m.method).stroke for m in marks]
    symbols = [look(m.method).symbol + ("" if bright else "-open") for m in marks]
    # One look for all is written once.
    colour, symbol = (one[0] if len(set(one)) == 1 else one for one in (strokes, symbols))
    return {
        "type": kind,
        "mode": "markers",
        "name": "Feasible" if bright else "Not feasible",
        "x": np.array([m.x for m in marks], dtype=np.float64),
        "y": np.array([m.y for m in marks], dtype=np.float64),
        **({"customdata": [list(m.runs) for m in marks]} if runs else {}),
        "meta": {"settings": [m.setting for m in marks]},
        "hovertext": [_hover(m, axes, words) for m in marks],
        "hoverinfo": "text",
        "marker": {
            "symbol": symbol,
            "size": 11 if bright else 8,
            "color": colour,
            "opacity": 1.0 if bright else 0.45,
            # An open symbol is drawn in the mark's own colour.
            "line": {"width": 1.2, **({"color": colour} if bright else {})},
        },
        **(_bars(marks, strokes) if bright and len(marks) <= 40 else {}),
    }


def _bars(marks: Sequence[Mark], strokes: Sequence[str]) -> Json:
    up = [0.0 if m.y_ends[1] is None else m.y_ends[1] - m.y for m in marks]
    down = [0.0 if m.y_ends[0] is None else m.y - m.y_ends[0] for m in marks]
    colour = faint(strokes[0], 0.5) if len(set(strokes)) == 1 else "rgba(128,128,128,0.6)"
    return {
        "error_y": {
            "type": "data",
            "symmetric": False,
            "array": up,
            "arrayminus": down,
            "color": colour,
            "thickness": 1.2,
            "width": 0,
        }
    }


def _level(mark: Mark, axes: Axes, words: Words, theme: Theme, layout: Json, *, bright: bool) -> Json:
    """What is not private over epsilon: a level and never a point."""
    low, high = (10**end for end in layout["xaxis"].get("range", (-1.0, 1.0)))
    text = _hover(mark, axes, words)
    stroke = theme.of(mark.method).stroke
    return {
        "type": "scatter",
        "mode": "lines",
        "name": parts.safe(mark.label),
        "x": [low, high],
        "y": [mark.y, mark.y],
        "customdata": [list(mark.runs)] * 2,
        "meta": {"settings": [mark.setting, mark.setting]},
        "hovertext": [text, text],
        "hoverinfo": "text",
        "line": {"color": stroke if bright else faint(stroke, 0.45), "width": 1.5, "dash": "dash"},
    }


def _ring(winners: Sequence[Mark], theme: Theme, layout: Json) -> list[Json]:
    placed = [m for m in winners if m.x is not None]
    if not placed:
        return []
    return [
        {
            "type": "scatter",
            "mode": "markers",
            "name": "Best",
            "x": [m.x for m in placed],
            "y": [m.y for m in placed],
            "hoverinfo": "skip",
            "marker": {"symbol": "circle-open", "size": 22, "color": theme.text, "line": {"width": 2}},
        }
    ]


def _names(marks: Sequence[Mark], theme: Theme, layout: Json, *, x_log: bool, narrow: bool) -> None:
    """Each method named once, at its mark furthest to the right; what is not private beside its level."""
    last: dict[str, Mark] = {}
    for mark in marks:
        before = last.get(mark.method)
        if before is None or (mark.x is not None and (before.x is None or mark.x > before.x)):
            last[mark.method] = mark
    low, high = layout["yaxis"]["range"]
    ends = list(last.values())
    texts = [
        parts.wrapped(
            m.title if m.x is not None or "private" in m.title else f"{m.title}, not private", 15 if narrow else 24
        )
        for m in ends
    ]
    heights = [parts.LABEL_HEIGHT * (1 + t.count("<br>")) for t in texts]
    shifts = parts.spread([m.y for m in ends], low, high, heights)
    for mark, text, shift in zip(ends, texts, shifts, strict=True):
        ink = theme.of(mark.method).ink
        beside = mark.x is None or mark.x == max((m.x for m in ends if m.x is not None), default=None)
        place = math.log10(mark.x) if x_log and mark.x else (mark.x or 0.0)
        where: Json = {"x": 1.0, "xref": "paper", "xshift": 6} if beside else {}
        layout["annotations"].append({**parts.end_label(theme, place, mark.y, text, ink, yshift=shift), **where})
    longest = max(len(line) for text in texts for line in text.split("<br>"))
    layout["margin"]["r"] = min(130 if narrow else 200, 18 + parts.CHARACTER * longest)


def _table(marks: Sequence[Mark], axes: Axes, words: Words) -> tuple[list[TableColumn], list[list[Cell]]]:
    columns = [
        TableColumn(title="Setting", numeric=False),
        TableColumn(title=words.phrase(axes.x, axes.x_subgroup), unit=axes.x.unit),
        TableColumn(title=words.phrase(axes.y, axes.y_subgroup), unit=axes.y.unit),
        TableColumn(title="Seeds"),
        TableColumn(title="Status", numeric=False),
        TableColumn(title="Why", numeric=False),
    ]
    rows: list[list[Cell]] = [
        [
            m.label,
            m.x,
            m.y,
            m.seeds,
            _SAID[m.status] + (", the best" if m.winner else ""),
            "; ".join(m.reasons),
        ]
        for m in marks[:500]
    ]
    return columns, rows


def edge_text(words: Words, metric: MetricInfo, *, upper: bool, threshold: float) -> str:
    """What is written at the edge of a region: "ε at most 4"."""
    name = "ε" if metric.name == "epsilon" else metric.title
    return f"{name} {'at most' if upper else 'at least'} {value_text(threshold)}"
