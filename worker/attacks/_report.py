"""From an attack's scores to its figures: the same for every attack, overall and per subgroup."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from scipy import special

from backend.contracts.catalogue import MetricInfo
from backend.contracts.results import Roc
from worker.datasets._table import Integers
from worker.metrics._intervals import Interval, auroc_interval, normal, share
from worker.metrics._predictions import Array, Figure, Flags, Floats, Groups
from worker.metrics._ranking import Ranking, compiled, rank

#: Names of the figures, after the attack's own name and an underscore.
AUC, ADVANTAGE, BALANCED_ACCURACY = "auc", "advantage", "balanced_accuracy"
#: False positive rates at which the true positive rate is read, by metric name.
LOW_FPR = {"tpr_at_1pct_fpr": 0.01, "tpr_at_0_1pct_fpr": 0.001, "tpr_at_0_01pct_fpr": 0.0001}
#: A rate f is resolved where at least this many false positives are allowed: f * non-members >= 1.
ALLOWED_FALSE_POSITIVES = 1
#: A subgroup with fewer members or fewer non-members than this has no figures and no curve.
FEWEST_ROWS = 10
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
             "True less false positive rate at the best threshold, found on other rows; 0 is guessing.",
             low=-1.0, unit=""),
        info(BALANCED_ACCURACY, "Attack balanced accuracy",
             "Share of right guesses at the best threshold, found on other rows, with as many members as non-members; "
             "0.5 is guessing.",
             low=0.0, unit="share of guesses"),
        info("tpr_at_1pct_fpr", "Members found at 1 % false alarms",
             "Share of the training rows that the attack names while at most 1 % of the others are named wrongly.",
             low=0.0, unit=share, log=True),
        info("tpr_at_0_1pct_fpr", "Members found at 0.1 % false alarms",
             "Share of the training rows that the attack names while at most 0.1 % of the others are named wrongly.",
             low=0.0, unit=share, log=True),
        info("tpr_at_0_01pct_fpr", "Members found at 0.01 % false alarms",
             "Share of the training rows that the attack names while at most 0.01 % of the others are named wrongly.",
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

    AUC has DeLong's interval, the true positive rates the exact one of Clopper and Pearson. The best threshold of
    advantage and balanced accuracy is found on one half of the rows and read on the other, and the other way round: a
    maximum over thresholds on the rows themselves is biased upwards, most in small subgroups, which then seem more
    vulnerable than they are (Kulynych et al. 2022). Hence a value below 0 may occur, and one of 0 is guessing. A
    subgroup with fewer than `FEWEST_ROWS` members or non-members has neither figures nor a curve. Rows whose score is
    NaN are left out.
    """
    if not np.isnan(scores).any():
        return _report(attack, scores, members, groups)
    flat = scores.reshape(-1, scores.shape[-1])
    apart = [_without_unknown(attack, one, members, groups) for one in flat]
    shape = (*scores.shape[:-1], len(groups.names))
    figures = [_stacked([figures[place] for figures, _ in apart], shape) for place in range(len(apart[0][0]))]
    return figures, [curves for _, curves in apart]


def _without_unknown(attack: str, scores: Array, members: Flags, groups: Groups) -> tuple[list[Figure], list[Roc]]:
    known = ~np.isnan(scores)
    some = Groups(groups.names, groups.masks & known, groups.families)
    figures, curves = _report(attack, np.where(known, scores, 0.0)[None], members, some)
    return figures, curves[0]


def _stacked(figures: list[Figure], shape: tuple[int, ...]) -> Figure:
    """One figure of the same metric of several runs."""

    def whole(parts: list[Array | None]) -> Array | None:
        known = [np.broadcast_to(part, (1, shape[-1]))[0] for part in parts if part is not None]
        return np.stack(known).reshape(shape) if known else None

    value = whole([one.value for one in figures])
    assert value is not None
    n, low, high = (whole([getattr(one, field) for one in figures]) for field in ("n", "low", "high"))
    return Figure(figures[0].metric, figures[0].subgroups, value, n, low, high)


def _report(attack: str, scores: Array, members: Flags, groups: Groups) -> tuple[list[Figure], list[list[Roc]]]:
    read = [points(int(n)) for n in (groups.masks & ~members).sum(axis=1)]
    ranking = rank(scores, members, groups, [one.allowed for one in read])
    held_out = crossfit(scores, members, groups)
    return list(_figures(attack, ranking, held_out, read, groups)), _curves(attack, ranking, read, groups)


def _figures(attack: str, ranking: Ranking, held_out: Array, read: list[Points], groups: Groups) -> Iterator[Figure]:
    m, n, names, rows = ranking.positives, ranking.negatives, groups.names, groups.sizes
    enough = np.minimum(m, n) >= FEWEST_ROWS
    area = np.where(enough, ranking.area, np.nan)
    yield Figure(f"{attack}_{AUC}", names, area, rows, *auroc_interval(area, ranking.variance))
    value, variance = (np.where(enough, one, np.nan) for one in advantage(held_out))
    low, high = normal(value, variance, -1.0, 1.0)
    yield Figure(f"{attack}_{ADVANTAGE}", names, value, rows, low, high)
    yield Figure(f"{attack}_{BALANCED_ACCURACY}", names, (1 + value) / 2, rows, (1 + low) / 2, (1 + high) / 2)
    starts = np.cumsum([0, *(len(one.allowed) for one in read)])[:-1]
    for place, (figure, fpr) in enumerate(LOW_FPR.items()):
        found = ranking.points[..., starts + [one.low[place] for one in read], 1]
        resolved = enough & [unresolved(int(non_members), fpr) is None for non_members in n]
        value = np.where(resolved, share(found, m), np.nan)
        yield Figure(f"{attack}_{figure}", names, value, m, *clopper_pearson(found, m))


def crossfit(scores: Array, members: Flags, groups: Groups) -> Array:
    """`[..., groups, 2, 4]`: each half's best threshold, read on the other half.

    True positives, members, false positives and non-members of that other half. Halves are every second candidate.
    """
    flat = np.ascontiguousarray(scores).reshape(-1, scores.shape[-1])
    fold = np.arange(len(members)) % 2
    sizes = np.stack([[(groups.masks & (fold == f) & (members == who)).sum(axis=1) for who in (True, False)]
                      for f in (0, 1)]).transpose(2, 0, 1).astype(np.int64)  # fmt: skip
    found = np.zeros((len(flat), len(groups.names), 2, 2), np.int64)
    (_compiled() or _crossfit)(flat, np.argsort(flat, axis=-1), members, fold, groups.codes, sizes, found)
    other = np.broadcast_to(sizes[:, ::-1], found.shape)
    whole = np.stack([found[..., 0], other[..., 0], found[..., 1], other[..., 1]], axis=-1)
    return whole.reshape(*scores.shape[:-1], *whole.shape[1:])


def advantage(held_out: Array) -> tuple[Floats, Floats]:
    """`[..., groups]` mean over both halves of the true less the false positive rate, and its variance.

    The variance takes the thresholds as given, and rates as (k + 1) / (n + 2), so that it is never 0.
    """
    tp, m, fp, n = np.moveaxis(held_out, -1, 0)
    value = (share(tp, m) - share(fp, n)).mean(axis=-1)
    of_rates = [(k + 1) / (trials + 2) for k, trials in ((tp, m), (fp, n))]
    spread = sum(share(p * (1 - p), trials) for p, trials in zip(of_rates, (m, n), strict=True))
    return np.asarray(value), np.asarray(spread).sum(axis=-1) / 4


def _crossfit(scores: Any, order: Any, positive: Any, fold: Any, codes: Any, sizes: Any, found: Any) -> None:
    """One pass from the highest score to the lowest, for all subgroups; a threshold lies between different scores."""
    runs, rows = order.shape
    columns, count = codes.shape[1], len(sizes)
    seen, best = np.zeros((count, 2, 2), np.int64), np.zeros((count, 2), np.int64)
    level = np.zeros(count, scores.dtype)
    for run in range(runs):
        seen[:] = 0
        best[:] = 0
        for i in range(rows - 1, -1, -1):
            row = order[run, i]
            score = scores[run, row]
            for column in range(columns):
                g = codes[row, column]
                if g < 0:
                    continue
                if score != level[g]:
                    for f in range(2):
                        gain = seen[g, f, 0] * sizes[g, f, 1] - seen[g, f, 1] * sizes[g, f, 0]
                        if gain > best[g, f]:
                            best[g, f] = gain
                            found[run, g, f, 0] = seen[g, 1 - f, 0]
                            found[run, g, f, 1] = seen[g, 1 - f, 1]
                    level[g] = score
                seen[g, fold[row], 0 if positive[row] else 1] += 1


@lru_cache(maxsize=1)
def _compiled() -> Callable[..., None] | None:
    """`_crossfit` as machine code, kept on disk; None where numba is not installed."""
    if compiled() is None:
        return None
    from numba import njit

    walk: Callable[..., None] = njit(nogil=True, cache=True)(_crossfit)
    return walk


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
        if min(m, n) < FEWEST_ROWS:
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
