"""Curves: two metrics of every setting, mean and interval over seeds, joined along epsilon."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from backend.analysis.frontier import frontier
from backend.analysis.intervals import grouped
from backend.analysis.labels import EPSILON, Words, describe, differing, value_text
from backend.analysis.plain import finite
from backend.analysis.table import Column, Flags, Floats, Ints, RunTable, SettingInfo
from backend.contracts.catalogue import MetricInfo
from backend.contracts.public import Curve, CurvePoint

#: Family of what is described as a metric so that it can be an axis, and was asked for, not measured.
PARAMETER = "parameter"


@dataclass(frozen=True)
class Axis:
    """One axis: the metric, on which subgroup, and its number for every run."""

    metric: MetricInfo
    subgroup: str
    column: Column

    @property
    def is_epsilon(self) -> bool:
        """Whether the axis is the budget that was asked for."""
        return self.metric.name == EPSILON

    @property
    def exact(self) -> bool:
        """Whether its numbers were asked for: the same for every seed, without an interval."""
        return self.is_epsilon or self.exact_parameter

    @property
    def exact_parameter(self) -> bool:
        """Whether it is a parameter of the settings."""
        return self.metric.family == PARAMETER


@dataclass(frozen=True)
class Spread:
    """One axis of every setting: mean over seeds, ends of its 95 % interval, seeds with a number; all `[settings]`."""

    mean: Floats
    low: Floats
    high: Floats
    seeds: Ints

    @classmethod
    def of(cls, table: RunTable, column: Column, *, exact: bool = False) -> Spread:
        """From a column; `exact` numbers were asked for and not measured, so that they have no interval."""
        mean, low, high, n = grouped(column.values, table.place, len(table.starts))
        return (
            cls(mean, np.full(len(mean), np.nan), np.full(len(mean), np.nan), n) if exact else cls(mean, low, high, n)
        )


@dataclass(frozen=True)
class Points:
    """One point per setting, as arrays `[settings]` in the table's order."""

    table: RunTable
    x: Spread
    y: Spread
    n: Ints
    degenerate: Flags
    diverged: Ints
    on_frontier: Flags
    #: The numbers of single runs, `[runs]`.
    x_runs: Floats
    y_runs: Floats

    def __len__(self) -> int:
        return len(self.n)

    @property
    def drawable(self) -> Flags:
        """Which have both numbers."""
        return np.isfinite(self.x.mean) & np.isfinite(self.y.mean)


@dataclass(frozen=True)
class SettingSeries:
    """Settings that are one curve: places in the table's order, along epsilon."""

    method: str
    title: str
    name: str
    private: bool
    members: Ints


def points_of(table: RunTable, x: Axis, y: Axis, *, degenerate: bool = False) -> Points:
    """The points, with those that no other beats; degenerate settings beat nothing unless `degenerate`."""
    count = len(table.starts)
    ill = np.bincount(table.place, weights=table.degenerate, minlength=count)
    diverged = np.bincount(table.place, weights=table.diverged, minlength=count).astype(np.int64)
    xs, ys = (Spread.of(table, axis.column, exact=axis.exact) for axis in (x, y))
    if count:
        seen = np.where(y.column.n > 0, y.column.n, np.iinfo(np.int64).max)
        n = np.minimum.reduceat(seen, table.starts)
        n = np.where(n == np.iinfo(np.int64).max, 0, n)
    else:
        n = np.zeros(0, dtype=np.int64)
    flags = (ill > 0) & (2 * ill >= table.sizes)
    best = np.zeros(count, dtype=bool)
    higher = x.metric.higher_is_better, y.metric.higher_is_better
    if higher[0] is not None and higher[1] is not None:
        considered = np.where(flags & (not degenerate), np.nan, xs.mean)
        best = frontier(considered, ys.mean, x_higher=higher[0], y_higher=higher[1])
    return Points(table, xs, ys, n, flags, diverged, best, x.column.values, y.column.values)


def series_of(table: RunTable, words: Words, *, joined: bool = False) -> list[SettingSeries]:
    """Curves in order of method title, baselines first.

    `joined`: settings were chosen, so what a method's points differ in besides epsilon does not split its curve.
    Settings on other data or models are always curves of their own.
    """
    found: dict[tuple[str, ...], list[int]] = {}
    infos = table.ordered_infos
    for i, info in enumerate(infos):
        found.setdefault(_series_key(info, joined), []).append(i)
    names = _series_names(table, list(found), joined, words)
    curves = []
    for key, members in found.items():
        info = infos[members[0]]
        members.sort(key=lambda i: (infos[i].epsilon is None, infos[i].epsilon or 0.0, infos[i].id))
        title = words.method(info.method)
        curves.append(SettingSeries(info.method, title, names[key], info.private, np.array(members, dtype=np.int64)))
    return sorted(curves, key=lambda curve: (curve.private, curve.title, curve.name))


def _series_key(info: SettingInfo, joined: bool) -> tuple[str, ...]:
    return (info.method, info.context, "" if joined else info.rest, str(info.private))


def curve_points(
    points: Points, x: Axis, y: Axis, labels: Mapping[int, str], which: Sequence[int] | None = None
) -> list[CurvePoint]:
    """The points as the API answers them; only the places `which`, if given."""
    table = points.table
    ends = (table.starts + table.sizes).tolist()
    starts = table.starts.tolist()
    found = []
    for i in range(len(points)) if which is None else which:
        block = slice(starts[i], ends[i])
        info = table.ordered_infos[i]
        n = int(points.n[i])
        found.append(
            CurvePoint(
                setting_id=info.id,
                method=info.method,
                epsilon=info.epsilon,
                params=dict(info.params),
                label=labels[info.id],
                x=finite(points.x.mean[i]),
                x_low=finite(points.x.low[i]),
                x_high=finite(points.x.high[i]),
                y=finite(points.y.mean[i]),
                y_low=finite(points.y.low[i]),
                y_high=finite(points.y.high[i]),
                seeds=int(points.y.seeds[i]),
                run_ids=list(table.keys[block]),
                x_seeds=[finite(v) for v in x.column.values[block]],
                y_seeds=[finite(v) for v in y.column.values[block]],
                n=n or None,
                degenerate=bool(points.degenerate[i]),
                diverged=int(points.diverged[i]),
                on_frontier=bool(points.on_frontier[i]),
            )
        )
    return found


def build_curves(
    points: Points, series: Sequence[SettingSeries], x: Axis, y: Axis, labels: Mapping[int, str]
) -> list[Curve]:
    """The curves as the API answers them."""
    return [
        Curve(
            method=one.method,
            title=one.title,
            series=one.name,
            baseline=not one.private,
            points=curve_points(points, x, y, labels, one.members.tolist()),
        )
        for one in series
    ]


# --- names ------------------------------------------------------------------------------------------------------------


def _by_method(table: RunTable, settings: Sequence[int]) -> dict[str, list[SettingInfo]]:
    found: dict[str, list[SettingInfo]] = {}
    for setting in settings:
        info = table.infos[setting]
        found.setdefault(info.method, []).append(info)
    return found


def _context_words(infos: Sequence[SettingInfo], words: Words) -> dict[str, str]:
    """What tells data and models apart, per context; nothing where all are the same."""
    contexts: dict[str, SettingInfo] = {}
    for info in infos:
        contexts.setdefault(info.context, info)
    if len(contexts) < 2:
        return dict.fromkeys(contexts, "")
    ones = list(contexts.values())
    names = [n for n in differing(ones) if n.startswith(("dataset.", "model."))]
    several = {"dataset": len({i.dataset for i in ones}) > 1, "model": len({i.model for i in ones}) > 1}
    answer = {}
    for number, (context, info) in enumerate(contexts.items(), 1):
        parts = [words.dataset(info.dataset)] if several["dataset"] else []
        parts += [info.model] if several["model"] else []
        own = [n for n in names if n in info.params]
        described = describe(info, own, words)
        answer[context] = ", ".join([*parts, described] if described else parts) or f"data version {number}"
    return answer


def _series_names(
    table: RunTable, keys: Sequence[tuple[str, ...]], joined: bool, words: Words
) -> dict[tuple[str, ...], str]:
    """A name for every curve: its method, and where that has several, what tells this one apart."""
    settings = table.setting_ids.tolist()
    by_method = _by_method(table, settings)
    contexts = _context_words([table.infos[s] for s in settings], words)
    one: dict[tuple[str, ...], SettingInfo] = {}
    for setting in settings:
        info = table.infos[setting]
        one.setdefault(_series_key(info, joined), info)
    answer: dict[tuple[str, ...], str] = {}
    taken: dict[str, int] = {}
    told: dict[str, list[str]] = {}
    for key in keys:
        info = one[key]
        parts = [words.method(info.method), contexts[info.context]]
        if not joined:
            if info.method not in told:
                told[info.method] = [
                    n for n in differing(by_method[info.method]) if n.startswith(("method.", "training."))
                ]
            names = told[info.method]
            parts.append(describe(info, names, words))
        name = ", ".join(part for part in parts if part)
        taken[name] = taken.get(name, 0) + 1
        # The same parameters under other code, data or subgroups: results that must not be pooled.
        answer[key] = name if taken[name] == 1 else f"{name}, version {taken[name]}"
    return answer


def point_labels(table: RunTable, settings: Sequence[int], words: Words) -> dict[int, str]:
    """A name for every point: method, epsilon, and what tells it from the method's other settings."""
    labels = {}
    for infos in _by_method(table, settings).values():
        names = differing(infos)
        for info in infos:
            epsilon = f"ε = {value_text(info.epsilon)}" if info.epsilon is not None else ""
            parts = [words.method(info.method), epsilon, describe(info, names, words)]
            labels[info.id] = ", ".join(part for part in parts if part)
    return labels
