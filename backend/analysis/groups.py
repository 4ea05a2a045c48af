"""Runs in groups, by method or by any parameter: means with intervals over seeds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from backend.analysis.intervals import grouped
from backend.analysis.table import Flags, Floats, Ints


@dataclass(frozen=True)
class GroupMeans:
    """One metric over groups; all `[groups]`. `seeds` counts those with a number, ends are NaN below two."""

    mean: Floats
    low: Floats
    high: Floats
    seeds: Ints
    runs: Ints
    balanced: Flags


def over_seeds(values: Floats, groups: Ints, seeds: Ints, count: int) -> GroupMeans:
    """Mean and 95 % Student t interval over seeds of each of `count` groups; the arguments are `[runs]`.

    Runs of one seed share split, initial weights and batches, so they are no independent draws: a group's settings are
    first averaged within each seed, and the interval is over these means. Values that are not finite are left out.
    `balanced` says whether every seed of the group has the same number of them: otherwise the means of its seeds are
    over different settings.

    >>> found = over_seeds(np.array([1.0, 3.0, 2.0, 6.0]), np.zeros(4, int), np.array([0, 0, 1, 1]), 1)
    >>> found.mean.tolist(), found.seeds.tolist(), [round(float(x), 2) for x in (found.low[0], found.high[0])]
    ([3.0], [2], [-9.71, 15.71])
    """
    finite = np.isfinite(values)
    kept, where = values[finite], groups[finite]
    known, seed = np.unique(seeds[finite], return_inverse=True)
    pairs, pair = np.unique(where * max(len(known), 1) + seed, return_inverse=True)
    size = np.bincount(pair, minlength=len(pairs))
    means = np.bincount(pair, weights=kept, minlength=len(pairs)) / size
    of = (pairs // max(len(known), 1)).astype(np.int64)
    mean, low, high, n = grouped(means, of, count)
    least = np.full(count, np.iinfo(np.int64).max, dtype=np.int64)
    most = np.zeros(count, dtype=np.int64)
    np.minimum.at(least, of, size)
    np.maximum.at(most, of, size)
    runs = np.bincount(where, minlength=count).astype(np.int64)
    return GroupMeans(mean, low, high, n, runs, (n == 0) | (least == most))


def group_index(keys: list[tuple[Any, ...]]) -> tuple[list[tuple[Any, ...]], Ints]:
    """The different keys in order of first appearance, and to which each entry belongs.

    >>> group_index([("a",), ("b",), ("a",)])
    ([('a',), ('b',)], array([0, 1, 0]))
    """
    places: dict[tuple[Any, ...], int] = {}
    index = [places.setdefault(key, len(places)) for key in keys]
    return list(places), np.array(index, dtype=np.int64)
