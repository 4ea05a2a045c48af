"""Intervals of a mean over seeds."""

from __future__ import annotations

import numpy as np
from scipy import special

from backend.analysis.table import Floats, Ints

LEVEL = 0.95


def t_factor(counts: Ints, level: float = LEVEL) -> Floats:
    """Student t quantile for each number of seeds; NaN below two.

    >>> [round(float(t), 3) for t in t_factor(np.array([2, 3, 10]))]
    [12.706, 4.303, 2.262]
    """
    # A quantile takes a microsecond, and thousands of settings share a few counts.
    distinct, at = np.unique(counts, return_inverse=True)
    degrees = np.where(distinct >= 2, distinct - 1, 1).astype(np.float64)
    return np.asarray(np.where(distinct >= 2, special.stdtrit(degrees, (1 + level) / 2), np.nan)[at], dtype=np.float64)


def mean_interval(values: Floats, level: float = LEVEL) -> tuple[float, float | None, float | None]:
    """Mean of the finite values with its Student t interval; None ends where fewer than two.

    >>> [round(x, 3) for x in mean_interval(np.array([1.0, 2.0, 3.0])) if x is not None]
    [2.0, -0.484, 4.484]
    """
    finite = values[np.isfinite(values)]
    if len(finite) == 0:
        return float("nan"), None, None
    mean = float(finite.mean())
    if len(finite) == 1:
        return mean, None, None
    half = float(t_factor(np.array([len(finite)]), level)[0]) * float(finite.std(ddof=1)) / np.sqrt(len(finite))
    return mean, mean - float(half), mean + float(half)


def grouped(values: Floats, groups: Ints, count: int) -> tuple[Floats, Floats, Floats, Ints]:
    """Mean, lower and upper end and number of finite values of each of `count` groups, `[count]` each.

    `groups` says to which group each value belongs. One pass over the whole column, however many groups.
    """
    finite = np.isfinite(values)
    where, kept = groups[finite], values[finite]
    n = np.bincount(where, minlength=count).astype(np.int64)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.bincount(where, weights=kept, minlength=count) / n
        squares = np.bincount(where, weights=(kept - mean[where]) ** 2, minlength=count)
        half = t_factor(n) * np.sqrt(squares / (n - 1) / n)
    half = np.where(n >= 2, half, np.nan)
    return mean, mean - half, mean + half, n
