"""Settings side by side: what differs in their parameters, and what paired tests say of their figures.

Works on a snapshot alone: the same snapshot and the same request always have the same answer. Values of two settings
are paired by seed, since equal seeds share split, initial weights and batches.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

from backend.analysis.effects import Effect, effect, sign_flip
from backend.analysis.labels import EPSILON, lower_first, value_text
from backend.analysis.significance import FEWEST_PAIRS, LEVEL, MOST_EXACT, PairedTest, holm, smallest_p, wilcoxon
from backend.analysis.table import Floats
from backend.contracts.catalogue import MetricInfo
from backend.contracts.results import ALL
from backend.contracts.reviews import (
    ComparableMetric,
    ComparedParameter,
    ComparedRow,
    Comparison,
    PairTest,
    Snapshot,
    SnapshotCell,
    SnapshotSeries,
    SnapshotSetting,
    Tested,
)
from backend.contracts.spec import INTERSECTION

#: Rows below which a figure says little.
SMALL_N = 20
#: Metrics of a comparison that names none, as far as the snapshot has them.
HEADLINE = ("loss_gap", "loss", "accuracy")
LOSS = "loss"
#: Findings that are said in words.
MOST_FINDINGS = 12


@dataclass(frozen=True)
class _Pair:
    """Two settings on the seeds that both have; `test` is None where nothing can be paired."""

    a: SnapshotSetting
    b: SnapshotSetting
    size: Effect | None
    test: PairedTest | None
    permutation: float | None


def compare(
    snapshot: Snapshot, split: str, metrics: Sequence[str], subgroups: Sequence[str], tests: Tested = "primary"
) -> Comparison:
    """The comparison on one split.

    Nothing asked: all subgroups of the headline metrics are shown, and the few of `primary` are tested, so that the
    correction leaves a test a chance. Whoever names metrics or subgroups, or asks for all tests, has all tested.
    """
    infos = {metric.name: metric for metric in snapshot.metrics}
    inside = [one for one in snapshot.series if one.split == split]
    chosen = list(metrics) or _headline(snapshot, inside)
    rows = [
        one
        for metric in chosen
        for one in inside
        if one.metric == metric and (not subgroups or one.subgroup in subgroups)
    ]
    few = tests == "primary" and not metrics and not subgroups
    family = primary(snapshot, split) if few else rows
    rows += [one for one in family if not any(one is row for row in rows)]
    plain = [(row, pair) for row in family for pair in _pairs(snapshot, row)]
    tested = [pair for _, pair in plain if pair.test is not None]
    exact = iter(holm([pair.test.p for pair in tested if pair.test is not None]))
    flipped = iter(holm([pair.permutation for pair in tested if pair.permutation is not None]))
    written: dict[int, list[PairTest]] = {}
    for row, pair in plain:
        corrected = (next(exact), next(flipped)) if pair.test is not None else (None, None)
        written.setdefault(id(row), []).append(_written(snapshot, infos[row.metric], row, pair, *corrected))
    compared = [_row(snapshot, infos[row.metric], row, written.get(id(row), [])) for row in rows]
    return Comparison(
        split=split,
        settings=snapshot.settings,
        parameters=parameters(snapshot),
        rows=compared,
        available=_available(inside, infos),
        tests=len(tested),
        family=_family(snapshot, infos, family, len(tested), few=few),
        notes=_notes(snapshot, compared, tested),
        findings=_findings(compared),
    )


def primary(snapshot: Snapshot, split: str) -> list[SnapshotSeries]:
    """The figures that are tested where nothing else is asked for.

    The metrics on the axes of the page that the review was made on, or the first headline metric; beside gaps, which a
    useless model has none of, the loss. Of each the figure of everybody, or between the groups of the attribute in
    question, and that of the worst off group of this attribute. That group is the one with the worst mean over all
    compared settings: exchanging two settings within a seed leaves it as it is, so that choosing it does not favour
    either, and the tests stay exact.
    """
    infos = {metric.name: metric for metric in snapshot.metrics}
    inside = [one for one in snapshot.series if one.split == split]
    there = {one.metric for one in inside}
    seen = [value for value in (snapshot.view.get("y"), snapshot.view.get("x")) if isinstance(value, str)]
    names = (
        list(dict.fromkeys(name for name in seen if name in there and name != EPSILON))
        or _headline(snapshot, inside)[:1]
    )
    if names and all(infos[name].kind == "fairness" for name in names) and LOSS in there:
        names.append(LOSS)
    attribute = _attribute(snapshot, inside)
    found: list[SnapshotSeries] = []
    for name in names:
        own = [one for one in inside if one.metric == name]
        whole = [one for one in own if one.subgroup == ALL] or [one for one in own if one.subgroup == attribute]
        groups = [one for one in own if _attribute_of(one.subgroup) == attribute and "=" in one.subgroup]
        found += [*(whole or own[:1]), *_worst_off(infos[name], groups)]
    return found


def _attribute(snapshot: Snapshot, inside: Sequence[SnapshotSeries]) -> str | None:
    """The attribute, or the attributes together, that the page was about; the first measured one where it was none."""
    there = list(dict.fromkeys(_attribute_of(one.subgroup) for one in inside if one.subgroup != ALL))
    seen = snapshot.view.get("subgroup")
    asked = _attribute_of(seen) if isinstance(seen, str) and seen != ALL else None
    return asked if asked in there else next(iter(there), None)


def _attribute_of(subgroup: str) -> str:
    return INTERSECTION.join(part.partition("=")[0] for part in subgroup.split(INTERSECTION))


def _worst_off(metric: MetricInfo, groups: Sequence[SnapshotSeries]) -> list[SnapshotSeries]:
    """Of these groups the one with the worst mean over the settings that all of them have a figure of."""
    if metric.higher_is_better is None:
        return []
    sign = 1.0 if metric.higher_is_better else -1.0
    large = [one for one in groups if all(cell is None or (cell.n or SMALL_N) >= SMALL_N for cell in one.cells)]
    means = [
        (sign * sum(cell.mean for cell in one.cells if cell is not None and cell.mean is not None), one)
        for one in large
        if all(cell is not None and cell.mean is not None for cell in one.cells)
    ]
    return [min(means, key=lambda found: (found[0], found[1].subgroup))[1]] if len(means) > 1 else []


def _family(
    snapshot: Snapshot, infos: dict[str, MetricInfo], family: Sequence[SnapshotSeries], tests: int, *, few: bool
) -> str:
    """The family of tests in words."""
    pairs = len(snapshot.settings) * (len(snapshot.settings) - 1) // 2
    if not pairs or not family:
        return "Nothing is tested."
    counted = (
        f"{tests:,} {'test' if tests == 1 else 'tests'}, {len(family):,} "
        f"{'figure' if len(family) == 1 else 'figures'} for {pairs} {'pair' if pairs == 1 else 'pairs'} of settings, "
        "Holm-corrected together"
    )
    if not few:
        return f"All figures shown are tested: {counted}."
    named = []
    for one in family:
        title, group = infos[one.metric].title, snapshot.subgroup_titles.get(one.subgroup, one.subgroup)
        if one.subgroup != ALL and "=" in one.subgroup:
            group += ", the worst off group of its attribute over all settings"
        named.append(f"{lower_first(title)} ({group})")
    listed = "; ".join(named)
    return f"Tested by default: {listed}. That is {counted}; the other figures are shown and not tested."


def _headline(snapshot: Snapshot, inside: Sequence[SnapshotSeries]) -> list[str]:
    there = {one.metric for one in inside}
    seen = [value for value in (snapshot.view.get("y"), snapshot.view.get("x")) if isinstance(value, str)]
    wanted = dict.fromkeys(name for name in (*seen, *HEADLINE) if name in there and name != EPSILON)
    directed = (m.name for m in snapshot.metrics if m.name in there and m.higher_is_better is not None)
    return list(wanted) or list(directed)[:3]


def _available(inside: Sequence[SnapshotSeries], infos: dict[str, MetricInfo]) -> list[ComparableMetric]:
    found: dict[str, list[str]] = {}
    for one in inside:
        found.setdefault(one.metric, []).append(one.subgroup)
    return [ComparableMetric(metric=name, title=infos[name].title, subgroups=groups) for name, groups in found.items()]


def parameters(snapshot: Snapshot) -> list[ComparedParameter]:
    """Every parameter of any setting; those that differ first."""
    settings = snapshot.settings
    found = []
    for name in sorted({name for one in settings for name in one.params}):
        values = [one.params.get(name) for one in settings]
        texts = [value_text(one.params[name]) if name in one.params else None for one in settings]
        spelt = {json.dumps(one.params[name], sort_keys=True) if name in one.params else "" for one in settings}
        title = snapshot.parameter_titles.get(name, name)
        found.append(ComparedParameter(name=name, title=title, values=values, texts=texts, differs=len(spelt) > 1))
    methods: list[Any] = [one.method for one in settings]
    titles: list[str | None] = [one.method_title for one in settings]
    first = ComparedParameter(
        name="method", title="method", values=methods, texts=titles, differs=len(set(methods)) > 1
    )
    return [first, *sorted(found, key=lambda one: not one.differs)]


def _by_seed(setting: SnapshotSetting, cell: SnapshotCell) -> dict[int, float]:
    return {run.seed: value for run, value in zip(setting.runs, cell.values, strict=True) if value is not None}


def _pairs(snapshot: Snapshot, row: SnapshotSeries) -> list[_Pair]:
    found = []
    for (a, left), (b, right) in combinations(zip(snapshot.settings, row.cells, strict=True), 2):
        if left is None or right is None or a.context != b.context:
            found.append(_Pair(a, b, None, None, None))
            continue
        one, other = _by_seed(a, left), _by_seed(b, right)
        seeds = sorted(one.keys() & other.keys())[:MOST_EXACT]
        if not seeds:
            found.append(_Pair(a, b, None, None, None))
            continue
        x: Floats = np.array([one[seed] for seed in seeds], dtype=np.float64)
        y: Floats = np.array([other[seed] for seed in seeds], dtype=np.float64)
        found.append(_Pair(a, b, effect(x, y), wilcoxon(x, y), sign_flip(x, y)))
    return found


def _written(
    snapshot: Snapshot,
    metric: MetricInfo,
    row: SnapshotSeries,
    pair: _Pair,
    corrected: float | None,
    flipped: float | None,
) -> PairTest:
    size, test = pair.size, pair.test
    return PairTest(
        a=pair.a.setting_id,
        b=pair.b.setting_id,
        pairs=0 if size is None else size.pairs,
        difference=None if size is None else size.difference,
        low=None if size is None else size.low,
        high=None if size is None else size.high,
        reduction=None if size is None else size.reduction,
        reduction_low=None if size is None else size.reduction_low,
        reduction_high=None if size is None else size.reduction_high,
        rank_biserial=None if size is None else size.rank_biserial,
        p=None if test is None else test.p,
        corrected=corrected,
        p_permutation=pair.permutation,
        corrected_permutation=flipped,
        reachable=test is not None and test.reachable,
        sentence=_sentence(snapshot, metric, row, pair, corrected),
    )


def _sentence(snapshot: Snapshot, metric: MetricInfo, row: SnapshotSeries, pair: _Pair, corrected: float | None) -> str:
    """What one test supports, in words; that it supports nothing where it does not."""
    size, test = pair.size, pair.test
    if size is None or test is None or corrected is None:
        if pair.a.context != pair.b.context:
            return "They were trained on other data or another model: their seeds cannot be paired."
        return "They share no seed with a figure."
    counted = f"{size.pairs} {'pair' if size.pairs == 1 else 'pairs'}"
    if size.pairs < FEWEST_PAIRS:
        return f"With {counted} no test can reach p < {LEVEL}."
    p = f"corrected p {'< 0.001' if corrected < 0.001 else f'= {corrected:.2g}'}, {counted}"
    if corrected >= LEVEL:
        return f"No difference is shown ({p})."
    group = "" if row.subgroup == ALL else f" ({snapshot.subgroup_titles.get(row.subgroup, row.subgroup)})"
    unit = f" {metric.unit}" if metric.unit else ""
    way = "higher" if size.difference > 0 else "lower"
    interval = "" if size.low is None else f", 95 % interval {size.low:.3g} to {size.high:.3g}"
    return (
        f"{pair.a.label}: {lower_first(metric.title)}{group} is {abs(size.difference):.3g}{unit} {way} than with "
        f"{pair.b.label} ({p}{interval})."
    )


def _row(snapshot: Snapshot, metric: MetricInfo, row: SnapshotSeries, tests: list[PairTest]) -> ComparedRow:
    means = {
        one.setting_id: cell.mean
        for one, cell in zip(snapshot.settings, row.cells, strict=True)
        if cell is not None and cell.mean is not None and not one.degenerate
    }
    best: list[int] = []
    if means and metric.higher_is_better is not None:
        top = max(means.values()) if metric.higher_is_better else min(means.values())
        best = [one for one, mean in means.items() if mean == top]
    sizes = [cell.n for cell in row.cells if cell is not None and cell.n is not None]
    return ComparedRow(
        metric=row.metric,
        subgroup=row.subgroup,
        title=metric.title,
        subgroup_title=snapshot.subgroup_titles.get(row.subgroup, row.subgroup),
        unit=metric.unit,
        higher_is_better=metric.higher_is_better,
        small=bool(sizes) and min(sizes) < SMALL_N,
        cells=row.cells,
        best=best if len(means) > 1 else [],
        tests=tests,
    )


def _notes(snapshot: Snapshot, rows: Sequence[ComparedRow], tested: Sequence[_Pair]) -> list[str]:
    notes = []
    for one in snapshot.settings:
        if one.degenerate:
            notes.append(f"{one.label} predicts one class for nearly everybody: its small gaps are no fairness.")
        if one.diverged:
            notes.append(f"{one.label}: {one.diverged} of {len(one.runs)} runs diverged and have no figures.")
    if tested:
        most = max(pair.test.pairs for pair in tested if pair.test is not None)
        if most < FEWEST_PAIRS:
            counted = f"{most} shared {'seed' if most == 1 else 'seeds'}"
            notes.append(f"With {counted} no test can reach p < {LEVEL}: at least {FEWEST_PAIRS} are needed.")
        elif smallest_p(most) * len(tested) >= LEVEL:
            notes.append(
                f"Over {len(tested)} tests of at most {most} pairs no corrected p can be below {LEVEL}: ask for fewer "
                "metrics and subgroups, or train more seeds."
            )
        notes.append(
            "Exact Wilcoxon signed-rank and sign-flip permutation tests over shared seeds, two-sided; Holm's "
            f"correction over these {len(tested)} tests; intervals are 95 % Student t over seeds, of ratios BCa "
            "bootstrap."
        )
    if len({one.context for one in snapshot.settings}) > 1:
        notes.append("Some settings are on other data or another model: they are shown side by side and not tested.")
    if any(row.small for row in rows):
        notes.append(f"Figures on fewer than {SMALL_N} rows are marked as small.")
    if snapshot.cut is not None:
        notes.append(snapshot.cut)
    return notes


def _findings(rows: Sequence[ComparedRow]) -> list[str]:
    shown = [
        (test.corrected, test.sentence)
        for row in rows
        for test in row.tests
        if test.corrected is not None and test.corrected < LEVEL and test.pairs >= FEWEST_PAIRS
    ]
    shown.sort(key=lambda one: one[0])
    return [sentence for _, sentence in shown[:MOST_FINDINGS]]
