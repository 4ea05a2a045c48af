"""Settings that no other setting beats on two metrics."""

from __future__ import annotations

import numpy as np

from backend.analysis.table import Flags, Floats


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
