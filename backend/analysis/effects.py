"""How large a paired difference is: permutation test, interval of the mean and of the relative reduction, rank effect.

All of it takes one number per seed and method: `a` and `b` are `[seeds]` in the same order of seeds, and pairs with a
NaN are left out. Differences are a - b; a reduction is 100 (1 - mean a / mean b), in per cent of the reference b.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import special

from backend.analysis.intervals import mean_interval
from backend.analysis.significance import midranks
from backend.analysis.table import Floats

#: Up to this many pairs every pattern of signs is tried; beyond it they are drawn.
MOST_ENUMERATED = 16
#: Patterns drawn beyond that. The smallest p is then 1 / (DRAWS + 1).
DRAWS = 20_000
#: Resamples of a bootstrap.
RESAMPLES = 4_000
#: Fewest pairs of which an interval of a ratio is given.
FEWEST_FOR_RATIO = 4


@dataclass(frozen=True)
class Effect:
    """The size of a paired difference; intervals are 95 %."""

    pairs: int
    mean_a: float
    mean_b: float
    difference: float
    low: float | None
    high: float | None
    reduction: float | None
    reduction_low: float | None
    reduction_high: float | None
    rank_biserial: float


def paired(a: Floats, b: Floats) -> tuple[Floats, Floats]:
    """The pairs of which both are finite."""
    known = np.isfinite(a) & np.isfinite(b)
    return a[known], b[known]


def sign_flip(a: Floats, b: Floats, *, seed: int = 0) -> float:
    """Two-sided permutation test of the mean difference (Fisher 1935): p under random signs of the differences.

    All 2^n patterns for up to `MOST_ENUMERATED` pairs. Beyond it `DRAWS` of them from a fixed generator, with
    (1 + hits) / (1 + draws), which never claims less than it may (Phipson and Smyth 2010).
    """
    a, b = paired(a, b)
    difference = a - b
    if not len(difference) or not difference.any():
        return 1.0
    observed = abs(difference.sum())
    slack = 1e-12 * np.abs(difference).sum()
    if len(difference) <= MOST_ENUMERATED:
        # Half of the patterns: the other half are their mirror images, with the same absolute sum.
        sums = np.array([difference[0]])
        for one in difference[1:]:
            sums = np.concatenate([sums + one, sums - one])
        return float((np.abs(sums) >= observed - slack).mean())
    signs = np.random.default_rng(seed).integers(0, 2, (DRAWS, len(difference))) * 2.0 - 1
    hits = int((np.abs(signs @ difference) >= observed - slack).sum())
    return (1 + hits) / (1 + DRAWS)


def rank_biserial(a: Floats, b: Floats) -> float:
    """Matched-pairs rank-biserial correlation (Kerby 2014): share of ranks for a > b less that for a < b.

    >>> rank_biserial(np.array([1.0, 2.0, 3.0]), np.array([2.0, 4.0, 2.5]))
    -0.6666666666666666
    """
    a, b = paired(a, b)
    difference = (a - b)[a != b]
    if not len(difference):
        return 0.0
    ranks = midranks(np.abs(difference))
    return float((ranks * np.sign(difference)).sum() / ranks.sum())


def bca_reduction(a: Floats, b: Floats, *, level: float = 0.95, seed: int = 0) -> tuple[float | None, float | None]:
    """Interval of 100 (1 - mean a / mean b): bias-corrected and accelerated bootstrap over pairs (Efron 1987).

    Resamples of a fixed generator, so that the same data have the same interval. None where there are too few pairs
    or the reference's mean is not positive in every resample: a share of nothing has no meaning.
    """
    a, b = paired(a, b)
    n = len(a)
    if n < FEWEST_FOR_RATIO or b.mean() <= 0:
        return None, None
    estimate = 100 * (1 - a.mean() / b.mean())
    draws = np.random.default_rng(seed).integers(0, n, (RESAMPLES, n))
    below = b[draws].mean(axis=1)
    left_a, left_b = (a.sum() - a) / (n - 1), (b.sum() - b) / (n - 1)
    if (below <= 0).any() or (left_b <= 0).any():
        return None, None
    found = np.sort(100 * (1 - a[draws].mean(axis=1) / below))
    if found[0] == found[-1]:
        return float(estimate), float(estimate)
    share = ((found < estimate).sum() + (found <= estimate).sum()) / (2 * RESAMPLES)
    bias = float(special.ndtri(min(max(share, 1 / RESAMPLES), 1 - 1 / RESAMPLES)))
    jack = 100 * (1 - left_a / left_b)
    pull = jack.mean() - jack
    spread = float((pull**2).sum())
    bent = float((pull**3).sum()) / (6 * spread**1.5) if spread > 0 else 0.0
    ends = []
    for tail in ((1 - level) / 2, (1 + level) / 2):
        z = bias + float(special.ndtri(tail))
        ends.append(float(np.quantile(found, special.ndtr(bias + z / (1 - bent * z)))))
    return ends[0], ends[1]


def effect(a: Floats, b: Floats) -> Effect:
    """Everything about the size of a - b. The interval of the difference is Student t, that of the ratio BCa."""
    a, b = paired(a, b)
    if not len(a):
        return Effect(0, float("nan"), float("nan"), float("nan"), None, None, None, None, None, 0.0)
    difference, low, high = mean_interval(a - b)
    mean_a, mean_b = float(a.mean()), float(b.mean())
    reduction = 100 * (1 - mean_a / mean_b) if mean_b > 0 else None
    ends = bca_reduction(a, b)
    return Effect(len(a), mean_a, mean_b, difference, low, high, reduction, *ends, rank_biserial(a, b))
