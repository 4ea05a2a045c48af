"""The gradients of a sample's rows by the kernels that train, in the buffers of the run that is trained."""

from __future__ import annotations

from typing import Any

import numpy as np

from worker.training.clipping import Sample
from worker.training.fleet._compile import Buffers, Network, Rows, Rules
from worker.training.fleet._sample import look
from worker.training.fleet.layout import Floats, aligned

#: Numbers that the sums over cells may take, 16 MiB. Where they take more, groups are summed one after the other.
MOST_NUMBERS = 1 << 22

Array = np.ndarray[Any, Any]


def numbers(sample: Sample, size: int) -> int:
    """How many float32 the sums over cells take, for weights of this `size`."""
    whole = 2 * sample.cells * size
    return whole if whole <= MOST_NUMBERS else 2 * size


class CompiledGradients:
    """Of one run at the weights in `network`; the sums in there and all `buffers` are overwritten.

    `size` is that of the weights, `rows` are the sample's, `room` holds what `numbers` says.
    """

    def __init__(
        self, sample: Sample, size: int, rows: Rows, network: Network, buffers: Buffers, rules: Rules, room: Floats
    ) -> None:
        self._sample, self._size, self._room = sample, size, room
        self._shared = (rows, network, buffers, rules)
        #: In order, so that a row's place among `rows` is its place in the sample.
        self._every: Array = rows.pool

    def norms(self) -> Array:
        """`[1, rows]`."""
        out = np.empty(len(self._sample), np.float32)
        nobody = np.zeros(0, np.int64)
        self._look(self._every, np.array([0, len(out)]), out, out[:0], nobody, nobody, np.empty((0, 3)))
        return out[None]

    def products(self, factors: Array) -> Array:
        """`[1, groups, 3]`."""
        sample, size = self._sample, self._size
        out = np.empty((len(sample.names), 3))
        scale = np.ascontiguousarray(factors[0])
        if 2 * sample.cells * size <= MOST_NUMBERS:
            self._look(self._every, sample.starts, scale[:0], scale, *sample.parts, out)
            return out[None]
        alone = np.zeros(1, np.int64), np.arange(2)
        for group, rows in enumerate(sample.places):
            self._look(rows, np.array([0, len(rows)]), scale[:0], scale, *alone, out[group : group + 1])
        return out[None]

    def _look(self, order: Array, starts: Array, norms: Array, factors: Array, members: Array, bounds: Array,
              out: Array) -> None:  # fmt: skip
        look(*self._shared, order, starts, norms, factors, self._size, members, bounds, self._room, out)


def room_for(sample: Sample, size: int) -> Floats:
    """What `CompiledGradients` needs."""
    return aligned(numbers(sample, size))
