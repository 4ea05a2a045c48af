"""Paired tests over seeds, and their correction for being several."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from backend.analysis.table import Floats

#: Below this a corrected p counts as evidence.
LEVEL = 0.05
#: With fewer pairs no outcome of the exact test can have p < 0.05.
FEWEST_PAIRS = 6
#: Up to this many pairs the null distribution is enumerated exactly; it costs n^3 steps and no memory to speak of.
MOST_EXACT = 400


@dataclass(frozen=True)
class PairedTest:
    """Wilcoxon's signed-rank test of a against b, two-sided."""

    pairs: int
    zeros: int
    statistic: float
    p: float
    mean_difference: float
    #: Rank sum of the positive differences less that of the negative ones: which way the test points.
    rank_difference: float

    @property
    def reachable(self) -> bool:
        """Whether any outcome with so many pairs could have had p < 0.05."""
        return smallest_p(self.pairs - self.zeros) < LEVEL


def smallest_p(pairs: int) -> float:
    """The smallest two-sided p that the exact test can give.

    >>> smallest_p(5), smallest_p(6), round(smallest_p(10), 5)
    (0.0625, 0.03125, 0.00195)
    """
    return min(1.0, 2.0 ** (1 - pairs)) if pairs > 0 else 1.0


def midranks(values: Floats) -> Floats:
    """Ranks from 1; equal values share the mean of theirs."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return np.asarray((last - (counts - 1) / 2)[place], dtype=np.float64)


def wilcoxon(a: Floats, b: Floats) -> PairedTest:
    """Exact signed-rank test (Wilcoxon 1945) of paired values, two-sided.

    Zero differences are left out, as Wilcoxon does; ties share ranks, and the null distribution is that of random
    signs on just these ranks (Pratt and Gibbons 1981), so it is exact with ties too. Pairs with a NaN are left out.
    """
    known = np.isfinite(a) & np.isfinite(b)
    difference = a[known] - b[known]
    # Differences of about one rounding error are no differences.
    scale = np.maximum(np.abs(a[known]), np.abs(b[known]))
    difference = np.where(np.abs(difference) <= 1e-12 * scale, 0.0, difference)
    nonzero = difference[difference != 0]
    pairs, zeros = len(difference), len(difference) - len(nonzero)
    mean = float(difference.mean()) if pairs else 0.0
    if len(nonzero) == 0:
        return PairedTest(pairs, zeros, 0.0, 1.0, mean, 0.0)
    if len(nonzero) > MOST_EXACT:
        raise ValueError(f"Expected at most {MOST_EXACT} pairs, got {len(nonzero)}.")
    ranks = midranks(np.round(np.abs(nonzero), 15))
    positive = float(ranks[nonzero > 0].sum())
    # Twice the ranks are whole numbers: the distribution is a polynomial with one factor (1 + z^rank) / 2 per pair.
    doubled = np.round(2 * ranks).astype(np.int64)
    total = int(doubled.sum())
    chances = np.zeros(total + 1)
    chances[0] = 1.0
    for rank in doubled.tolist():
        moved = np.zeros_like(chances)
        moved[rank:] = chances[: total + 1 - rank]
        chances = (chances + moved) / 2
    middle = total / 2
    away = abs(2 * positive - middle)
    p = float(chances[np.abs(np.arange(total + 1) - middle) >= away - 1e-9].sum())
    negative = float(ranks.sum()) - positive
    return PairedTest(pairs, zeros, min(positive, negative), min(1.0, p), mean, positive - negative)


def holm(p: Sequence[float]) -> list[float]:
    """Holm's step-down correction (1979): adjusted p in the given order.

    >>> [round(x, 3) for x in holm([0.01, 0.04, 0.03])]
    [0.03, 0.06, 0.06]
    """
    values = np.asarray(p, dtype=np.float64)
    order = np.argsort(values, kind="stable")
    adjusted = np.maximum.accumulate(values[order] * (len(values) - np.arange(len(values))))
    answer = np.empty_like(values)
    answer[order] = np.minimum(adjusted, 1.0)
    return [float(x) for x in answer]


def bonferroni(p: Sequence[float]) -> list[float]:
    """Each p times their number, at most 1.

    >>> bonferroni([0.01, 0.4])
    [0.02, 0.8]
    """
    return [min(1.0, float(x) * len(p)) for x in p]
