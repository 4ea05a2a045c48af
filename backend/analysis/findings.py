"""One plain sentence about a chart, computed from the data, or a description where they support none.

A sentence that compares two methods always rests on a paired test over seeds, corrected for all comparisons that the
chart invites. A gap between groups is free for a useless model, so the mean loss stands beside it.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from backend.analysis.curves import Axis, Points, SettingSeries
from backend.analysis.labels import Words, lower_first, value_text
from backend.analysis.significance import FEWEST_PAIRS, LEVEL, MOST_EXACT, PairedTest, holm, wilcoxon
from backend.analysis.table import Column, Floats, Ints, RunTable


@dataclass(frozen=True)
class Comparison:
    """Two methods at the same epsilon, paired by seed."""

    a: str
    b: str
    epsilon: float
    mean_a: float
    mean_b: float
    test: PairedTest
    corrected: float
    loss_a: float | None
    loss_b: float | None


@dataclass(frozen=True)
class Finding:
    """The sentence above a chart, and what the line below has to say about how it was tested.

    `supported`: the data support the sentence; else it says what is drawn, and `unsupported` why there is no finding.
    """

    sentence: str
    method: str = ""
    supported: bool = False
    unsupported: str | None = None


def tradeoff(
    points: Points, series: Sequence[SettingSeries], x: Axis, y: Axis, loss: Column | None, words: Words
) -> Finding:
    """The finding of a trade-off chart: the strongest difference between two methods that passes its test."""
    neutral = _neutral(series, x, y, words)
    known = np.isfinite(points.y.mean)
    if not known.any():
        return Finding(neutral)
    if points.degenerate[known].all():
        ill = "every setting here predicts one class for nearly everybody"
        return Finding(f"{ill[0].upper()}{ill[1:]}: its figures mean nothing yet", unsupported=ill)
    comparisons = compare(points, y, loss)
    if not comparisons:
        few = _too_few(int(points.y.seeds.max()))
        return Finding(neutral, few, unsupported=few or None)
    how = f"paired Wilcoxon signed-rank tests over seeds, Holm-corrected ({len(comparisons)})"
    passed = [c for c in comparisons if c.corrected < LEVEL]
    if not passed:
        none = "no difference between methods passes its test"
        return Finding(f"{neutral}: {none}", how, unsupported=f"{none} ({how})")
    best = max(passed, key=lambda c: (abs(_relative(c)), -c.corrected))
    return Finding(_sentence(best, y, loss is not None, words, len(comparisons)), how, supported=True)


def _neutral(series: Sequence[SettingSeries], x: Axis, y: Axis, words: Words) -> str:
    private = sum(one.private for one in series)
    baselines = len(series) - private
    across = "at each ε" if x.is_epsilon else f"against {lower_first(words.phrase(x.metric, x.subgroup))}"
    who = [f"{private:,} private {'curve' if private == 1 else 'curves'}"] if private else []
    who += ["the non-private baseline" if baselines == 1 else f"{baselines:,} baselines"] if baselines else []
    return f"{words.phrase(y.metric, y.subgroup)} {across}" + (f", {' and '.join(who)}" if who else "")


def _too_few(seeds: int) -> str:
    if seeds >= FEWEST_PAIRS:
        return ""
    if seeds == 1:
        return f"one seed, no interval; a paired test needs at least {FEWEST_PAIRS}"
    return f"with {seeds} seeds no paired test can reach p < {LEVEL:g}"


# --- comparisons ------------------------------------------------------------------------------------------------------


def compare(points: Points, y: Axis, loss: Column | None) -> list[Comparison]:
    """Every two private methods at every epsilon that both have, Holm-corrected together.

    Empty where a test could not pass (fewer than six pairs), where the chart mixes data or models, and where a method
    has several settings at one epsilon: picking the best of them by eye is not a test.
    """
    table = points.table
    if len({info.context for info in table.ordered_infos}) != 1:
        return []
    known = (np.isfinite(points.y.mean) & ~points.degenerate).tolist()
    at: dict[float, dict[str, int]] = {}
    for info, counts in zip(table.ordered_infos, known, strict=True):
        if info.epsilon is None or not counts:
            continue
        methods = at.setdefault(info.epsilon, {})
        if info.method in methods:
            return []
        methods[info.method] = info.id
    rows = dict(table.blocks())
    found = []
    for epsilon, a, b in _pairs(at):
        first, second = rows[at[epsilon][a]], rows[at[epsilon][b]]
        left, right = _paired(table, first, second)
        if len(left) > MOST_EXACT:
            return []
        va, vb = y.column.values[left], y.column.values[right]
        test = wilcoxon(va, vb)
        if test.reachable:
            both = np.isfinite(va) & np.isfinite(vb)
            mean_loss = [None, None]
            if loss is not None:
                mean_loss = [_mean(loss.values[side][both]) for side in (left, right)]  # type: ignore[misc]
            found.append((a, b, epsilon, float(va[both].mean()), float(vb[both].mean()), test, mean_loss))
    corrected = holm([one[5].p for one in found]) if found else []
    return [
        Comparison(a, b, epsilon, ma, mb, test, p, mean_loss[0], mean_loss[1])
        for (a, b, epsilon, ma, mb, test, mean_loss), p in zip(found, corrected, strict=True)
    ]


def _pairs(at: dict[float, dict[str, int]]) -> Iterator[tuple[float, str, str]]:
    for epsilon in sorted(at):
        for a, b in itertools.combinations(sorted(at[epsilon]), 2):
            yield epsilon, a, b


def _paired(table: RunTable, first: slice, second: slice) -> tuple[Ints, Ints]:
    """Rows of both settings, paired by seed. A seed that either has twice is left out."""
    seeds_a, seeds_b = table.seeds[first].tolist(), table.seeds[second].tolist()
    at_a, at_b = ({s: i for i, s in enumerate(seeds)} for seeds in (seeds_a, seeds_b))
    both = [s for s in seeds_a if s in at_b and seeds_a.count(s) == 1 and seeds_b.count(s) == 1]
    return (
        np.array([first.start + at_a[s] for s in both], dtype=np.int64),
        np.array([second.start + at_b[s] for s in both], dtype=np.int64),
    )


def _mean(values: Floats) -> float | None:
    finite = values[np.isfinite(values)]
    return float(finite.mean()) if len(finite) else None


# --- the sentence -----------------------------------------------------------------------------------------------------


def _relative(comparison: Comparison) -> float:
    scale = max(abs(comparison.mean_a), abs(comparison.mean_b))
    return abs(comparison.mean_a - comparison.mean_b) / scale if scale > 0 else 0.0


def _sentence(c: Comparison, y: Axis, with_loss: bool, words: Words, tests: int) -> str:
    # The better one is the subject, where there is a better one; else the larger.
    higher = y.metric.higher_is_better is not False
    first_is_subject = (c.mean_a >= c.mean_b) == higher
    a, b = (c.a, c.b) if first_is_subject else (c.b, c.a)
    va, vb = (c.mean_a, c.mean_b) if first_is_subject else (c.mean_b, c.mean_a)
    what = lower_first(words.phrase(y.metric, y.subgroup))
    p = f"{'Holm-corrected ' if tests > 1 else ''}p = {c.corrected:.2g}, {c.test.pairs} seeds"
    sentence = (
        f"At ε = {value_text(c.epsilon)}, {words.method(a)}'s {what} is {_difference(va, vb, y)} "
        f"{words.method(b)}'s ({p})"
    )
    if y.metric.kind == "fairness" and with_loss and c.loss_a is not None and c.loss_b is not None:
        la, lb = (c.loss_a, c.loss_b) if first_is_subject else (c.loss_b, c.loss_a)
        sentence += f"; its mean loss is {la:.3g} against {lb:.3g}"
    return sentence


def _difference(a: float, b: float, y: Axis) -> str:
    side = "above" if a > b else "below"
    metric = y.metric
    if metric.high == 1.0 and metric.kind != "fairness":
        return f"{_hundredths(abs(a - b))} points {side}"
    if metric.low == 0.0 and b > 0:
        return f"{_hundredths(abs(a - b) / b)} % {side}"
    unit = f" {metric.unit}" if metric.unit else ""
    return f"{abs(a - b):.2g}{unit} {side}"


def _hundredths(share: float) -> str:
    """
    >>> _hundredths(0.4137), _hundredths(0.0213), _hundredths(1.0)
    ('41', '2.1', '100')
    """
    return f"{100 * share:.0f}" if share >= 0.0995 else f"{100 * share:.1f}"
