"""Where a network's weights and a batch's activations lie in memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import cycle
from typing import Any

import numpy as np

from worker.training.fleet import _compile as k

Floats = np.ndarray[Any, np.dtype[np.float32]]

#: Layers of at most this many outputs are held one row per output, where a dot product beats a padded one.
NARROW_OUTPUTS = 8
BLOCK = 48


_offsets = cycle(range(0, 64, 13))


def aligned(count: int) -> Floats:
    """`[count]` zeros that begin on a cache line, with some to spare behind them.

    Large arrays begin on pages: each gets another offset within its page, since loads from one wait for stores to
    another that lie at the same place of their pages.
    """
    raw = np.zeros(count + 256 + 1024, np.float32)
    start = (-raw.ctypes.data // 4) % 16 + 16 * next(_offsets)
    return raw[start : start + count + 128]


def _stride(columns: int) -> int:
    padded = -(-columns // 16) * 16
    # Rows a power of two apart would fall on the same cache sets.
    return padded + 16 if padded >= 128 and padded & (padded - 1) == 0 else padded


@dataclass(frozen=True)
class Layout:
    """Offsets of one architecture, shared by all runs that have it."""

    widths: tuple[int, ...]
    capacity: int
    meta: np.ndarray[Any, np.dtype[np.int64]]
    weights: int
    work: int
    turned: int
    logical: int

    @classmethod
    def of(cls, widths: Sequence[int], capacity: int, activation: str = "gelu") -> Layout:
        """`widths` are inputs, hidden units and outputs; `capacity` the largest batch. GELU takes the most memory."""
        capacity = -(-capacity // BLOCK) * BLOCK
        layers = len(widths) - 1
        narrow = layers > 1 and widths[-1] <= NARROW_OUTPUTS
        meta = np.zeros((layers, 11), np.int64)
        weights = work = turned = logical = 0
        for layer in range(layers):
            inputs, outputs = widths[layer], widths[layer + 1]
            last = layer == layers - 1
            row = meta[layer]
            row[k.INPUTS], row[k.OUTPUTS], row[k.NARROW], row[k.LOGICAL] = inputs, outputs, last and narrow, logical
            row[k.PADDED] = -(-inputs // 6) * 6
            row[k.WEIGHTS] = weights
            if row[k.NARROW]:
                row[k.STRIDE] = meta[layer - 1, k.STRIDE]
                row[k.BIAS] = weights + outputs * row[k.STRIDE]
                weights = row[k.BIAS] + 16
            else:
                row[k.STRIDE] = _stride(outputs)
                row[k.BIAS] = weights + row[k.PADDED] * row[k.STRIDE]
                weights = row[k.BIAS] + row[k.STRIDE]
                size = capacity * int(row[k.STRIDE])
                row[k.H], work = work, work + size
                row[k.D], work = work, work + size
                row[k.Z], work = (row[k.H], work) if last or activation != "gelu" else (work, work + size)
                if layer > 0:
                    turned = max(turned, outputs * int(meta[layer - 1, k.STRIDE]))
            logical += inputs * outputs + outputs
        return cls(tuple(widths), capacity, meta, int(weights), int(work), turned, logical)

    def bytes_per_run(self) -> int:
        """Memory that one run keeps while it trains: weights, the sum of gradients and the optimizer's two moments."""
        return 4 * 4 * (self.weights + 400)

    def bytes_per_thread(self, columns: int, hot: int) -> int:
        """Memory that one thread needs for activations, errors, noise and a method's registers."""
        outputs, registers = self.widths[-1], 16
        per_record = columns + 6 + 2 * outputs + 2 * hot + 8 + registers
        return 4 * (self.work + self.turned + self.noise + self.capacity * per_record)

    @property
    def noise(self) -> int:
        """Numbers that a step's noise needs room for, see `_update.update`: all, or a chunk and a narrow layer."""
        return self.logical + max(self.widths) + 4096

    @cached_property
    def positions(self) -> np.ndarray[Any, np.dtype[np.int64]]:
        """`[weights]` where each weight lies in this layout, in the order of torch's flattened parameters."""
        return np.concatenate([part.reshape(-1) for part in self.unpack(np.arange(self.weights))])

    def pack(self, parameters: Sequence[Floats]) -> Floats:
        """Weights in this layout from torch's order: `[outputs, inputs]` weights and `[outputs]` bias per layer."""
        flat = aligned(self.weights)
        for layer, row in enumerate(self.meta):
            inputs, outputs, stride = (int(row[c]) for c in (k.INPUTS, k.OUTPUTS, k.STRIDE))
            w, b = parameters[2 * layer], parameters[2 * layer + 1]
            start = int(row[k.WEIGHTS])
            if row[k.NARROW]:
                flat[start : start + outputs * stride].reshape(outputs, stride)[:, :inputs] = w
            else:
                flat[start : start + inputs * stride].reshape(inputs, stride)[:, :outputs] = w.T
            flat[int(row[k.BIAS]) : int(row[k.BIAS]) + outputs] = b
        return flat

    def unpack(self, flat: np.ndarray[Any, Any]) -> list[np.ndarray[Any, Any]]:
        """The inverse of `pack`."""
        parameters = []
        for row in self.meta:
            inputs, outputs, stride = (int(row[c]) for c in (k.INPUTS, k.OUTPUTS, k.STRIDE))
            start = int(row[k.WEIGHTS])
            if row[k.NARROW]:
                w = flat[start : start + outputs * stride].reshape(outputs, stride)[:, :inputs]
            else:
                w = flat[start : start + inputs * stride].reshape(inputs, stride)[:, :outputs].T
            parameters += [w.copy(), flat[int(row[k.BIAS]) : int(row[k.BIAS]) + outputs].copy()]
        return parameters
