"""From an attack's scores to its figures: the same for every attack, overall and per subgroup."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from scipy import stats

from backend.contracts.catalogue import MetricInfo
from backend.contracts.results import Measurement, Roc
from worker.metrics._intervals import NONE, Interval, auroc_interval
from worker.metrics._predictions import Flags, Floats, Groups
from worker.metrics._ranking import Counts, Curve, Ranking

#: Names of the figures, after the attack's own name and an underscore.
AUC, ADVANTAGE, BALANCED_ACCURACY = "auc", "advantage", "balanced_accuracy"
#: False positive rates at which the true positive rate is read, by metric name.
LOW_FPR = {"tpr_at_1pct_fpr": 0.01, "tpr_at_0_1pct_fpr": 0.001}
#: A rate f is resolved where at least this many false positives are allowed: f * non-members >= 1.
ALLOWED_FALSE_POSITIVES = 1
#: Points kept of a ROC curve: spread evenly over log10 of the false positive rate, and over the rate itself.
LOG_POINTS, LINEAR_POINTS = 160, 60


def metrics_of(name: str, title: str) -> tuple[MetricInfo, ...]:
    """The metrics that an attack plugin contributes."""

    def info(figure: str, what: str, explanation: str, *, low: float, unit: str, log: bool = False) -> MetricInfo:
        return MetricInfo(
            name=f"{name}_{figure}",
            title=f"{what}, {title.lower()}",
            explanation=explanation,
            family=name,
            higher_is_better=False,
            unit=unit,
            low=low,
            high=1.0,
            log=log,
            kind="attack",
        )

    share = "share of members"
    return (
        info(AUC, "Attack AUC", "Chance that the attack ranks a member above a non-member; 0.5 is guessing.",
             low=0.0, unit=""),
        info(ADVANTAGE, "Attack advantage",
             "Largest difference of true and false positive rate over all thresholds; 0 is guessing.",
             low=0.0, unit=""),
        info(BALANCED_ACCURACY, "Attack balanced accuracy",
             "Share of right guesses at the best threshold with as many members as non-members; 0.5 is guessing.",
             low=0.5, unit="share of guesses"),
        info("tpr_at_1pct_fpr", "Members found at 1 % false alarms",
             "Share of the training rows that the attack names while at most 1 % of the others are named wrongly.",
             low=0.0, unit=share, log=True),
        info("tpr_at_0_1pct_fpr", "Members found at 0.1 % false alarms",
             "Share of the training rows that the attack names while at most 0.1 % of the others are named wrongly.",
             low=0.0, unit=share, log=True),
    )  # fmt: skip


def tpr_at(curve: Curve, fpr: float) -> float:
    """The largest true positive rate with a false positive rate of at most `fpr`; no interpolation."""
    return float(curve.tpr[np.searchsorted(curve.fpr, fpr * (1 + 1e-12), side="right") - 1])


def unresolved(non_members: int, fpr: float) -> str | None:
    """Why a false positive rate cannot be read from so few non-members, or None where it can.

    >>> unresolved(500, 0.001)
    'at 0.1 % false positives at least 1000 non-members are needed, there are 500'
    """
    needed = math.ceil(ALLOWED_FALSE_POSITIVES / fpr - 1e-9)
    if non_members >= needed:
        return None
    return f"at {100 * fpr:g} % false positives at least {needed} non-members are needed, there are {non_members}"


def report(attack: str, scores: Floats, members: Flags, groups: Groups) -> tuple[list[Measurement], list[Roc]]:
    """All figures of one attack on one run, for every subgroup.

    AUC has DeLong's interval, the true positive rates the exact one of Clopper and Pearson. Advantage and balanced
    accuracy are maxima over thresholds found on the same rows, hence biased upwards, the more so in small subgroups;
    no interval is given.
    """
    measurements: list[Measurement] = []
    rocs: list[Roc] = []
    ranking = Ranking(scores, members)
    for name, mask in zip(groups.names, groups.masks, strict=True):
        counts = ranking.counts(mask)
        curve = counts.curve()
        measurements.extend(_figures(attack, name, counts, curve))
        if all(counts.totals):
            rocs.append(_thinned(attack, name, curve, *counts.totals))
    return measurements, rocs


def _figures(attack: str, subgroup: str, counts: Counts, curve: Curve) -> Iterator[Measurement]:
    m, n = counts.totals

    def one(figure: str, value: float | None, rows: int, interval: Interval = NONE) -> Measurement:
        low, high = interval if value is not None else NONE
        return Measurement(
            metric=f"{attack}_{figure}", subgroup=subgroup, split="test", value=value, n=rows, low=low, high=high
        )

    area, variance = counts.auroc()
    advantage = float((curve.tpr - curve.fpr).max()) if m and n else None
    yield one(AUC, area, m + n, auroc_interval(area, variance))
    yield one(ADVANTAGE, advantage, m + n)
    yield one(BALANCED_ACCURACY, None if advantage is None else (1 + advantage) / 2, m + n)
    for figure, fpr in LOW_FPR.items():
        if not m or unresolved(n, fpr) is not None:
            yield one(figure, None, m)
        else:
            value = tpr_at(curve, fpr)
            yield one(figure, value, m, clopper_pearson(round(value * m), m))


def clopper_pearson(successes: int, trials: int) -> Interval:
    """Exact interval of a rate (Clopper and Pearson 1934): at least 95 % whatever the rate, as rare events need."""
    if trials <= 0:
        return NONE
    low = stats.beta.ppf(0.025, successes, trials - successes + 1) if successes else 0.0
    high = stats.beta.ppf(0.975, successes + 1, trials - successes) if successes < trials else 1.0
    return float(low), float(high)


def _thinned(attack: str, subgroup: str, curve: Curve, members: int, n: int) -> Roc:
    """The last point at or below each of a set of false positive rates, even in log10 and in the rate itself."""
    grid = np.union1d(np.geomspace(1 / n, 1, LOG_POINTS), np.linspace(0, 1, LINEAR_POINTS))
    kept = np.unique(
        np.append(np.searchsorted(curve.fpr, grid * (1 + 1e-12), side="right") - 1, [0, -1 % len(curve.fpr)])
    )
    return Roc(
        attack=attack,
        subgroup=subgroup,
        fpr=[_short(x) for x in curve.fpr[kept]],
        tpr=[_short(x) for x in curve.tpr[kept]],
        members=members,
        non_members=n,
    )


def _short(x: Any) -> float:
    """Six significant digits: a curve is stored for drawing."""
    return float(f"{x:.6g}")
