"""One metric of every cell of two attributes: who is treated how where two attributes meet."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from backend.analysis.labels import Words, lower_first
from backend.analysis.table import Floats
from backend.analysis.worst import worst
from backend.contracts.catalogue import MetricInfo
from backend.contracts.public import Figure, TableColumn
from backend.contracts.results import ALL
from backend.contracts.spec import INTERSECTION
from backend.figures import parts
from backend.figures.parts import Cell, Json
from backend.figures.theme import Theme, faint
from backend.figures.tradeoff import faint_on

EVERYBODY = "Everybody"


@dataclass(frozen=True)
class Cross:
    """One metric of one subgroup: mean over seeds, interval, rows; NaN where it is withheld or not defined."""

    subgroup: str
    value: float
    low: float | None
    high: float | None
    n: int | None
    #: The mean of each seed, `[seeds]`, the same seeds for all cells; NaN where one has none.
    by_seed: Floats

    @property
    def seeds(self) -> int:
        """Seeds with a number."""
        return int(np.isfinite(self.by_seed).sum())

    @property
    def small(self) -> bool:
        """Whether it has too few rows to lean on."""
        return self.n is not None and self.n < parts.SMALL_N


def intersections_figure(
    cells: Mapping[str, Cross],
    family: str,
    metric: MetricInfo,
    words: Words,
    theme: Theme,
    *,
    who: str,
    settings: Sequence[int],
    caption: str,
    width: int | None,
) -> Figure:
    """The cells with their margins; small ones dashed, those without a number said to be so."""
    title = f"{metric.title} where attributes meet, {who}"
    if not family or not settings:
        reason = (
            f"{metric.title} is not measured where two attributes meet. Submit a study whose subgroups name a pair, "
            "such as sex and race together, or choose another metric."
        )
        return parts.empty("intersections", title, reason, theme, caption)
    a, _, b = family.partition(INTERSECTION)
    down, across = (_values(cells, name) for name in (a, b))
    narrow = width is not None and width < parts.NARROW
    rows, columns = [*down, ""], [*across, ""]
    grid = [[_find(cells, a, row, b, column) for column in columns] for row in rows]
    layout = parts.layout(theme, revision=f"intersections|{metric.name}|{family}", height=140 + 62 * len(rows))
    for axis, names, attribute in (("xaxis", columns, b), ("yaxis", rows, a)):
        layout[axis] = parts.axis(
            theme, words.attribute(attribute).capitalize(), tickmode="array", tickvals=list(range(len(names))),
            ticktext=[parts.safe(name or EVERYBODY) for name in names], ticks="", showline=False, showgrid=False,
        )  # fmt: skip
    layout["yaxis"] |= {"autorange": "reversed"}
    z = [[cell.value if cell is not None else math.nan for cell in line] for line in grid]
    trace: Json = {
        "type": "heatmap",
        "z": z,
        "x": list(range(len(columns))),
        "y": list(range(len(rows))),
        "xgap": 3,
        "ygap": 3,
        "hoverinfo": "text",
        "hoverongaps": False,
        "hovertext": [[_hover(cell, metric, words) for cell in line] for line in grid],
        "colorscale": [[share, faint_on(theme, theme.hues["blue"].stroke, 0.08 + 0.37 * share)] for share in (0, 1)],
        "colorbar": {
            "title": {"text": parts.wrapped(words.axis(metric, ALL), 16), "font": {"size": 11, "color": theme.muted}},
            "thickness": 10, "outlinewidth": 0, "tickfont": {"size": 11, "color": theme.muted},
        },
        "showscale": not narrow,
        "meta": {"settings": list(settings)},
    }  # fmt: skip
    for i, line in enumerate(grid):
        for j, cell in enumerate(line):
            layout["annotations"].append(
                {"x": j, "y": i, "text": _text(cell), "showarrow": False, "font": {"size": 12, "color": theme.text}}
            )
            if cell is None or cell.small or not math.isfinite(cell.value):
                layout["shapes"] += _hatched(j, i, theme)
    listed = [cell for line in grid for cell in line if cell is not None]
    withheld = sum(not math.isfinite(cell.value) for cell in listed)
    absent = sum(cell is None for line in grid for cell in line)
    said = [caption, f"hatched: fewer than {parts.SMALL_N} rows, or without a number"]
    said += [f"{withheld} without a number: withheld or not defined"] if withheld else []
    said += [f"{absent} without rows"] if absent else []
    table = [
        TableColumn(title="Subgroup", numeric=False), TableColumn(title=metric.title, unit=metric.unit),
        TableColumn(title="95 % low", unit=metric.unit), TableColumn(title="95 % high", unit=metric.unit),
        TableColumn(title="n"), TableColumn(title="Seeds"), TableColumn(title="Note", numeric=False),
    ]  # fmt: skip
    body: list[list[Cell]] = [
        [
            _name(cell, words), cell.value, cell.low, cell.high, cell.n, cell.seeds,
            "withheld or not defined" if not math.isfinite(cell.value) else "few rows" if cell.small else "",
        ]
        for cell in listed
    ]  # fmt: skip
    found = finding(listed, metric, words, who)
    return parts.figure(
        "intersections", found or title, "; ".join(said), [trace], layout, table, body, supported=found is not None
    )


def finding(cells: Sequence[Cross], metric: MetricInfo, words: Words, who: str) -> str | None:
    """Names the worst intersection where tests over the seeds hold it apart from every other; else nothing.

    How is said at `backend.analysis.worst.worst`.
    """
    inner = [c for c in cells if c.subgroup.count(INTERSECTION) == 1]
    if metric.higher_is_better is None or len(inner) < 3 or any(c.small or not math.isfinite(c.value) for c in inner):
        return None
    found = worst([{c.subgroup: c.by_seed for c in inner}], higher_is_better=metric.higher_is_better)
    if found is None:
        return None
    side = "lowest" if metric.higher_is_better else "highest"
    return (
        f"{words.subgroup(found.subgroup)}: {side} {lower_first(metric.title)} where attributes meet, {who}; "
        f"Holm-corrected p = {found.p:.2g} over {found.pairs} seeds"
    )


def _hatched(x: int, y: int, theme: Theme) -> list[Json]:
    """A frame and diagonals over one cell: seen without colour, and faint enough to read the number through."""
    left, right, top, bottom = x - 0.47, x + 0.47, y - 0.45, y + 0.45
    strokes = []
    for share in (0.25, 0.5, 0.75, 1.0):
        across, down = left + share * (right - left), top + share * (bottom - top)
        strokes.append(f"M {across:.3f},{top:.3f} L {left:.3f},{down:.3f}")
        if share < 1:
            strokes.append(f"M {right:.3f},{down:.3f} L {across:.3f},{bottom:.3f}")
    lines = {"type": "path", "path": " ".join(strokes), "line": {"color": faint(theme.muted, 0.35), "width": 1}}
    frame = {"type": "rect", "x0": left, "x1": right, "y0": top, "y1": bottom}
    return [lines, {**frame, "line": {"color": theme.muted, "width": 1.2, "dash": "dot"}}]


def _values(cells: Mapping[str, Cross], attribute: str) -> list[str]:
    """Values that an attribute takes in any cell, each once, sorted."""
    pairs = (part.partition("=") for name in cells if name != ALL for part in name.split(INTERSECTION))
    return sorted({value for key, _, value in pairs if key == attribute})


def _find(cells: Mapping[str, Cross], a: str, row: str, b: str, column: str) -> Cross | None:
    named = [f"{name}={value}" for name, value in ((a, row), (b, column)) if value]
    return cells.get(INTERSECTION.join(named) if named else ALL)


def _name(cell: Cross, words: Words) -> str:
    return EVERYBODY if cell.subgroup == ALL else words.subgroup(cell.subgroup)


def _text(cell: Cross | None) -> str:
    if cell is None:
        return "no rows"
    count = "" if cell.n is None else f"<br>n = {cell.n:,}"
    return (f"{cell.value:.3g}" if math.isfinite(cell.value) else "withheld") + count


def _hover(cell: Cross | None, metric: MetricInfo, words: Words) -> str:
    if cell is None:
        return "no rows"
    value = cell.value if math.isfinite(cell.value) else None
    return parts.hover(
        _name(cell, words),
        [
            f"{metric.title}: {parts.interval(value, cell.low, cell.high)}",
            (f"n = {cell.n:,}, " if cell.n is not None else "")
            + f"{cell.seeds} {'seed' if cell.seeds == 1 else 'seeds'}",
            "few rows: read with care" if cell.small else "",
        ],
    )
