"""Parallel coordinates: every setting a line across metrics and parameters."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from backend.analysis.labels import Words, lower_first
from backend.analysis.table import Floats
from backend.contracts.public import Figure, TableColumn
from backend.figures import parts
from backend.figures.parts import Cell, Json
from backend.figures.theme import Theme

#: Rows of the table beside.
MOST_ROWS = 2000


@dataclass(frozen=True)
class Dimension:
    """One upright axis: a number of every line, `[lines]`."""

    title: str
    unit: str
    values: Floats
    log: bool = False


def parallel_figure(
    dimensions: Sequence[Dimension],
    settings: Sequence[int],
    labels: Sequence[str],
    methods: Sequence[str],
    words: Words,
    theme: Theme,
    *,
    caption: str,
    width: int | None,
) -> Figure:
    """The lines, coloured by method."""
    names = [lower_first(d.title) for d in dimensions]
    listed = " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
    count = f"{len(settings):,} {'setting' if len(settings) == 1 else 'settings'}"
    title = f"{count} across {listed}" if names else "Settings across metrics"
    if not settings:
        reason = "No setting has all of these figures yet. Choose other metrics, or wait for the first run."
        return parts.empty("parallel", title, reason, theme, caption)
    narrow = width is not None and width < parts.NARROW
    order = sorted(set(methods), key=words.method)
    codes = np.array([order.index(method) for method in methods], dtype=np.float64)
    layout = parts.layout(theme, revision="parallel|" + "|".join(d.title for d in dimensions), height=440)
    layout["xaxis"] = layout["yaxis"] = {"visible": False}
    trace: Json = {
        "type": "parcoords",
        "line": {
            "color": codes,
            "colorscale": _steps([theme.of(method).stroke for method in order]),
            "cmin": -0.5,
            "cmax": len(order) - 0.5,
        },
        "dimensions": [_dimension(d, narrow) for d in dimensions],
        "labelfont": {"size": 11, "color": theme.muted},
        "tickfont": {"size": 11, "color": theme.text},
        "rangefont": {"size": 1, "color": "rgba(0,0,0,0)"},
        "meta": {"settings": list(settings)},
    }
    parts.key([(words.method(m), "square", theme.of(m).ink) for m in order], layout, theme, narrow, above=46)
    layout["margin"] |= {"l": 60, "r": 60, "b": 30}
    columns = [TableColumn(title="Setting", numeric=False)]
    columns += [TableColumn(title=d.title, unit=d.unit) for d in dimensions]
    across = [parts.listed(d.values) for d in dimensions]
    rows: list[list[Cell]] = [[label, *cells] for label, *cells in zip(labels, *across, strict=True)]
    return parts.figure("parallel", title, caption, [trace], layout, columns, rows, settings)


def _dimension(d: Dimension, narrow: bool) -> Json:
    label = parts.wrapped(f"{d.title}, {d.unit}" if d.unit and not narrow else d.title, 12 if narrow else 18)
    if not d.log:
        return {"label": label, "values": d.values}
    values = np.log10(d.values)
    low, high = math.floor(float(values.min()) * 1.0), math.ceil(float(values.max()))
    ticks = [10.0**e * m for e in range(low, high + 1) for m in (1, 2, 5)]
    inside = [t for t in ticks if values.min() - 1e-9 <= math.log10(t) <= values.max() + 1e-9]
    return {
        "label": label,
        "values": values,
        "tickvals": [round(math.log10(t), 6) for t in inside],
        "ticktext": [f"{t:g}" for t in inside],
    }


def _steps(colours: Sequence[str]) -> list[list[float | str]]:
    """A scale of flat steps: one colour per whole number."""
    count = len(colours)
    return [[edge / count, colour] for i, colour in enumerate(colours) for edge in (i, i + 1)]
