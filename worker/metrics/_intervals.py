"""95 % intervals of figures, in array code: any shapes that broadcast; NaN where there is none.

They describe the sampling of the rows that a figure was measured on, for one trained model. How much a figure varies
between trainings is seen from the seeds.
"""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
Interval = tuple[Array, Array]

#: Standard normal quantile of a two-sided 95 % interval.
Z = 1.959963984540054


def share(part: Any, whole: Any) -> Array:
    """part / whole; NaN where the whole is nothing."""
    part, whole = np.broadcast_arrays(np.asarray(part, np.float64), np.asarray(whole, np.float64))
    return np.asarray(np.divide(part, whole, out=np.full(part.shape, np.nan), where=whole > 0))


def wilson(successes: Any, trials: Any) -> Interval:
    """Interval of a rate (Wilson 1927): holds its level for small `trials` and rates near 0 or 1.

    >>> [round(float(x), 4) for x in wilson(0, 10)]
    [0.0, 0.2775]
    """
    rate, z2 = share(successes, trials), Z * Z
    trials = np.where(np.isnan(rate), np.nan, np.asarray(trials, np.float64))
    middle = (rate + z2 / (2 * trials)) / (1 + z2 / trials)
    half = Z * np.sqrt(rate * (1 - rate) / trials + z2 / (4 * trials * trials)) / (1 + z2 / trials)
    return np.maximum(0.0, middle - half), np.minimum(1.0, middle + half)


def normal(value: Any, variance: Any, low: float = -np.inf, high: float = np.inf) -> Interval:
    """value +- 1.96 standard errors, kept within [low, high]; none where the variance is not positive."""
    variance = np.asarray(variance, np.float64)
    known = np.isfinite(value) & np.isfinite(variance) & (variance > 0)
    half = Z * np.sqrt(np.where(known, variance, np.nan))
    return np.maximum(low, value - half), np.minimum(high, value + half)


def auroc_interval(area: Any, variance: Any) -> Interval:
    """Normal interval of an area within [0, 1]; none at perfect separation, where DeLong's variance is zero."""
    return normal(area, variance, 0.0, 1.0)
