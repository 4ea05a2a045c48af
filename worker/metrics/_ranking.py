"""AUROC and ROC curves of many runs and subgroups from one sort of each run's scores.

Everything that is counted is a whole number, so that ties are handled exactly and a run's figures are the same bit
for bit, whether its rows are walked through by compiled code or by numpy (where numba is not installed), alone or with
others.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np

from worker.datasets._table import Integers
from worker.metrics._groups import Array, Flags, Floats, Groups
from worker.metrics._intervals import share

#: Sums over the rows of a subgroup of their doubled and centred placements x, and of x^2; whole numbers, exact in
#: float64 up to 400,000 rows, and beyond to all its digits. Products of three counts have to fit 64 bits, which they do
#: up to 4 million rows.
SUM_POSITIVE, SQUARES_POSITIVE, SUM_NEGATIVE, SQUARES_NEGATIVE = range(4)


@dataclass(frozen=True)
class Ranking:
    """How well scores tell positive rows from negative ones: `[..., groups]` each.

    A positive row's placement is the share of the negative rows below it, ties counting one half; the area under the
    ROC curve is the mean of the placements, and the placements of both classes give its variance (DeLong, DeLong and
    Clarke-Pearson 1988).
    """

    #: `[groups]` positive and negative rows.
    positives: Integers
    negatives: Integers
    #: `[..., groups, 4]`, see `SUM_POSITIVE`. With N negative rows, x = 2 N placement - N: a whole number.
    moments: Floats
    #: `[..., groups]` largest difference tp N - fp M over all thresholds, in counts; 0 at the least.
    largest: Integers
    #: `[..., points, 2]` false and true positives at the points asked for, all groups one after the other.
    points: Integers

    @property
    def area(self) -> Floats:
        """`[..., groups]`; NaN where one class is absent."""
        m, n = self.positives, self.negatives
        return share(self.moments[..., SUM_POSITIVE] + m * n, 2 * m * n)

    @cached_property
    def variance(self) -> Floats:
        """`[..., groups]` of the area; NaN where either class has fewer than two rows."""
        m, n = self.positives, self.negatives
        of_positive = _spread(self.moments[..., SUM_POSITIVE], self.moments[..., SQUARES_POSITIVE], m)
        of_negative = _spread(self.moments[..., SUM_NEGATIVE], self.moments[..., SQUARES_NEGATIVE], n)
        return share(of_positive, 4 * n**2 * m) + share(of_negative, 4 * m**2 * n)

    @property
    def advantage(self) -> Floats:
        """`[..., groups]` largest true positive rate less false positive rate; NaN where one class is absent."""
        return share(self.largest, self.positives * self.negatives)


def _spread(total: Floats, squares: Floats, n: Integers) -> Floats:
    """Variance (n - 1) of whole numbers, in integers of any size: no digits are lost, and none becomes exactly 0."""
    whole = np.asarray(total.astype(np.int64), object), np.asarray(squares.astype(np.int64), object)
    numerator = np.maximum(n.astype(object) * whole[1] - whole[0] ** 2, 0)
    return np.where(n > 1, share(numerator.astype(np.float64), n * (n - 1)), np.nan)


def rank(scores: Array, positive: Flags, groups: Groups, allowed: Sequence[Integers] | None = None) -> Ranking:
    """Ranks `scores[..., rows]` by the rule "positive if score >= threshold", with `positive[rows]` true.

    `allowed` holds for each group numbers of false positives, ascending; `points` then are those of the group's ROC
    curve that have at most so many.
    """
    sizes = groups.sizes
    positives = np.asarray((groups.masks & positive).sum(axis=1))
    negatives = sizes - positives
    asked = [np.zeros(0, np.int64)] * len(sizes) if allowed is None else list(allowed)
    ends = np.cumsum([len(one) for one in asked]).astype(np.int64)
    limits = np.concatenate([*asked, np.zeros(0, np.int64)]).astype(np.int64)
    flat = np.ascontiguousarray(scores).reshape(-1, scores.shape[-1])
    order = np.argsort(flat, axis=-1)
    moments = np.zeros((len(flat), len(sizes), 4))
    largest = np.zeros((len(flat), len(sizes)), np.int64)
    points = np.zeros((len(flat), len(limits), 2), np.int64)
    walk = compiled() or walk_numpy
    walk(flat, order, positive, groups.codes, positives, negatives, limits, ends, moments, largest, points)
    shape = scores.shape[:-1]
    return Ranking(
        positives,
        negatives,
        moments.reshape(*shape, *moments.shape[1:]),
        largest.reshape(*shape, len(sizes)),
        points.reshape(*shape, *points.shape[1:]),
    )


def walk_numpy(
    scores: Array,
    order: Integers,
    positive: Flags,
    codes: Array,
    positives: Integers,
    negatives: Integers,
    limits: Integers,
    ends: Integers,
    moments: Floats,
    largest: Integers,
    points: Integers,
) -> None:
    """From the highest score to the lowest, one subgroup of one run after the other."""
    for run, ascending in enumerate(order):
        down = ascending[::-1]
        for column in codes.T:
            inside = column[down]
            for g in np.unique(inside[inside >= 0]):
                rows = down[inside == g]
                level = scores[run, rows]
                last = np.flatnonzero(np.append(level[1:] != level[:-1], True))
                tp = np.append(0, np.cumsum(positive[rows])[last])
                fp = np.append(0, last + 1) - tp
                p, n = np.diff(tp), np.diff(fp)
                x, y = negatives[g] - 2 * fp[:-1] - n, 2 * tp[:-1] + p - positives[g]
                moments[run, g] = (p * x).sum(), (p * x * x).sum(), (n * y).sum(), (n * y * y).sum()
                largest[run, g] = (tp * negatives[g] - fp * positives[g]).max()
                start = ends[g - 1] if g else 0
                at = np.searchsorted(fp, limits[start : ends[g]], side="right") - 1
                points[run, start : ends[g]] = np.stack([fp[at], tp[at]], axis=1)


def _walk(
    scores: Any,
    order: Any,
    positive: Any,
    codes: Any,
    positives: Any,
    negatives: Any,
    limits: Any,
    ends: Any,
    moments: Any,
    largest: Any,
    points: Any,
) -> None:
    """The same in one pass for all subgroups: each keeps its rows of equal score until a lower score comes."""
    runs, rows = order.shape
    columns, count = codes.shape[1], len(positives)
    tp, fp = np.zeros(count, np.int64), np.zeros(count, np.int64)
    tied_p, tied_n = np.zeros(count, np.int64), np.zeros(count, np.int64)
    level, at = np.zeros(count, scores.dtype), np.zeros(count, np.int64)
    for run in range(runs):
        for g in range(count):
            tp[g] = fp[g] = tied_p[g] = tied_n[g] = 0
            at[g] = ends[g - 1] if g > 0 else 0
        # One turn more than there are rows, to close the last ties.
        for i in range(rows, -1, -1):
            row = order[run, i - 1] if i > 0 else 0
            score = scores[run, row]
            for column in range(columns if i > 0 else count):
                g = codes[row, column] if i > 0 else column
                if g < 0:
                    continue
                p, n = tied_p[g], tied_n[g]
                if p + n > 0 and (i == 0 or score != level[g]):
                    x, y = negatives[g] - 2 * fp[g] - n, 2 * tp[g] + p - positives[g]
                    moments[run, g, 0] += p * x
                    moments[run, g, 1] += p * x * x
                    moments[run, g, 2] += n * y
                    moments[run, g, 3] += n * y * y
                    while at[g] < ends[g] and limits[at[g]] < fp[g] + n:
                        points[run, at[g], 0] = fp[g]
                        points[run, at[g], 1] = tp[g]
                        at[g] += 1
                    tp[g] += p
                    fp[g] += n
                    tied_p[g] = tied_n[g] = 0
                    largest[run, g] = max(largest[run, g], tp[g] * negatives[g] - fp[g] * positives[g])
                if i > 0:
                    level[g] = score
                    if positive[row]:
                        tied_p[g] += 1
                    else:
                        tied_n[g] += 1
        for g in range(count):
            while at[g] < ends[g]:
                points[run, at[g], 0] = fp[g]
                points[run, at[g], 1] = tp[g]
                at[g] += 1


@lru_cache(maxsize=1)
def compiled() -> Callable[..., None] | None:
    """`_walk` as machine code, kept on disk; None where numba is not installed."""
    if importlib.util.find_spec("numba") is None:
        return None
    from numba import njit

    walk: Callable[..., None] = njit(nogil=True, cache=True)(_walk)
    return walk
