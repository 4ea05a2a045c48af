"""A quantity of the Gaussian task along n or epsilon: closed forms as lines, simulated trainings as points."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from backend.analysis.gaussian_sweep import Sweep
from backend.contracts.public import Figure, TableColumn
from backend.figures import parts
from backend.figures.parts import Cell, Json
from backend.figures.theme import Shades, Theme

#: Estimators by their place in a sweep: name, hue, symbol. The standard one is neutral, as plain training is elsewhere.
ESTIMATORS = (("Standard", "neutral", "circle"), ("Robust", "blue", "diamond"))
#: Marks of the rows axis.
TICKS = (2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000)
FEW_TICKS = (2, 10, 100, 1000, 10_000)


@dataclass(frozen=True)
class Shown:
    """A quantity of both estimators: its key in a sweep, what its labels add, how its lines are drawn."""

    quantity: str
    suffix: str
    dash: str


@dataclass(frozen=True)
class Picture:
    """What is drawn and said. `short` names the quantity in the table and `at` is marked.

    `rows`: x is n, on a logarithmic axis; `log`: y is logarithmic, too; `share`: y is between 0 and 1.
    """

    name: str
    title: str
    caption: str
    drawn: Sweep
    shown: Sequence[Shown]
    x_title: str
    y_title: str
    short: str
    at: float
    at_label: str
    rows: bool
    log: bool
    share: bool


def sweep(picture: Picture, theme: Theme, width: int | None) -> Figure:
    """Lines and points of both estimators for every quantity that is shown."""
    drawn, shown, rows, log = picture.drawn, picture.shown, picture.rows, picture.log
    narrow = width is not None and width < parts.NARROW
    layout = parts.layout(theme, revision=picture.name, height=380 if narrow else 420)
    low, high = float(drawn.x[0]), float(drawn.x[-1])
    if rows:
        ticks = FEW_TICKS if narrow else TICKS
        layout["xaxis"] = parts.axis(
            theme, picture.x_title, wrap=parts.across(narrow), type="log", tickmode="array", minor={"showgrid": False},
            tickvals=list(ticks), ticktext=[f"{tick:,}" for tick in ticks],
            range=[math.log10(low) - 0.05, math.log10(high) + 0.05], tickangle=0,
        )  # fmt: skip
    else:
        layout["xaxis"] = parts.axis(
            theme, picture.x_title, wrap=parts.across(narrow), range=[-0.02 * high, 1.02 * high]
        )
    data: list[Json] = []
    ends: list[tuple[str, float, str]] = []
    edges: list[float] = []
    floor = _floor(drawn, shown) if log else 0.0
    for one in shown:
        for place, (estimator, hue, symbol) in enumerate(ESTIMATORS):
            shades = theme.hues.get(hue, theme.neutral)
            label = f"{estimator}{one.suffix}"
            line = drawn.expected[one.quantity][place]
            data += [
                _line(label, drawn, one, place, shades, rows),
                _points(label, drawn, one, place, shades, symbol, rows, floor),
            ]
            ends.append((label, float(line[-1]), shades.ink))
            edges += [float(v) for v in line if not log or v > floor]
            marks = data[-1]
            edges += [y + up for y, up in zip(marks["y"], marks["error_y"]["array"], strict=True)]
            edges += [y - down for y, down in zip(marks["y"], marks["error_y"]["arrayminus"], strict=True)]
    scaled = [math.log10(max(e, floor)) if log else e for e in edges]
    bottom, top = min(scaled), max(scaled)
    if picture.share:
        bottom, top = max(0.0, bottom), min(1.0, top)
    room = 0.04 * (top - bottom) or 0.05
    layout["yaxis"] = parts.axis(
        theme, picture.y_title, wrap=parts.upright(narrow), range=[bottom - room, top + room],
        **({"type": "log", "dtick": 1, "tickformat": "~g"} if log else {"tickformat": ".3~g"}),
    )  # fmt: skip
    _label(ends, bottom - room, top + room, log, floor, layout, theme, narrow)
    _mark(picture.at, picture.at_label, rows, layout, theme)
    columns, table = _table(drawn, shown, picture.short, rows)
    return parts.figure(picture.name, picture.title, picture.caption, data, layout, columns, table)


def _floor(drawn: Sweep, shown: Sequence[Shown]) -> float:
    """Where a logarithmic axis begins: below a tenth of the standard estimator's smallest value."""
    return float(min(drawn.expected[one.quantity][0].min() for one in shown)) / 10


def _x(value: float, rows: bool) -> str:
    return f"n = {value:,.0f}" if rows else f"ε = {parts.number(value)}"


def _line(label: str, drawn: Sweep, one: Shown, place: int, shades: Shades, rows: bool) -> Json:
    values, errors = drawn.expected[one.quantity][place], drawn.error[one.quantity][place]
    text = [
        parts.hover(
            f"{label}, closed form", [_x(x, rows), parts.number(v) + (f", error at most {e:.1g}" if e > 5e-4 else "")]
        )
        for x, v, e in zip(drawn.x.tolist(), values.tolist(), errors.tolist(), strict=True)
    ]
    return {
        "type": "scatter", "mode": "lines", "name": parts.safe(label), "x": drawn.x.tolist(), "y": values.tolist(),
        "hovertext": text, "hoverinfo": "text", "line": {"color": shades.stroke, "width": 2, "dash": one.dash},
    }  # fmt: skip


def _points(
    label: str, drawn: Sweep, shown: Shown, place: int, shades: Shades, symbol: str, rows: bool, floor: float
) -> Json:
    """Means over trainings with their intervals; those that a logarithmic axis cannot show are left out."""
    values = [
        (x, one.trainings, *(float(part[shown.quantity][place]) for part in (one.mean, one.low, one.high)))
        for x, one in sorted(drawn.simulated.items())
    ]
    kept = [v for v in values if v[2] > floor or floor == 0]
    text = [
        parts.hover(f"{label}, simulated", [_x(x, rows), parts.interval(m, low, high), f"{trainings} trainings"])
        for x, trainings, m, low, high in kept
    ]
    return {
        "type": "scatter", "mode": "markers", "name": f"{parts.safe(label)}, simulated",
        "x": [x for x, *_ in kept], "y": [m for _, _, m, _, _ in kept], "hovertext": text, "hoverinfo": "text",
        "marker": {"symbol": symbol, "size": 7, "color": shades.stroke},
        "error_y": {
            "type": "data", "symmetric": False, "color": shades.stroke, "thickness": 1.2, "width": 3,
            "array": [high - m for _, _, m, _, high in kept],
            "arrayminus": [m - (max(low, floor) if floor else low) for _, _, m, low, _ in kept],
        },
    }  # fmt: skip


def _label(
    ends: Sequence[tuple[str, float, str]], bottom: float, top: float, log: bool, floor: float, layout: Json,
    theme: Theme, narrow: bool,
) -> None:  # fmt: skip
    texts = [parts.wrapped(text, 12 if narrow else 22) for text, _, _ in ends]
    at = [math.log10(max(y, floor)) if log else y for _, y, _ in ends]
    heights = [parts.LABEL_HEIGHT * (1 + text.count("<br>")) for text in texts]
    for text, y, (_, _, ink), shift in zip(texts, at, ends, parts.spread(at, bottom, top, heights), strict=True):
        label = parts.end_label(theme, 1.0, y, text, ink, yshift=shift)
        layout["annotations"].append({**label, "xref": "paper", "xshift": 6})
    longest = max(len(part) for text in texts for part in text.split("<br>"))
    layout["margin"]["r"] = 18 + parts.CHARACTER * longest


def _mark(at: float, label: str, rows: bool, layout: Json, theme: Theme) -> None:
    """The asked setting, a line from top to bottom."""
    place = math.log10(at) if rows else at
    layout["shapes"].append(
        {
            "type": "line", "xref": "x", "x0": at, "x1": at, "yref": "paper", "y0": 0, "y1": 1,
            "line": {"color": theme.muted, "width": 1, "dash": "dot"}, "layer": "below",
        }
    )  # fmt: skip
    layout["annotations"].append(
        {
            "x": place, "y": 1, "yref": "paper", "text": parts.safe(label), "showarrow": False, "yanchor": "bottom",
            "font": {"size": 11, "color": theme.muted},
        }
    )  # fmt: skip
    layout["margin"]["t"] = 26


def _table(drawn: Sweep, shown: Sequence[Shown], short: str, rows: bool) -> tuple[list[TableColumn], list[list[Cell]]]:
    names = [(one, place, f"{name}{one.suffix}") for one in shown for place, (name, _, _) in enumerate(ESTIMATORS)]
    columns = [TableColumn(title="n" if rows else "ε"), *(TableColumn(title=name, unit=short) for *_, name in names)]
    for _, _, name in names:
        columns += [TableColumn(title=f"{name}, {what}") for what in ("simulated", "95 % low", "95 % high")]
    columns += [TableColumn(title="Trainings"), TableColumn(title="Error at most")]
    table: list[list[Cell]] = []
    for i, x in enumerate(drawn.x.tolist()):
        found = drawn.simulated.get(x)
        row: list[Cell] = [int(x) if rows else x]
        row += [float(drawn.expected[one.quantity][place, i]) for one, place, _ in names]
        for one, place, _ in names:
            measured = (found.mean, found.low, found.high) if found else ()
            row += [float(part[one.quantity][place]) for part in measured] or [None, None, None]
        row += [found.trainings if found else None, float(np.max([drawn.error[one.quantity][:, i] for one in shown]))]
        table.append(row)
    return columns, table
