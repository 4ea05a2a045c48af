"""The draws of `streams` and `secure` in whole-array operations, for machines without Numba.

Words are the same bits as those of the compiled loops, and so are uniforms. A Poisson batch has the same
rows: the skips between them are whole numbers, whose sum in float64 is exact in any order. Normals go through the same
polynomials in float32, in whose last bit compilers differ.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

f32, f64, u32, u64 = np.float32, np.float64, np.uint32, np.uint64
_M0, _M1 = u64(0xD2511F53), u64(0xCD9E8D57)
_LOW, _SHIFT = u64(0xFFFFFFFF), u64(32)
_W0, _W1 = 0x9E3779B9, 0xBB67AE85


def philox4x32(c0: Any, c1: Any, c2: Any, c3: Any, k0: Any, k1: Any) -> Any:
    """Ten rounds of Philox4x32: four words from a counter of four and a key of two; the counter may be of arrays."""
    c0, c1, c2, c3 = (np.asarray(c, u64) for c in (c0, c1, c2, c3))
    k0, k1 = int(k0), int(k1)
    for _ in range(10):
        p0, p1 = _M0 * c0, _M1 * c2
        c0, c1 = (p1 >> _SHIFT) ^ c1 ^ u64(k0), p1 & _LOW
        c2, c3 = (p0 >> _SHIFT) ^ c3 ^ u64(k1), p0 & _LOW
        k0, k1 = (k0 + _W0) & 0xFFFFFFFF, (k1 + _W1) & 0xFFFFFFFF
    return c0.astype(u32), c1.astype(u32), c2.astype(u32), c3.astype(u32)


def _blocks(first: int, count: int, k0: Any, k1: Any, purpose: Any, step: Any) -> Any:
    """Words of `count` consecutive blocks from number `first` on, `[count, 4]`."""
    block = np.arange(first, first + count, dtype=u64)
    return np.stack(philox4x32(block, u64(step), u64(purpose), u64(0), k0, k1), axis=1)


def _fill_words(out: Any, k0: Any, k1: Any, purpose: Any, step: Any) -> None:
    count = len(out)
    out[:] = _blocks(0, -(-count // 4), k0, k1, purpose, step).reshape(-1)[:count]


def _log_uniform(word: Any) -> Any:
    """log((word + 1/2) / 2^32) in float32: exponent by bits, mantissa by the polynomial of Cephes' logf."""
    x = (word.astype(f32) + f32(0.5)) * f32(2.3283064365386963e-10)
    bits = x.view(np.int32)
    mantissa = ((bits & np.int32(0x007FFFFF)) | np.int32(0x3F000000)).view(f32)
    small = mantissa < f32(0.707106781186547524)
    e = ((bits >> np.int32(23)) - np.int32(126) - small.astype(np.int32)).astype(f32)
    m = np.where(small, mantissa + mantissa, mantissa) - f32(1)
    z = m * m
    y: Any = f32(7.0376836292e-2)
    for coefficient in (
        -1.1514610310e-1, 1.1676998740e-1, -1.2420140846e-1, 1.4249322787e-1, -1.6668057665e-1, 2.0000714765e-1,
        -2.4999993993e-1, 3.3333331174e-1,
    ):  # fmt: skip
        y = y * m + f32(coefficient)
    y = y * m * z + e * f32(-2.12194440e-4) - f32(0.5) * z
    return m + y + e * f32(0.693359375)


def _normal_pair(first: Any, second: Any) -> tuple[Any, Any]:
    """Two arrays of standard normals in float32 from two arrays of words (Box and Muller 1958)."""
    radius = np.sqrt(f32(-2) * np.minimum(_log_uniform(first), f32(0)))
    quadrant = second >> u32(30)
    rest = (second & u32(0x3FFFFFFF)).astype(np.int32) - np.int32(0x20000000)
    x = rest.astype(f32) * f32(1.4629180792671596e-09)  # (pi / 2) / 2^30
    z = x * x
    sine = ((f32(-1.9515295891e-4) * z + f32(8.3321608736e-3)) * z - f32(1.6666654611e-1)) * z * x + x
    cosine = (
        (f32(2.443315711809948e-5) * z - f32(1.388731625493765e-3)) * z + f32(4.166664568298827e-2)
    ) * z * z - f32(0.5) * z + f32(1)  # fmt: skip
    odd = (quadrant & u32(1)) != 0
    signed = np.where((quadrant & u32(2)) != 0, -radius, radius)
    return signed * np.where(odd, sine, cosine), signed * np.where(odd, -cosine, sine)


def _fill_normals(out: Any, k0: Any, k1: Any, purpose: Any, step: Any) -> None:
    count = len(out)
    drawn = _blocks(0, -(-count // 4), k0, k1, purpose, step).reshape(-1, 2)
    out[:] = np.stack(_normal_pair(drawn[:, 0].copy(), drawn[:, 1].copy()), axis=1).reshape(-1)[:count]


def _uniform_blocks(first: int, count: int, k0: Any, k1: Any, purpose: Any, step: Any) -> Any:
    """`[2 count]` float64 strictly between 0 and 1, from 52 random bits each."""
    drawn = _blocks(first, count, k0, k1, purpose, step).reshape(-1, 2).astype(u64) >> u64(6)
    return (((drawn[:, 0] << u64(26)) | drawn[:, 1]).astype(f64) + 0.5) * (1.0 / 4503599627370496.0)


def _fill_uniforms(out: Any, k0: Any, k1: Any, purpose: Any, step: Any) -> None:
    count = len(out)
    out[:] = _uniform_blocks(0, -(-count // 2), k0, k1, purpose, step)[:count]


def _fill_poisson(out: Any, rows: Any, log_keep: Any, k0: Any, k1: Any, purpose: Any, step: Any) -> Any:
    """Indices of the rows drawn, ascending; returns how many. `log_keep` is log(1 - q)."""
    expected = -math.expm1(log_keep) * rows
    take = int(expected + 6 * math.sqrt(expected)) // 2 + 8
    taken, block, row = 0, 0, -1.0
    while row < rows:
        skips = 1.0 + np.floor(np.log(_uniform_blocks(block, take, k0, k1, purpose, step)) / log_keep)
        at = row + np.cumsum(skips)
        inside = at[at < rows].astype(np.int64)
        out[taken : taken + len(inside)] = inside
        taken, block, row = taken + len(inside), block + take, float(at[-1])
    return taken


def _sum_normals(out: Any, words: Any) -> None:
    """`words` holds four for each of `out`: two pairs (radius, angle), each of which gives two normals."""
    drawn = ((words >> u64(12)).astype(f64) + 0.5) * (1.0 / 4503599627370496.0)
    radius, angle = drawn.reshape(-1, 2)[:, 0], drawn.reshape(-1, 2)[:, 1] * 6.283185307179586
    each = np.sqrt(-2.0 * np.log(radius)) * (np.cos(angle) + np.sin(angle))
    out[:] = 0.5 * each.reshape(-1, 2).sum(axis=1)
