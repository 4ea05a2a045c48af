"""Constraints, shortfalls and choices in words with units."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from backend.analysis.labels import EPSILON, Words, direction, lower_first
from backend.analysis.operating_point import Limit, Statistics
from backend.analysis.significance import MOST_EXACT, holm, smallest_p, wilcoxon
from backend.analysis.table import Floats
from backend.contracts.catalogue import MetricInfo
from backend.contracts.operating_points import Constraint, Objective


def level(metric: MetricInfo, value: float) -> str:
    """A value of a metric with its unit; shares stand without one.

    >>> level(Words().metric("epsilon"), 4.0), level(Words().metric("epsilon"), float("inf"))
    ('4', 'unbounded')
    """
    if math.isinf(value):
        return "unbounded"
    unit = f" {metric.unit}" if metric.unit and not metric.unit.startswith("share") else ""
    return f"{short(value)}{unit}"


def short(value: float) -> str:
    """A number with three or four digits.

    >>> short(0.79876), short(12345.6), short(4.0), short(0.00501)
    ('0.7988', '12,346', '4', '0.00501')
    """
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.4g}" if 0.1 <= abs(value) < 1 else f"{value:.3g}"


def amount(metric: MetricInfo, value: float) -> str:
    """A difference in a metric: points for shares, its unit otherwise.

    >>> accuracy = MetricInfo(name="a", title="A", explanation="", family="f", higher_is_better=True, low=0, high=1)
    >>> amount(accuracy, 0.0123), amount(Words().metric("epsilon"), 4.0)
    ('1.2 points', '4')
    """
    if math.isinf(value):
        return "without limit"
    if metric.high == 1.0:
        return f"{100 * value:.2g} points"
    return f"{value:.3g}" + (f" {metric.unit}" if metric.unit else "")


def what(words: Words, metric: MetricInfo, subgroup: str, groups: str) -> str:
    """What is compared: "Accuracy, worst group of sex"."""
    if metric.name == EPSILON:
        return "ε"
    if groups == "worst":
        return f"{metric.title}, worst group of {words.subgroup(subgroup)}"
    if groups == "every":
        return f"{metric.title}, every group of {words.subgroup(subgroup)}"
    return words.phrase(metric, subgroup)


def constraint_text(words: Words, one: Constraint) -> str:
    """A constraint as a sentence's part: "accuracy, every group of sex at least 0.8 in 90 % of the seeds"."""
    metric = words.metric(one.metric)
    side = "at most" if one.operator == "<=" else "at least"
    how = ""
    if one.judge == "sure" and one.metric != EPSILON:
        how = ", also at the end of the 95 % interval"
    if one.judge == "share":
        how = f", in at least {100 * one.share:g} % of the seeds"
    split = "" if one.split == "test" else f" on the {one.split} split"
    return f"{what(words, metric, one.subgroup, one.groups)}{split} {side} {level(metric, one.threshold)}{how}"


def objective_text(words: Words, one: Objective) -> str:
    """What is to be best, for the middle of a sentence."""
    return lower_first(what(words, words.metric(one.metric), one.subgroup, one.groups))


@dataclass(frozen=True)
class Miss:
    """One constraint that one setting misses or that is unknown of it."""

    constraint: Constraint
    effective: float
    mean: float
    shortfall: float
    group: str | None
    seeds: int
    size: int


def reason(words: Words, limit: Limit, miss: Miss) -> str:
    """Why a setting fails a constraint and by how much, or why it is unknown."""
    one = miss.constraint
    metric = words.metric(one.metric)
    name = what(words, metric, one.subgroup, one.groups)
    if miss.group is not None:
        name = words.phrase(metric, miss.group)
    if math.isnan(miss.effective):
        if miss.seeds == 0 or math.isnan(miss.mean):
            return f"Unknown: {lower_first(name)} was not measured on the {one.split} split"
        if one.judge == "sure":
            return f"Unknown: {lower_first(name)} has no interval, measured on one seed"
        return f"Unknown: {lower_first(name)} was measured on {miss.seeds} of {miss.size} seeds"
    need = f"{'at most' if limit.upper else 'at least'} {level(metric, limit.threshold)} asked"
    if math.isinf(miss.effective) and one.metric == EPSILON:
        return f"Not private: no ε bounds it, {need}"
    seen = level(metric, miss.effective)
    if one.judge == "sure" and not limit.exact:
        end = "upper" if limit.upper else "lower"
        seen = f"{seen} ({end} end of the 95 % interval; mean {level(metric, miss.mean)})"
    if one.judge == "share" and not limit.exact:
        if math.isinf(miss.effective):
            return f"{name} diverged on too many of the {miss.size} seeds, {need} in {100 * one.share:g} %"
        seen = f"{seen} is all that {100 * one.share:g} % of {miss.size} seeds reach (mean {level(metric, miss.mean)})"
    side = "too high" if limit.upper else "too low"
    return f"{name} {seen}, {need}: {amount(metric, miss.shortfall)} {side}"


def better(metric: MetricInfo) -> str:
    """Which way is better, or nothing."""
    return direction(metric)


@dataclass(frozen=True)
class Rival:
    """A setting beside the winner: paired values of one objective per seed."""

    label: str
    winner: Floats
    rival: Floats
    tied: bool


def rival_sentences(winner: str, goal: str, rivals: Sequence[Rival]) -> list[str]:
    """Whether the best can be told from each rival: paired Wilcoxon tests, Holm-corrected for their number."""
    tested = []
    for one in rivals:
        both = np.isfinite(one.winner) & np.isfinite(one.rival)
        pairs = int(both.sum())
        usable = pairs <= MOST_EXACT and smallest_p(pairs) < 0.05
        tested.append((one, pairs, wilcoxon(one.winner[both], one.rival[both]).p if usable else None))
    ps = [p for _, _, p in tested if p is not None]
    corrected = iter(holm(ps)) if ps else iter(())
    said = []
    for one, pairs, p in tested:
        seeds = f"{pairs} seed{'' if pairs == 1 else 's'}"
        if p is None:
            why = f"{seeds}, too few for a test" if pairs < 6 else f"{seeds}"
            said.append(
                f"{winner} and {one.label} cannot be told apart on {goal} ({why})"
                if one.tied
                else f"{one.label} is behind {winner} on {goal} ({why})"
            )
            continue
        q = next(corrected)
        over = f"{'Holm-corrected ' if len(ps) > 1 else ''}p = {q:.2g} over {seeds}"
        if q < 0.05:
            said.append(f"{winner} is told apart from {one.label} on {goal}: {over}")
        else:
            said.append(f"{winner} and {one.label} cannot be told apart on {goal}: {over}")
    return said


def gain_text(metric: MetricInfo, name: str, difference: Statistics, at: int, *, first: bool) -> str:
    """A gain with its interval: "1.2 points (95 %: 0.4 to 2) in accuracy", or "accuracy is better by ..."."""
    mean, low, high = (float(ends[at]) for ends in (difference.mean, difference.low, difference.high))
    side = 1.0 if first or mean >= 0 else -1.0
    scale, digits = (100.0, ".2g") if metric.high == 1.0 else (1.0, ".3g")
    ends = sorted((side * scale * low, side * scale * high))
    within = "one seed, no interval" if math.isnan(low) else f"95 %: {ends[0]:{digits}} to {ends[1]:{digits}}"
    said = f"{amount(metric, side * mean)} ({within})"
    return f"{said} in {name}" if first else f"{name} is {'better' if mean >= 0 else 'worse'} by {said}"
