"""Settings that no other setting beats on two metrics."""

from __future__ import annotations

import numpy as np

from backend.analysis.table import Flags, Floats, Ints


def frontier(x: Floats, y: Floats, *, x_higher: bool, y_higher: bool) -> Flags:
    """Which points no other point dominates, `[points]`; a point with a NaN never is one.

    A point dominates another if it is at least as good in both metrics and better in one; equal points stand beside
    each other. Sorting makes it O(n log n): going from the best x on, a point survives if its y beats every y so far.
    """
    mask = np.zeros(len(x), dtype=bool)
    known = np.flatnonzero(np.isfinite(x) & np.isfinite(y))
    if len(known) == 0:
        return mask
    # As costs: smaller is better in both.
    a = -x[known] if x_higher else x[known]
    b = -y[known] if y_higher else y[known]
    order = np.lexsort((b, a))
    a, b = a[order], b[order]
    first = np.append(True, a[1:] != a[:-1])
    group = np.cumsum(first) - 1
    best = b[first]  # of each x, since b is sorted within it
    before = np.append(np.inf, np.minimum.accumulate(best)[:-1])
    mask[known[order]] = (b == best[group]) & (b < before[group])
    return mask


#: Resamples of the seeds that stand behind "how often": their share is known to about three points.
RESAMPLES = 1000


def how_often(
    x: Floats,
    y: Floats,
    place: Ints,
    seeds: Ints,
    count: int,
    *,
    x_higher: bool,
    y_higher: bool,
    resamples: int = RESAMPLES,
) -> Floats:
    """Share of bootstrap resamples of the seeds (Efron 1979) in which each setting is on the frontier, `[settings]`.

    `x`, `y`, `seeds` and `place` (which setting) are `[runs]`; a seed is drawn for all settings at once, so that what
    settings share by having the same seeds (split, initial weights) does not count as doubt. A run that lacks one of
    the two numbers is left out. NaN for settings without a run, and everywhere if fewer than two seeds are there.

    A setting whose best seed is worse in one metric, and no better in the other, than the worst seed of another is
    never on the frontier: it is not resampled, which changes nothing and makes ten thousand settings cheap.
    """
    answer = np.full(count, np.nan)
    known = np.isfinite(x) & np.isfinite(y)
    place, a, b = place[known], (-x if x_higher else x)[known], (-y if y_higher else y)[known]
    names, column = np.unique(seeds[known], return_inverse=True)
    if len(names) < 2:
        return answer
    answer[np.unique(place)] = 0.0
    ends = []
    for cost in (a, b):
        low, high = np.full(count, np.inf), np.full(count, -np.inf)
        np.minimum.at(low, place, cost)
        np.maximum.at(high, place, cost)
        ends.append((low, high))
    (low_a, high_a), (low_b, high_b) = ends
    there = np.isfinite(low_a)
    order = np.argsort(np.where(there, high_a, np.inf), kind="stable")
    best = np.minimum.accumulate(np.where(there, high_b, np.inf)[order])
    before = np.searchsorted(high_a[order][: int(there.sum())], low_a, side="right")
    beaten = (before > 0) & (best[np.maximum(before - 1, 0)] < low_b)
    contenders = np.flatnonzero(there & ~beaten)
    row = np.full(count, -1)
    row[contenders] = np.arange(len(contenders))
    mine = row[place] >= 0
    values = np.zeros((2, len(contenders), len(names)))
    values[0, row[place[mine]], column[mine]] = a[mine]
    values[1, row[place[mine]], column[mine]] = b[mine]
    present = np.zeros((len(contenders), len(names)))
    present[row[place[mine]], column[mine]] = 1.0
    drawn = np.random.default_rng(0).multinomial(len(names), np.full(len(names), 1 / len(names)), size=resamples)
    weights = drawn.astype(np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        total = weights @ present.T
        means = [(weights @ part.T) / total for part in values]
    exact = [bool((low[contenders] == high[contenders]).all()) for low, high in ends]
    if exact[0] or exact[1]:
        # A metric that was asked for, such as epsilon, is the same in every resample: one order serves all.
        fixed = (low_a if exact[0] else low_b)[contenders]
        hits = _hits(fixed, means[1] if exact[0] else means[0])
    else:
        hits = np.zeros(len(contenders))
        for one, other in zip(*means, strict=True):
            hits += frontier(one, other, x_higher=False, y_higher=False)
    answer[contenders] = hits / resamples
    return answer


def _hits(fixed: Floats, costs: Floats) -> Floats:
    """In how many rows of `costs` `[resamples, settings]` each setting is on the frontier with `fixed` `[settings]`."""
    order = np.argsort(fixed, kind="stable")
    starts = np.flatnonzero(np.append(True, np.diff(fixed[order]) != 0))
    group = np.repeat(np.arange(len(starts)), np.diff(np.append(starts, len(order))))
    sorted_costs = np.where(np.isfinite(costs), costs, np.inf)[:, order]
    best = np.minimum.reduceat(sorted_costs, starts, axis=1)
    before = np.minimum.accumulate(best, axis=1)[:, :-1]
    before = np.concatenate([np.full((len(costs), 1), np.inf), before], axis=1)
    # The best of its group, if it beats all groups before.
    best[best >= before] = -np.inf
    hits = np.empty(len(fixed))
    hits[order] = (sorted_costs == best[:, group]).sum(axis=0)
    return hits
