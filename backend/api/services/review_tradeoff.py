"""Freezes the trade-off that a review's settings were chosen from, and draws it from the snapshot alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import get_args

import numpy as np
from sqlalchemy.orm import Session

from backend.analysis.curves import Axis, SettingSeries, points_of
from backend.analysis.findings import Finding
from backend.analysis.labels import EPSILON, Words, is_family
from backend.analysis.plain import finite
from backend.analysis.table import Column, Ints, RunTable, SettingInfo
from backend.api.services import charts
from backend.api.services.tables import RunSet, run_set
from backend.contracts.public import Figure
from backend.contracts.results import ALL, Split
from backend.contracts.reviews import NewReview, SnapshotCurve, SnapshotPlaced, SnapshotTradeoff
from backend.contracts.spec import INTERSECTION
from backend.figures.theme import Theme
from backend.figures.tradeoff import Panel, View, tradeoff

#: Metrics of the vertical axis where the page named none: the first of these that there is.
USUAL = ("loss_gap", "accuracy_gap", "worst_group_accuracy", "accuracy", "loss")
#: Settings and runs that a snapshot keeps of it at most: about 1 MB.
MOST_SETTINGS, MOST_RUNS = 1000, 5000


def freeze(session: Session, new: NewReview, words: Words) -> SnapshotTradeoff | None:
    """What the page draws now of these studies, the compared settings always among it; None where there is nothing."""
    whole = run_set(session, new.job_ids)
    request = _request(whole, new, words)
    if request is None:
        return None
    offered, choice, by, _ = charts.chosen(whole, request, words)
    compared = [one for one in new.setting_ids if one in set(whole.table.setting_ids.tolist())]
    kept = _kept(whole.table, offered, compared, _best(session, request))
    said = []
    if set(kept) != set(offered.setting_ids.tolist()):
        if choice is not None and by is not None:
            said.append(f"of the settings that are not compared, per method and ε the best in validation {by.name}")
        if len(set(kept) | set(offered.setting_ids.tolist())) > len(kept):
            said.append(f"{len(kept):,} of {len(set(offered.setting_ids.tolist()) | set(compared)):,} settings kept")
        request = request.model_copy(update={"settings": kept})
    loaded = charts.load(session, request)
    drawn = charts.drawn_of(loaded, request)
    table = loaded.table
    names = [part for one in (loaded.x.subgroup, loaded.y.subgroup) for part in one.split(INTERSECTION)]
    return SnapshotTradeoff(
        x=loaded.x.metric,
        y=loaded.y.metric,
        x_subgroup=loaded.x.subgroup,
        y_subgroup=loaded.y.subgroup,
        split=request.split,
        titles={name: words.attribute(name) for name in names if is_family(name)},
        curves=[
            SnapshotCurve(
                method=one.method,
                title=one.title,
                name=one.name,
                private=one.private,
                setting_ids=table.setting_ids[one.members].tolist(),
            )
            for one in drawn.series
        ],
        settings=[
            _placed(table, table.infos[setting], drawn.labels[setting], block, loaded.x.column, loaded.y.column)
            for setting, block in table.blocks()
        ],
        sentence=drawn.finding.sentence,
        supported=drawn.finding.supported,
        unsupported=drawn.finding.unsupported,
        caption="; ".join([drawn.caption, *said]),
    )


def _request(whole: RunSet, new: NewReview, words: Words) -> charts.Request | None:
    """The axes of the page, as far as there are numbers for them, and usual ones for the rest."""
    text: dict[str, str | None] = {name: value for name, value in new.view.items() if isinstance(value, str)}
    split: Split = next((one for one in get_args(Split) if one == text.get("split")), "test")
    subgroups: dict[str, set[str]] = {}
    for metric, subgroup, its in whole.series() if len(whole.table) else ():
        if its == split:
            subgroups.setdefault(metric, set()).add(subgroup)
    parameters = {
        name
        for info in whole.table.ordered_infos
        for name, value in info.params.items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    }
    wanted = {axis: text.get(axis) or "" for axis in ("x", "y")}
    known = {*subgroups, *parameters, EPSILON}
    directed = sorted(name for name in subgroups if words.metric(name).higher_is_better is not None)
    usual: str | None = next((name for name in (*USUAL, *directed) if name in subgroups), None)
    y = wanted["y"] if wanted["y"] in known else usual
    if y is None:
        return None
    there = subgroups.get(y, set())
    asked = text.get("subgroup")
    return charts.Request(
        job_id=new.job_ids,
        x=wanted["x"] if wanted["x"] in known else EPSILON,
        y=y,
        subgroup=asked if asked in there or asked == ALL else None,
        split=split,
    )


def _best(session: Session, request: charts.Request) -> list[int]:
    """Settings on the frontier."""
    loaded = charts.load(session, request)
    points = points_of(loaded.table, loaded.x, loaded.y)
    found: list[int] = points.table.setting_ids[points.on_frontier].tolist()
    return found


def _kept(whole: RunTable, offered: RunTable, compared: Sequence[int], best: Sequence[int]) -> list[int]:
    """The compared settings, then those on the frontier, then the others in order, as many as a snapshot takes."""
    runs = dict(zip(whole.setting_ids.tolist(), whole.sizes.tolist(), strict=True))
    kept, room = [], MOST_RUNS
    for place, one in enumerate(dict.fromkeys([*compared, *best, *offered.setting_ids.tolist()])):
        room -= runs[one]
        if place < len(compared) or (place < MOST_SETTINGS and room >= 0):
            kept.append(one)
    return kept


def _placed(table: RunTable, info: SettingInfo, label: str, block: slice, x: Column, y: Column) -> SnapshotPlaced:
    return SnapshotPlaced(
        setting_id=info.id,
        label=label,
        method=info.method,
        epsilon=info.epsilon,
        params={name: value for name, value in info.params.items() if name.startswith(("method.", "training."))},
        run_ids=list(table.keys[block]),
        seeds=table.seeds[block].tolist(),
        x=[finite(value) for value in x.values[block]],
        y=[finite(value) for value in y.values[block]],
        n=[int(count) or None for count in y.n[block]],
        degenerate=table.degenerate[block].tolist(),
        diverged=table.diverged[block].tolist(),
    )


def draw(frozen: SnapshotTradeoff, compared: Sequence[int], theme: Theme, width: int | None) -> Figure:
    """The figure, from nothing but what was frozen; the compared settings are lit up."""
    rows = [
        (run, setting, place)
        for setting in sorted(frozen.settings, key=lambda one: one.setting_id)
        for place, run in enumerate(setting.run_ids)
    ]
    table = RunTable.of(
        [
            (number, run, one.seeds[i], "diverged" if one.diverged[i] else "succeeded", one.degenerate[i],
             one.setting_id)
            for number, (run, one, i) in enumerate(rows)
        ],
        [
            SettingInfo(one.setting_id, one.method, one.epsilon, one.params, "", "", "", "")
            for one in frozen.settings
        ],
    )  # fmt: skip
    # The table's order is by setting and seed; `ids` says which of the rows stands where.
    ordered = [rows[i] for i in table.ids.tolist()]
    n: Ints = np.array([one.n[i] or 0 for _, one, i in ordered], dtype=np.int64)
    xs, ys = (
        np.array([np.nan if (value := getattr(one, axis)[i]) is None else value for _, one, i in ordered], dtype=float)
        for axis in ("x", "y")
    )
    x = Axis(frozen.x, frozen.x_subgroup, Column(xs, np.zeros(len(table), dtype=np.int64)))
    y = Axis(frozen.y, frozen.y_subgroup, Column(ys, n))
    points = points_of(table, x, y)
    at = {setting: place for place, setting in enumerate(table.setting_ids.tolist())}
    view = View(
        x=x,
        y=y,
        words=Words(metrics={one.name: one for one in (frozen.x, frozen.y)}, attributes=frozen.titles),
        series=[
            SettingSeries(
                one.method, one.title, one.name, one.private, np.array([at[i] for i in one.setting_ids], dtype=np.int64)
            )
            for one in frozen.curves
        ],
        labels={one.setting_id: one.label for one in frozen.settings},
        panels=[Panel("", points, np.ones(len(points), dtype=bool))],
        finding=Finding(frozen.sentence, "", frozen.supported, frozen.unsupported),
        caption=frozen.caption,
        split=frozen.split,
    )
    return lit(tradeoff(view, theme, width=width), compared)


def lit(figure: Figure, settings: Sequence[int]) -> Figure:
    """The figure with the marks of these settings selected, so that the others stand back."""
    chosen = set(settings)
    for trace in figure.figure["data"]:
        marked = trace.get("meta", {}).get("settings")
        if marked is not None and "markers" in trace.get("mode", ""):
            trace["selectedpoints"] = [place for place, one in enumerate(marked) if one in chosen]
    return figure
