"""One metric of every subgroup, worst first: who pays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from backend.analysis.labels import Words, lower_first
from backend.analysis.table import Floats
from backend.analysis.worst import worst
from backend.contracts.catalogue import MetricInfo
from backend.contracts.public import Figure, TableColumn
from backend.contracts.results import ALL
from backend.figures import parts
from backend.figures.parts import Cell, Json
from backend.figures.theme import Theme, look

#: Rows of a plot beyond which it gets taller, and their height in pixels.
ROW_HEIGHT, NARROW_ROW_HEIGHT = 30, 36
#: Characters of a subgroup's name that a narrow figure has room for.
LONGEST_NARROW = 22


@dataclass(frozen=True)
class Mark:
    """One metric of one subgroup under one setting."""

    subgroup: str
    value: float
    low: float | None
    high: float | None
    n: int | None
    seeds: int
    run_ids: list[str]
    #: The number of each run of the setting, `[runs]`, the same runs for all subgroups; NaN where one has none.
    by_seed: Floats


@dataclass(frozen=True)
class Line:
    """One setting, with its marks by subgroup."""

    method: str
    label: str
    baseline: bool
    degenerate: bool
    marks: Mapping[str, Mark]
    setting: int | None = None


def subgroups(
    lines: Sequence[Line],
    metric: MetricInfo,
    words: Words,
    theme: Theme,
    *,
    at: str,
    caption: str,
    width: int | None,
    order: Literal["value", "gap"] = "value",
) -> Figure:
    """Subgroups as rows, one symbol per setting. Ordered by value with the worst on top, or by gap: by how far a
    subgroup is from everybody, the furthest on top."""
    title = f"{metric.title} of each subgroup{at}"
    lines = [line for line in lines if line.marks]
    if not lines:
        reason = f"{metric.title} is not measured for subgroups of these runs. Choose another metric or split."
        return parts.empty("subgroups", title, reason, theme, caption)
    names = _by_gap(lines, metric) if order == "gap" else _ordered(lines, metric)
    place = {name: len(names) - 1 - i for i, name in enumerate(names)}
    narrow = width is not None and width < parts.NARROW
    sizes = {name: next((m.n for line in lines if (m := line.marks.get(name))), None) for name in names}
    height = max(280, 110 + (NARROW_ROW_HEIGHT if narrow else ROW_HEIGHT) * len(names))
    layout = parts.layout(theme, revision=f"subgroups|{metric.name}", right=20, height=height)
    better = words.axis(metric, ALL)
    layout["xaxis"] = parts.metric_axis(theme, metric, better, wrap=parts.across(narrow))
    layout["yaxis"] = parts.axis(
        theme,
        "",
        tickmode="array",
        tickvals=[place[name] for name in names],
        ticktext=[_row_label(name, sizes[name], words, narrow) for name in names],
        range=[-0.7, len(names) - 0.3],
        ticks="",
        showline=False,
        fixedrange=True,
    )
    if ALL in place:
        layout["shapes"].append(
            {
                "type": "rect", "xref": "paper", "x0": 0, "x1": 1, "yref": "y",
                "y0": place[ALL] - 0.45, "y1": place[ALL] + 0.45,
                "fillcolor": theme.shade, "line": {"width": 0}, "layer": "below",
            }
        )  # fmt: skip
    data = [_trace(line, i, len(lines), place, metric, words, theme) for i, line in enumerate(lines)]
    _key(lines, layout, theme, narrow)
    columns, rows, settings = _table(lines, names, metric, words)
    found = finding(lines, metric, words, at)
    by_value = "worst" if metric.higher_is_better is not None else "largest"
    first = "furthest from everybody" if order == "gap" else by_value
    if found is not None:
        caption += "; exact paired Wilcoxon signed-rank tests over seeds"
    return parts.figure(
        "subgroups", found or f"{title}, {first} first", caption, data, layout, columns, rows, settings,
        supported=found is not None,
    )  # fmt: skip


def _ordered(lines: Sequence[Line], metric: MetricInfo) -> list[str]:
    """Worst first, by the mean over the settings; where neither direction is better, largest first."""
    values: dict[str, list[float]] = {}
    for line in lines:
        for name, mark in line.marks.items():
            values.setdefault(name, []).append(mark.value)
    sign = 1 if metric.higher_is_better else -1
    return sorted(values, key=lambda name: (sign * sum(values[name]) / len(values[name]), name))


def _by_gap(lines: Sequence[Line], metric: MetricInfo) -> list[str]:
    """Furthest from everybody first, by the mean distance over the settings; everybody stands at the bottom. Where
    everybody has no number, as with gaps, by value."""
    if not any(ALL in line.marks for line in lines):
        return _ordered(lines, metric)
    away: dict[str, list[float]] = {}
    for line in lines:
        everybody = line.marks.get(ALL)
        for name, mark in line.marks.items():
            if everybody is not None:
                away.setdefault(name, []).append(abs(mark.value - everybody.value))
    rest = [name for name in _ordered(lines, metric) if name not in away]
    return sorted(away, key=lambda name: (name == ALL, -sum(away[name]) / len(away[name]), name)) + rest


def _row_label(name: str, n: int | None, words: Words, narrow: bool) -> str:
    text = "Everybody" if name == ALL else words.subgroup(name)
    if not narrow:
        return parts.safe(f"{text} (n = {n:,})" if n is not None else text)
    # One line for the name, which hover text and table give in full, and one for n.
    short = text if len(text) <= LONGEST_NARROW else text[: LONGEST_NARROW - 1] + "…"
    return parts.safe(short) + (f"<br>n = {n:,}" if n is not None else "")


def _offset(index: int, count: int) -> float:
    return 0.0 if count < 2 else 0.5 * ((count - 1) / 2 - index) / (count - 1)


def _trace(
    line: Line, index: int, count: int, place: Mapping[str, int], metric: MetricInfo, words: Words, theme: Theme
) -> Json:
    shades = theme.of(line.method)
    marks = [line.marks[name] for name in place if name in line.marks]
    symbol = look(line.method).symbol

    def shape(mark: Mark) -> str:
        if line.degenerate:
            return "x-open"
        return f"{symbol}-open" if mark.n is not None and mark.n < parts.SMALL_N else symbol

    def text(mark: Mark) -> str:
        who = "Everybody" if mark.subgroup == ALL else words.subgroup(mark.subgroup)
        count = f"n = {mark.n:,}, " if mark.n is not None else ""
        small = "few rows: read with care" if mark.n is not None and mark.n < parts.SMALL_N else ""
        return parts.hover(
            f"{who}, {line.label}",
            [
                f"{metric.title}: {parts.interval(mark.value, mark.low, mark.high)}",
                f"{count}{mark.seeds} {'seed' if mark.seeds == 1 else 'seeds'}",
                small,
            ],
        )

    return {
        "type": "scatter",
        "mode": "markers",
        "name": parts.safe(line.label),
        "x": [m.value for m in marks],
        "y": [place[m.subgroup] + _offset(index, count) for m in marks],
        "customdata": [m.run_ids for m in marks],
        "meta": {"settings": [line.setting] * len(marks)},
        "hovertext": [text(m) for m in marks],
        "hoverinfo": "text",
        "marker": {
            "symbol": [shape(m) for m in marks],
            "size": 9,
            "color": shades.stroke,
            "line": {"color": shades.stroke, "width": 1.5},
        },
        "error_x": {
            "type": "data",
            "symmetric": False,
            "array": [m.high - m.value if m.high is not None else 0.0 for m in marks],
            "arrayminus": [m.value - m.low if m.low is not None else 0.0 for m in marks],
            "color": shades.stroke,
            "thickness": 1.2,
            "width": 0,
        },
    }


def _key(lines: Sequence[Line], layout: Json, theme: Theme, narrow: bool) -> None:
    """Names the symbols in one line above the plot, each in its own colour."""
    parts.key([(n.label, look(n.method).symbol, theme.of(n.method).ink) for n in lines], layout, theme, narrow)


def finding(lines: Sequence[Line], metric: MetricInfo, words: Words, at: str) -> str | None:
    """Names the worst treated subgroup where tests over the seeds hold it apart from every other one.

    Under all settings drawn; how is said at `backend.analysis.worst.worst`. Nothing where a setting is degenerate or a
    subgroup small.
    """
    if metric.higher_is_better is None or any(line.degenerate for line in lines):
        return None
    groups = [{name: mark for name, mark in line.marks.items() if name != ALL} for line in lines]
    if any(mark.n is None or mark.n < parts.SMALL_N for marks in groups for mark in marks.values()):
        return None
    by_seed = [{name: mark.by_seed for name, mark in marks.items()} for marks in groups]
    found = worst(by_seed, higher_is_better=metric.higher_is_better)
    if found is None:
        return None
    side = "lowest" if metric.higher_is_better else "highest"
    everywhere = " under every method drawn" if len(lines) > 1 else ""
    return (
        f"{words.subgroup(found.subgroup)}: {side} {lower_first(metric.title)} of all subgroups{at}{everywhere} "
        f"(Holm-corrected p = {found.p:.2g}, {found.pairs} seeds)"
    )


def _table(
    lines: Sequence[Line], names: Sequence[str], metric: MetricInfo, words: Words
) -> tuple[list[TableColumn], list[list[Cell]], list[int | None]]:
    columns = [
        TableColumn(title="Subgroup", numeric=False),
        TableColumn(title="Setting", numeric=False),
        TableColumn(title=metric.title, unit=metric.unit),
        TableColumn(title="95 % low", unit=metric.unit),
        TableColumn(title="95 % high", unit=metric.unit),
        TableColumn(title="n"),
        TableColumn(title="Seeds"),
    ]
    rows: list[list[Cell]] = []
    settings: list[int | None] = []
    for name in names:
        for line in lines:
            mark = line.marks.get(name)
            if mark is not None:
                who = "Everybody" if name == ALL else words.subgroup(name)
                rows.append([who, line.label, mark.value, mark.low, mark.high, mark.n, mark.seeds])
                settings.append(line.setting)
    return columns, rows, settings
