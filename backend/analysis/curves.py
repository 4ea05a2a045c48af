"""Curves: two metrics of every setting, mean and interval over seeds, joined along epsilon."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from backend.analysis.frontier import frontier
from backend.analysis.intervals import grouped
from backend.analysis.labels import EPSILON, Words, describe, differing, value_text
from backend.analysis.table import Column, Floats, Ints, RunTable, SettingInfo
from backend.contracts.catalogue import MetricInfo
from backend.contracts.public import Curve, CurvePoint


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


def build_curves(table: RunTable, x: Axis, y: Axis, words: Words, *, joined: bool = False) -> list[Curve]:
    """Curves in order of method title, baselines first.

    `joined`: settings were chosen, so what a method's points differ in besides epsilon does not split its curve.
    Settings on other data or models are always curves of their own.
    """
    points = build_points(table, x, y, words)
    infos = [table.infos[point.setting_id] for point in points]
    mark_frontier(points, x, y)
    series: dict[tuple[str, ...], list[CurvePoint]] = {}
    for point, info in zip(points, infos, strict=True):
        key = (info.method, info.context, "" if joined else info.rest, str(info.private))
        series.setdefault(key, []).append(point)
    names = _series_names(table, list(series), joined, words)
    curves = [
        Curve(
            method=key[0],
            title=words.method(key[0]),
            series=names[key],
            baseline=points[0].epsilon is None,
            points=sorted(points, key=lambda p: (p.epsilon is None, p.epsilon or 0.0, p.setting_id)),
        )
        for key, points in series.items()
    ]
    return sorted(curves, key=lambda curve: (not curve.baseline, curve.title, curve.series))


def build_points(table: RunTable, x: Axis, y: Axis, words: Words) -> list[CurvePoint]:
    """One point per setting."""
    blocks = table.blocks()
    if not blocks:
        return []
    sizes = [block.stop - block.start for _, block in blocks]
    place = np.repeat(np.arange(len(blocks)), sizes).astype(np.int64)
    degenerate = np.bincount(place, weights=table.degenerate, minlength=len(blocks))
    diverged = np.bincount(place, weights=table.diverged, minlength=len(blocks)).astype(int)
    xs, ys = (_statistics(axis, place, len(blocks)) for axis in (x, y))
    labels = point_labels(table, [setting for setting, _ in blocks], words)
    points = []
    for i, (setting, block) in enumerate(blocks):
        info = table.infos[setting]
        seen = y.column.n[block]
        points.append(
            CurvePoint(
                setting_id=setting,
                method=info.method,
                epsilon=info.epsilon,
                params=dict(info.params),
                label=labels[setting],
                x=_number(xs[0][i]),
                x_low=_number(xs[1][i]),
                x_high=_number(xs[2][i]),
                y=_number(ys[0][i]),
                y_low=_number(ys[1][i]),
                y_high=_number(ys[2][i]),
                seeds=int(ys[3][i]),
                run_ids=list(table.keys[block]),
                x_seeds=[_number(v) for v in x.column.values[block]],
                y_seeds=[_number(v) for v in y.column.values[block]],
                n=int(seen[seen > 0].min()) if (seen > 0).any() else None,
                degenerate=bool(degenerate[i] > 0 and 2 * degenerate[i] >= sizes[i]),
                diverged=int(diverged[i]),
            )
        )
    return points


def _statistics(axis: Axis, place: Ints, count: int) -> tuple[Floats, Floats, Floats, Ints]:
    mean, low, high, n = grouped(axis.column.values, place, count)
    if axis.is_epsilon:
        # Epsilon is what was asked for: the same for every seed, without an interval.
        low, high = np.full(count, np.nan), np.full(count, np.nan)
    return mean, low, high, n


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def mark_frontier(points: list[CurvePoint], x: Axis, y: Axis, *, degenerate: bool = False) -> None:
    """Replaces the points that no other beats by ones that say so. Without a better direction there are none."""
    if x.metric.higher_is_better is None or y.metric.higher_is_better is None:
        return
    considered = [i for i, point in enumerate(points) if degenerate or not point.degenerate]
    values = [[np.nan if v is None else v for v in (points[i].x, points[i].y)] for i in considered]
    array = np.array(values, dtype=np.float64).reshape(-1, 2)
    best = frontier(array[:, 0], array[:, 1], x_higher=x.metric.higher_is_better, y_higher=y.metric.higher_is_better)
    for i, on in zip(considered, best.tolist(), strict=True):
        if on:
            points[i] = points[i].model_copy(update={"on_frontier": True})


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
    settings = [setting for setting, _ in table.blocks()]
    by_method = _by_method(table, settings)
    contexts = _context_words([table.infos[s] for s in settings], words)
    one: dict[tuple[str, ...], SettingInfo] = {}
    for setting in settings:
        info = table.infos[setting]
        one.setdefault((info.method, info.context, "" if joined else info.rest, str(info.private)), info)
    answer: dict[tuple[str, ...], str] = {}
    taken: dict[str, int] = {}
    for key in keys:
        info = one[key]
        parts = [words.method(info.method), contexts[info.context]]
        if not joined:
            names = [n for n in differing(by_method[info.method]) if n.startswith(("method.", "training."))]
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
