"""95 % intervals of single figures.

They describe the sampling of the rows that a figure was measured on, for one trained model. How much a figure varies
between trainings is seen from the seeds.
"""

from __future__ import annotations

import math

Interval = tuple[float | None, float | None]

#: Standard normal quantile of a two-sided 95 % interval.
Z = 1.959963984540054
NONE: Interval = (None, None)


def wilson(successes: float, trials: float) -> Interval:
    """Interval of a rate (Wilson 1927): holds its level for small `trials` and rates near 0 or 1.

    >>> [round(x, 4) for x in wilson(0, 10)]
    [0.0, 0.2775]
    """
    if trials <= 0:
        return NONE
    rate, z2 = successes / trials, Z * Z
    middle = (rate + z2 / (2 * trials)) / (1 + z2 / trials)
    half = Z * math.sqrt(rate * (1 - rate) / trials + z2 / (4 * trials * trials)) / (1 + z2 / trials)
    return max(0.0, middle - half), min(1.0, middle + half)


def normal(value: float, variance: float, low: float = -math.inf, high: float = math.inf) -> Interval:
    """value +- 1.96 standard errors, kept within [low, high]; none where the variance is not positive."""
    if not (math.isfinite(value) and math.isfinite(variance)) or variance <= 0:
        return NONE
    half = Z * math.sqrt(variance)
    return max(low, value - half), min(high, value + half)


def auroc_interval(area: float | None, variance: float | None) -> Interval:
    """Normal interval of an area within [0, 1]; none at perfect separation, where DeLong's variance is zero."""
    return NONE if area is None or variance is None else normal(area, variance, 0.0, 1.0)
