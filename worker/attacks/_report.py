"""From an attack's scores to its figures: the same for every attack, overall and per subgroup."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy import special

from backend.contracts.catalogue import MetricInfo
from backend.contracts.results import Roc
from worker.datasets._table import Integers
from worker.metrics._intervals import Interval, auroc_interval, share
from worker.metrics._predictions import Array, Figure, Flags, Floats, Groups
from worker.metrics._ranking import Ranking, rank

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


def unresolved(non_members: int, fpr: float) -> str | None:
    """Why a false positive rate cannot be read from so few non-members, or None where it can.

    >>> unresolved(500, 0.001)
    'at 0.1 % false positives at least 1000 non-members are needed, there are 500'
    """
    needed = math.ceil(ALLOWED_FALSE_POSITIVES / fpr - 1e-9)
    if non_members >= needed:
        return None
    return f"at {100 * fpr:g} % false positives at least {needed} non-members are needed, there are {non_members}"


@dataclass(frozen=True)
class Points:
    """Which points of a ROC curve are read, as numbers of false positives that are allowed, ascending."""

    allowed: Integers
    #: Which of them are drawn.
    drawn: Flags
    #: Where the rates of `LOW_FPR` are found.
    low: tuple[int, ...]


@lru_cache(maxsize=1024)
def points(n: int) -> Points:
    """With `n` non-members: those drawn are even in log10 of the rate and in the rate itself."""
    counts = np.arange(n + 1) / max(1, n)

    def allowed(rates: Array) -> Integers:
        return np.asarray(np.searchsorted(counts, rates * (1 + 1e-12), side="right") - 1)

    drawn = allowed(np.union1d(np.geomspace(1 / max(1, n), 1, LOG_POINTS), np.linspace(0, 1, LINEAR_POINTS)))
    low = allowed(np.array(list(LOW_FPR.values())))
    both = np.union1d(drawn, low)
    return Points(both, np.isin(both, drawn), tuple(np.searchsorted(both, low).tolist()))


def report(attack: str, scores: Array, members: Flags, groups: Groups) -> tuple[list[Figure], list[list[Roc]]]:
    """All figures of one attack for every subgroup, and the ROC curves of each run, from `scores[..., candidates]`.

    AUC has DeLong's interval, the true positive rates the exact one of Clopper and Pearson. Advantage and balanced
    accuracy are maxima over thresholds found on the same rows, hence biased upwards, the more so in small subgroups;
    no interval is given. A curve is drawn where a subgroup has both members and non-members.
    """
    read = [points(int(n)) for n in (groups.masks & ~members).sum(axis=1)]
    ranking = rank(scores, members, groups, [one.allowed for one in read])
    return list(_figures(attack, ranking, read, groups)), _curves(attack, ranking, read, groups)


def _figures(attack: str, ranking: Ranking, read: list[Points], groups: Groups) -> Iterator[Figure]:
    m, n, names, rows = ranking.positives, ranking.negatives, groups.names, groups.sizes
    yield Figure(f"{attack}_{AUC}", names, ranking.area, rows, *auroc_interval(ranking.area, ranking.variance))
    yield Figure(f"{attack}_{ADVANTAGE}", names, ranking.advantage, rows)
    yield Figure(f"{attack}_{BALANCED_ACCURACY}", names, (1 + ranking.advantage) / 2, rows)
    starts = np.cumsum([0, *(len(one.allowed) for one in read)])[:-1]
    for place, (figure, fpr) in enumerate(LOW_FPR.items()):
        found = ranking.points[..., starts + [one.low[place] for one in read], 1]
        resolved = np.array([unresolved(int(non_members), fpr) is None for non_members in n])
        value = np.where(resolved, share(found, m), np.nan)
        yield Figure(f"{attack}_{figure}", names, value, m, *clopper_pearson(found, m))


def clopper_pearson(successes: Array | int, trials: Array | int) -> Interval:
    """Exact interval of a rate (Clopper and Pearson 1934): at least 95 % whatever the rate, as rare events need."""
    k, n = np.broadcast_arrays(np.asarray(successes, np.float64), np.asarray(trials, np.float64))
    low = np.where(k > 0, special.betaincinv(np.maximum(k, 1), n - k + 1, 0.025), 0.0)
    high = np.where(k < n, special.betaincinv(k + 1, np.maximum(n - k, 1), 0.975), 1.0)
    return np.where(n > 0, low, np.nan), np.where(n > 0, high, np.nan)


def _curves(attack: str, ranking: Ranking, read: list[Points], groups: Groups) -> list[list[Roc]]:
    """One list of thinned curves per run: from (0, 0) to (1, 1), no point twice."""
    counts = ranking.points.reshape(-1, *ranking.points.shape[-2:])
    curves: list[list[Roc]] = [[] for _ in counts]
    end = 0
    for g, one in enumerate(read):
        start, end = end, end + len(one.allowed)
        m, n = int(ranking.positives[g]), int(ranking.negatives[g])
        if not m or not n:
            continue
        corners = np.broadcast_to([[0, 0], [n, m]], (len(counts), 2, 2))
        whole = np.concatenate([corners[:, :1], counts[:, start:end][:, one.drawn], corners[:, 1:]], axis=1)
        kept = np.ones(whole.shape[:2], bool)
        kept[:, 1:] = (whole[:, 1:] != whole[:, :-1]).any(axis=-1)
        rates = short(whole / np.array([n, m]))
        for run, curve in enumerate(rates):
            fpr, tpr = curve[kept[run]].T.tolist()
            curves[run].append(Roc(attack=attack, subgroup=groups.names[g], fpr=fpr, tpr=tpr, members=m, non_members=n))
    return curves


def short(x: Floats) -> Floats:
    """Six significant digits of numbers from 0 to 1: a curve is stored for drawing.

    >>> short(np.array([0.0, 2 / 3, 1 / 81_000])).tolist()
    [0.0, 0.666667, 1.23457e-05]
    """
    with np.errstate(divide="ignore"):
        scale = 10.0 ** np.where(x > 0, 5 - np.floor(np.log10(x)), 0.0)
    return np.asarray(np.rint(x * scale) / scale)
