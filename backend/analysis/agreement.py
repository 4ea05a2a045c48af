"""How far raters agree: Krippendorff's alpha with missing answers and a bootstrap interval over items.

Source: Krippendorff, Computing Krippendorff's Alpha-Reliability (2011). `ratings` are `[raters, items]`, NaN where a
rater gave no answer. Alpha is 1 for perfect agreement and 0 for what chance gives.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from backend.analysis.table import Floats, Ints

Level = Literal["nominal", "ordinal", "interval"]
LEVELS: tuple[Level, ...] = get_args(Level)

#: Resamples of the items.
RESAMPLES = 2_000


@dataclass(frozen=True)
class Alpha:
    """Alpha with a 95 % percentile interval; None where it is not defined."""

    value: float | None
    low: float | None
    high: float | None
    items: int
    answers: int


def counts(ratings: Floats) -> tuple[Floats, Ints]:
    """The distinct answers `[values]`, and how often each item got each of them `[items, values]`."""
    values = np.unique(ratings[np.isfinite(ratings)])
    return values, (ratings[:, :, None] == values).sum(axis=0).astype(np.int64)


def _difference(values: Floats, totals: Floats, level: Level) -> Floats:
    """Squared difference between any two answers, `[values, values]`; `totals` are the pairable answers of each."""
    if level == "nominal":
        return 1.0 - np.eye(len(values))
    if level == "interval":
        return np.asarray((values[:, None] - values[None, :]) ** 2, dtype=np.float64)
    # Ordinal: all ranks between the two, each end counted half.
    middle = np.cumsum(totals) - totals / 2
    return np.asarray((middle[:, None] - middle[None, :]) ** 2, dtype=np.float64)


def _alpha(values: Floats, table: Floats, level: Level) -> float | None:
    """Alpha of items `[items, values]` with at least two answers each. None where all answers are equal."""
    m = table.sum(axis=1)
    weighted = table / (m - 1)[:, None]
    # Ordered pairs of answers of different raters to one item, each item with weight 1 / (m - 1).
    coincidence = weighted.T @ table - np.diag(weighted.sum(axis=0))
    totals = coincidence.sum(axis=1)
    number = totals.sum()
    difference = _difference(values, totals, level)
    expected = float((np.outer(totals, totals) * difference).sum() / (number - 1)) if number > 1 else 0.0
    if expected <= 0:
        return None
    return float(1.0 - (coincidence * difference).sum() / expected)


def alpha(ratings: Floats, level: Level, *, seed: int = 0) -> Alpha:
    """Krippendorff's alpha and its interval.

    Items with fewer than two answers say nothing and are left out. The interval resamples items, from a fixed
    generator; resamples in which all answers are equal have no alpha and are left out. None for the ends where fewer
    than half of the resamples have one or there are fewer than two items.
    """
    values, table = counts(ratings)
    table = table[table.sum(axis=1) >= 2]
    answers = int(table.sum())
    if not len(table):
        return Alpha(None, None, None, 0, 0)
    cells = table.astype(np.float64)
    point = _alpha(values, cells, level)
    if point is None or len(cells) < 2:
        return Alpha(point, None, None, len(cells), answers)
    rng = np.random.default_rng(seed)
    draws = (_alpha(values, cells[rng.integers(0, len(cells), len(cells))], level) for _ in range(RESAMPLES))
    found = [one for one in draws if one is not None]
    if 2 * len(found) < RESAMPLES:
        return Alpha(point, None, None, len(cells), answers)
    low, high = np.quantile(found, [0.025, 0.975])
    return Alpha(point, float(low), float(high), len(cells), answers)


def pairs(ratings: Floats) -> list[tuple[int, int, int, int]]:
    """(rater, rater, items that both answered, of those with equal answers) for every two raters."""
    known = np.isfinite(ratings)
    return [
        (a, b, int((known[a] & known[b]).sum()), int((ratings[a] == ratings[b]).sum()))
        for a in range(len(ratings))
        for b in range(a + 1, len(ratings))
    ]
