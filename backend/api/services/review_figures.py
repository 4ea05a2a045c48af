"""A review's figures, drawn from its snapshot alone: the same for ever, whatever is measured or deleted afterwards."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from backend.analysis import findings
from backend.analysis.curves import Axis, points_of, series_of
from backend.analysis.labels import Words, is_family
from backend.analysis.table import Column, RunTable
from backend.api.services import review_tradeoff
from backend.api.services.tables import setting_info
from backend.contracts.public import Figure
from backend.contracts.results import ALL, FINISHED
from backend.contracts.reviews import Snapshot, SnapshotSeries
from backend.figures import parts
from backend.figures.parts import SMALL_N
from backend.figures.subgroups import Line, Mark, subgroups
from backend.figures.theme import DARK, LIGHT, Theme
from backend.figures.tradeoff import Panel, View, tradeoff
from backend.store.tables import SettingRow

#: Metrics that are drawn of the compared settings, those of these that the snapshot has.
DRAWN = ("loss_gap", "loss", "accuracy")


def frozen_tradeoff(snapshot: Snapshot, theme: Theme, width: int | None) -> Figure:
    """The trade-off that the settings were chosen from; from a snapshot that has none, that of the settings alone."""
    if snapshot.tradeoff is not None:
        return review_tradeoff.draw(snapshot.tradeoff, [one.setting_id for one in snapshot.settings], theme, width)
    wanted = snapshot.view.get("y")
    for metric in (*([wanted] if isinstance(wanted, str) else []), *DRAWN):
        figure = _of_compared(snapshot, metric, theme, width)
        if figure is not None:
            return figure
    reason = "The snapshot has no metric that a trade-off could be drawn of."
    return parts.empty("tradeoff", "Trade-off at the moment of the snapshot", reason, theme)


def every(snapshot: Snapshot) -> Iterator[tuple[Figure, Figure]]:
    """All figures that have something to show, light and dark: the trade-off that was frozen comes first."""
    if snapshot.tradeoff is not None:
        yield frozen_tradeoff(snapshot, LIGHT, None), frozen_tradeoff(snapshot, DARK, None)
    for metric in DRAWN:
        for make in (_of_compared, _subgroups):
            light = make(snapshot, metric, LIGHT)
            if light is not None and light.empty is None:
                dark = make(snapshot, metric, DARK)
                if dark is not None:
                    yield light, dark


def words_of(snapshot: Snapshot) -> Words:
    """What everything meant when the snapshot was taken."""
    return Words(
        metrics={metric.name: metric for metric in snapshot.metrics},
        methods={one.method: one.method_title for one in snapshot.settings},
        attributes={name: title for name, title in snapshot.subgroup_titles.items() if is_family(name)},
    )


def table_of(snapshot: Snapshot) -> tuple[RunTable, dict[tuple[int, int], int]]:
    """The snapshot's runs with a result as a table; and where (setting, place among its runs) lies in it."""
    rows: list[tuple[int, str, int, str, bool, int]] = []
    origin: list[tuple[int, int]] = []
    for place, one in enumerate(snapshot.settings):
        for number, run in enumerate(one.runs):
            if run.status in FINISHED:
                rows.append((len(rows), run.id, run.seed, run.status, run.degenerate, one.setting_id))
                origin.append((place, number))
    infos = [
        setting_info(
            SettingRow(
                id=one.setting_id, method=one.method, epsilon=one.epsilon, params=one.params, config=one.configuration,
                dataset=one.configuration["dataset"]["name"], model=one.configuration["model"]["name"],
            )
        )
        for one in snapshot.settings
    ]  # fmt: skip
    table = RunTable.of(rows, infos)
    at = {row: place for place, row in enumerate(table.ids.tolist())}
    return table, {where: at[row] for row, where in enumerate(origin)}


def _column(series: SnapshotSeries | None, table: RunTable, at: dict[tuple[int, int], int]) -> Column:
    values, n = np.full(len(table), np.nan), np.zeros(len(table), dtype=np.int64)
    for place, cell in enumerate(series.cells if series is not None else ()):
        for number, value in enumerate(cell.values if cell is not None else ()):
            where = at.get((place, number))
            if where is not None and value is not None and cell is not None:
                values[where], n[where] = value, cell.n or 0
    return Column(values, n)


def _find(snapshot: Snapshot, metric: str, subgroup: str | None = None) -> SnapshotSeries | None:
    """A series on test rows; of everybody or the first family where no subgroup is named."""
    there = [s for s in snapshot.series if s.metric == metric and s.split == "test"]
    if subgroup is not None:
        return next((s for s in there if s.subgroup == subgroup), None)
    whole = next((s for s in there if s.subgroup == ALL), None)
    return whole or next((s for s in there if is_family(s.subgroup)), None)


def _of_compared(snapshot: Snapshot, metric: str, theme: Theme, width: int | None = None) -> Figure | None:
    """The trade-off of the compared settings alone."""
    series = _find(snapshot, metric)
    if series is None or all(one.epsilon is None for one in snapshot.settings):
        return None
    words = words_of(snapshot)
    table, at = table_of(snapshot)
    x = Axis(words.metric("epsilon"), series.subgroup, table.epsilon())
    y = Axis(words.metric(metric), series.subgroup, _column(series, table, at))
    loss = _column(_find(snapshot, "loss", ALL), table, at) if metric != "loss" else None
    points = points_of(table, x, y)
    lines = series_of(table, words)
    finding = findings.tradeoff(points, lines, x, y, None if loss is None or loss.empty else loss, words)
    view = View(
        x=x,
        y=y,
        words=words,
        series=lines,
        labels={one.setting_id: one.label for one in snapshot.settings},
        panels=[Panel("", points, np.ones(len(points), dtype=bool))],
        finding=finding,
        caption="; ".join([_caption(snapshot, "mean with 95 % Student t interval over seeds"), finding.method]).rstrip(
            "; "
        ),
        split="test",
    )
    return tradeoff(view, theme, width=width)


def _subgroups(snapshot: Snapshot, metric: str, theme: Theme) -> Figure | None:
    words = words_of(snapshot)
    lines = []
    for place, one in enumerate(snapshot.settings):
        marks = {}
        for series in snapshot.series:
            cell = series.cells[place]
            if series.metric != metric or series.split != "test" or cell is None or cell.mean is None:
                continue
            if series.subgroup == ALL or not is_family(series.subgroup):
                keys = [run.id for run, v in zip(one.runs, cell.values, strict=False) if v is not None]
                values = np.array([np.nan if v is None else v for v in cell.values], dtype=np.float64)
                marks[series.subgroup] = Mark(
                    series.subgroup, cell.mean, cell.low, cell.high, cell.n, cell.seeds, keys, values
                )
        lines.append(Line(one.method, one.label, one.epsilon is None, one.degenerate, marks, one.setting_id))
    if not any(set(line.marks) - {ALL} for line in lines):
        return None
    caption = _caption(snapshot, f"mean with 95 % Student t interval over seeds; fewer than {SMALL_N} rows hollow")
    return subgroups(lines, words.metric(metric), words, theme, at="", caption=caption, width=None)


def _caption(snapshot: Snapshot, how: str) -> str:
    datasets = sorted({one.configuration["dataset"]["name"] for one in snapshot.settings})
    seeds = sorted({len(one.runs) for one in snapshot.settings})
    counted = f"{seeds[0]}" if len(seeds) == 1 else f"{seeds[0]} to {seeds[-1]}"
    return f"{', '.join(datasets)}, test split; {counted} seeds; {how}; snapshot of {when(snapshot.moment)}"


def when(moment: object) -> str:
    """A moment to the minute."""
    return f"{moment:%Y-%m-%d %H:%M} UTC"
