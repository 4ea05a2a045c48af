"""Standard normals from the operating system's secure source of randomness.

Each is half the sum of four normals by Box and Muller, computed in float64 from 52 random bits a uniform: a sum of
several hides which floating-point numbers a single one can take (Holohan and Braghin 2021, arXiv:2107.10138, section
4.2; Opacus' secure mode does the same). Nothing is kept, so what was drawn cannot be drawn again.
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from worker.training import _streams_numpy

try:
    from numba import njit

    HAS_NUMBA = True
except ImportError:
    HAS_NUMBA = False

    def njit(**options: Any) -> Any:  # type: ignore[no-redef]
        """Leaves a function as it is."""
        return lambda function: function


__all__ = ["HAS_NUMBA", "njit", "secure_normals"]

Floats = np.ndarray[Any, np.dtype[np.float32]]

#: Normals that are summed for one.
SUMMED = 4
#: Normals drawn at a time: bounds the memory taken by random bytes.
CHUNK = 1 << 14


def secure_normals(count: int) -> Floats:
    """`[count]` standard normals in float32."""
    out = np.empty(count, np.float32)
    sum_normals = _sum_normals if HAS_NUMBA else _streams_numpy._sum_normals
    for start in range(0, count, CHUNK):
        part = out[start : start + CHUNK]
        sum_normals(part, np.frombuffer(os.urandom(8 * SUMMED * len(part)), np.uint64))
    return out


@njit(cache=True, nogil=True)
def _sum_normals(out: Any, words: Any) -> None:
    """`words` holds four for each of `out`: two pairs (radius, angle), each of which gives two normals."""
    scale = 1.0 / 4503599627370496.0
    for i in range(out.shape[0]):
        total = 0.0
        for pair in range(2):
            radius = (np.float64(words[4 * i + 2 * pair] >> np.uint64(12)) + 0.5) * scale
            angle = (np.float64(words[4 * i + 2 * pair + 1] >> np.uint64(12)) + 0.5) * scale * 6.283185307179586
            total += np.sqrt(-2.0 * np.log(radius)) * (np.cos(angle) + np.sin(angle))
        out[i] = np.float32(0.5 * total)
