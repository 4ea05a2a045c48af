"""The compiled entry point by which the gradients of a sample's rows are looked at, in the buffers of a run's steps.

A sample may have more rows than a batch has room for: it is passed through in blocks, once for the norms and once more
for the sums, when the method has said by what each gradient is scaled. Both are one function in which what is inlined
stands once, since it takes long to compile.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from worker.training.fleet import _vector as v
from worker.training.fleet._backward import weighted_sum
from worker.training.fleet._compile import Network, compiled, f32, inlined
from worker.training.fleet._steps import pass_through

__all__ = ["look"]

#: Numbers of the weights that are multiplied at a time: those of all cells stay in the cache, and lanes add up few.
BLOCK = 512


@inlined
def _products(size: Any, members: Any, bounds: Any, room: Any, out: Any) -> None:
    """Of each group's two sums over its cells, as `look` says."""
    out[:] = 0.0
    for start in range(0, size, BLOCK):
        stop = min(start + BLOCK, size)
        for group in range(bounds.shape[0] - 1):
            aa, ac, cc = v.splat(f32(0)), v.splat(f32(0)), v.splat(f32(0))
            for p in range(start, stop, v.LANES):
                a, c = v.splat(f32(0)), v.splat(f32(0))
                for m in range(bounds[group], bounds[group + 1]):
                    at = 2 * members[m] * size + p
                    a, c = v.add(a, v.load(room, at)), v.add(c, v.load(room, at + size))
                aa, ac, cc = v.fma(a, a, aa), v.fma(a, c, ac), v.fma(c, c, cc)
            out[group, 0] += np.float64(v.total(aa))
            out[group, 1] += np.float64(v.total(ac))
            out[group, 2] += np.float64(v.total(cc))


@compiled
def look(rows: Any, network: Any, b: Any, rules: Any, order: Any, starts: Any, norms: Any, factors: Any, size: Any,
         members: Any, bounds: Any, room: Any, out: Any) -> None:  # fmt: skip
    """Without `factors` the norm of every row's gradient into `norms`; with them the products of sums into `out`.

    Cell c has the rows `order[starts[c] : starts[c + 1]]`, group g the cells `members[bounds[g] : bounds[g + 1]]`.
    `out[group, 3]` are, of each group's sum of gradients and of its sum of gradients times the rows' `factors`, the
    square of the first, the product of both, the square of the second. `size` numbers of the weights count, a multiple
    of 16; `room` has two times cells times as many, zeros where weights have gaps.
    """
    capacity, summed = b.losses.shape[0], factors.shape[0] > 0
    for cell in range(starts.shape[0] - 1):
        for start in range(starts[cell], starts[cell + 1], capacity):
            n = min(capacity, starts[cell + 1] - start)
            for i in range(n):
                b.batch[i] = order[start + i]
            pass_through(n, rows, network, b, rules, not summed)
            if not summed:
                for i in range(n):
                    norms[b.batch[i]] = b.norms[i]
                continue
            for k in range(2):
                for i in range(n):
                    b.norms[i] = factors[b.batch[i]] if k else f32(1)
                at, first = (2 * cell + k) * size, start == starts[cell]
                # Most cells are one block, whose sums are written where they stay.
                sums = room[at : at + size] if first else network.sums[:size]
                into = Network(network.meta, network.weights, sums, network.first, network.second)
                weighted_sum(n, n + (-n) % v.ROWS, rows, into, b, b.norms)
                if not first:
                    for p in range(0, size, v.LANES):
                        v.store(room, at + p, v.add(v.load(room, at + p), v.load(network.sums, p)))
    if summed:
        _products(size, members, bounds, room, out)
