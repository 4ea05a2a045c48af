"""One metric of every cell of two attributes: who is treated how where two attributes meet."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from backend.analysis.labels import Words, lower_first
from backend.contracts.catalogue import MetricInfo
from backend.contracts.public import Figure, TableColumn
from backend.contracts.results import ALL
from backend.contracts.spec import INTERSECTION
from backend.figures import parts
from backend.figures.parts import Cell, Json
from backend.figures.theme import Theme
from backend.figures.tradeoff import faint_on

EVERYBODY = "Everybody"


@dataclass(frozen=True)
class Cross:
    """One metric of one subgroup: mean over runs, interval, rows, runs; NaN where it is withheld or not defined."""

    subgroup: str
    value: float
    low: float
    high: float
    n: int | None
    seeds: int

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
                layout["shapes"].append(
                    {
                        "type": "rect", "x0": j - 0.47, "x1": j + 0.47, "y0": i - 0.45, "y1": i + 0.45,
                        "line": {"color": theme.muted, "width": 1.2, "dash": "dot"},
                    }
                )  # fmt: skip
    listed = [cell for line in grid for cell in line if cell is not None]
    withheld = sum(not math.isfinite(cell.value) for cell in listed)
    absent = sum(cell is None for line in grid for cell in line)
    said = [caption, f"dotted: fewer than {parts.SMALL_N} rows, or without a number"]
    said += [f"{withheld} without a number: withheld or not defined"] if withheld else []
    said += [f"{absent} without rows"] if absent else []
    table = [
        TableColumn(title="Subgroup", numeric=False), TableColumn(title=metric.title, unit=metric.unit),
        TableColumn(title="95 % low", unit=metric.unit), TableColumn(title="95 % high", unit=metric.unit),
        TableColumn(title="n"), TableColumn(title="Runs"), TableColumn(title="Note", numeric=False),
    ]  # fmt: skip
    body: list[list[Cell]] = [
        [
            _name(cell, words), cell.value, cell.low, cell.high, cell.n, cell.seeds,
            "withheld or not defined" if not math.isfinite(cell.value) else "few rows" if cell.small else "",
        ]
        for cell in listed
    ]  # fmt: skip
    return parts.figure(
        "intersections", finding(listed, metric, words, who) or title, "; ".join(said), [trace], layout, table, body
    )


def finding(cells: Sequence[Cross], metric: MetricInfo, words: Words, who: str) -> str | None:
    """Names the worst intersection where its interval lies apart from that of every other; else nothing."""
    if metric.higher_is_better is None:
        return None
    inner = [c for c in cells if c.subgroup.count(INTERSECTION) == 1 and math.isfinite(c.value)]
    if len(inner) < 3 or any(c.small or not math.isfinite(c.low) for c in inner):
        return None
    sign = 1 if metric.higher_is_better else -1
    worst = min(inner, key=lambda c: sign * c.value)
    near = worst.high if metric.higher_is_better else worst.low
    if any(sign * ((c.low if metric.higher_is_better else c.high) - near) <= 0 for c in inner if c is not worst):
        return None
    side = "lowest" if metric.higher_is_better else "highest"
    return (
        f"{words.subgroup(worst.subgroup)}: {side} {lower_first(metric.title)} where attributes meet, {who}, with an "
        "interval that overlaps no other"
    )


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
    ends = [value if math.isfinite(value) else None for value in (cell.value, cell.low, cell.high)]
    return parts.hover(
        _name(cell, words),
        [
            f"{metric.title}: {parts.interval(ends[0], ends[1], ends[2])}",
            (f"n = {cell.n:,}, " if cell.n is not None else "")
            + f"{cell.seeds} {'run' if cell.seeds == 1 else 'runs'}",
            "few rows: read with care" if cell.small else "",
        ],
    )
