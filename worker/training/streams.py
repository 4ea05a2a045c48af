"""Keyed randomness: every draw is a pure function of (key, purpose, step, index).

The generator is Philox4x32-10 (Salmon, Moraes, Dror and Shaw 2011, "Parallel random numbers: as easy as 1, 2, 3").
It has no state that moves: a 64-bit key and a 128-bit counter go in, four 32-bit words come out. The key tells runs
apart and the counter is `(block, step, purpose, 0)`, where `block` numbers groups of four words within one draw. So
a draw does not depend on which other draws were made, in what order, on how many threads, or whether the run was
stopped and resumed.

Two keys serve one run (`Streams`):

- the *shared* key depends on the seed alone. Split, initial weights and Poisson masks use it, so that runs with the
  same seed are paired across methods and settings;
- the *own* key depends on the run's whole configuration. Noise uses it: two runs never add the same noise, which
  would cancel in the difference of their weights.

The draws are loops that Numba compiles; where it is not installed, they are the whole-array operations of
`_streams_numpy`, chosen at import: words and uniforms are the same bits, batches the same rows, normals within 1e-6.

Philox is not a cryptographic generator: whoever knows a run's configuration can recompute its noise. For a model that
is released a run can draw it from the operating system instead (`secure`). See `docs/sharp_edges.md`.
"""

from __future__ import annotations

import hashlib
import sys
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import numpy as np

from worker.training import _streams_numpy
from worker.training.secure import HAS_NUMBA, njit, secure_normals

UInt32 = np.uint32
Key = tuple[int, int]
Floats = np.ndarray[Any, np.dtype[np.float32]]
Doubles = np.ndarray[Any, np.dtype[np.float64]]
Words = np.ndarray[Any, np.dtype[np.uint32]]


class Purpose(IntEnum):
    """What a draw is for. A number, once given, is never reused for something else."""

    SPLIT = 1
    WEIGHTS = 2
    MASK = 3
    NOISE = 4
    STATISTIC_NOISE = 5
    SUBSET = 6
    CANARY_INCLUDED = 7
    CANARY_CHOICE = 8
    CANARY_BATCH = 9
    CLIPPING_SAMPLE = 10
    OBJECTIVE = 11
    INFERENCE_SET = 12
    EVASION = 13


_M0, _M1 = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
_W0, _W1 = np.uint32(0x9E3779B9), np.uint32(0xBB67AE85)
_LOW, _SHIFT = np.uint64(0xFFFFFFFF), np.uint64(32)


@njit(cache=True, nogil=True, inline="always")
def philox4x32(c0: Any, c1: Any, c2: Any, c3: Any, k0: Any, k1: Any) -> Any:
    """Ten rounds of Philox4x32: four uint32 words from a counter of four and a key of two uint32 words."""
    for _ in range(10):
        p0 = _M0 * np.uint64(c0)
        p1 = _M1 * np.uint64(c2)
        c0 = np.uint32(p1 >> _SHIFT) ^ c1 ^ k0
        c1 = np.uint32(p1 & _LOW)
        c2 = np.uint32(p0 >> _SHIFT) ^ c3 ^ k1
        c3 = np.uint32(p0 & _LOW)
        k0 = np.uint32(k0 + _W0)
        k1 = np.uint32(k1 + _W1)
    return c0, c1, c2, c3


@njit(cache=True, nogil=True)
def _fill_words(out: Any, k0: Any, k1: Any, purpose: Any, step: Any) -> None:
    zero = np.uint32(0)
    count = out.shape[0]
    for block in range((count + 3) // 4):
        a, b, c, d = philox4x32(np.uint32(block), step, purpose, zero, k0, k1)
        i = 4 * block
        out[i] = a
        if i + 1 < count:
            out[i + 1] = b
        if i + 2 < count:
            out[i + 2] = c
        if i + 3 < count:
            out[i + 3] = d


@njit(cache=True, nogil=True, inline="always")
def _log_uniform(word: Any) -> Any:
    """log((word + 1/2) / 2^32) in float32: exponent by bits, mantissa by the polynomial of Cephes' logf."""
    x = (np.float32(word) + np.float32(0.5)) * np.float32(2.3283064365386963e-10)
    bits = np.float32(x).view(np.int32)
    exponent = (bits >> np.int32(23)) - np.int32(126)
    mantissa = np.int32((bits & np.int32(0x007FFFFF)) | np.int32(0x3F000000)).view(np.float32)
    small = mantissa < np.float32(0.707106781186547524)
    e = np.float32(exponent - np.int32(1)) if small else np.float32(exponent)
    m = mantissa + mantissa - np.float32(1.0) if small else mantissa - np.float32(1.0)
    z = m * m
    y = np.float32(7.0376836292e-2)
    y = y * m - np.float32(1.1514610310e-1)
    y = y * m + np.float32(1.1676998740e-1)
    y = y * m - np.float32(1.2420140846e-1)
    y = y * m + np.float32(1.4249322787e-1)
    y = y * m - np.float32(1.6668057665e-1)
    y = y * m + np.float32(2.0000714765e-1)
    y = y * m - np.float32(2.4999993993e-1)
    y = y * m + np.float32(3.3333331174e-1)
    y = y * m * z
    y = y + e * np.float32(-2.12194440e-4)
    y = y - np.float32(0.5) * z
    return m + y + e * np.float32(0.693359375)


@njit(cache=True, nogil=True, inline="always")
def _normal_pair(first: Any, second: Any) -> Any:
    """Two standard normals in float32 from two words (Box and Muller 1958).

    The top two bits of `second` choose the quadrant, the others an angle in [-pi/4, pi/4), for which the short
    polynomials of Cephes' sinf and cosf suffice. The largest radius is sqrt(-2 log(2^-33)) = 6.76.
    """
    radius = np.sqrt(np.float32(-2.0) * min(_log_uniform(first), np.float32(0.0)))
    quadrant = second >> np.uint32(30)
    rest = np.int32(second & np.uint32(0x3FFFFFFF)) - np.int32(0x20000000)
    x = np.float32(rest) * np.float32(1.4629180792671596e-09)  # (pi / 2) / 2^30
    z = x * x
    sine = (
        (np.float32(-1.9515295891e-4) * z + np.float32(8.3321608736e-3)) * z - np.float32(1.6666654611e-1)
    ) * z * x + x
    cosine = (
        (
            (np.float32(2.443315711809948e-5) * z - np.float32(1.388731625493765e-3)) * z
            + np.float32(4.166664568298827e-2)
        )
        * z
        * z
        - np.float32(0.5) * z
        + np.float32(1.0)
    )
    odd = (quadrant & np.uint32(1)) != np.uint32(0)
    sign = np.float32(-1.0) if (quadrant & np.uint32(2)) != np.uint32(0) else np.float32(1.0)
    a = sine if odd else cosine
    b = -cosine if odd else sine
    return radius * sign * a, radius * sign * b


#: Blocks of four normals that are always computed together.
GROUP = 64


@njit(cache=True, nogil=True)
def _normal_group(out: Any, first: Any, blocks: Any, k0: Any, k1: Any, purpose: Any, step: Any) -> None:
    """`[4 blocks]` normals from consecutive counters.

    The compiler makes vector instructions of a loop and scalar ones of what is left over, and the two round
    differently in the last bit. Callers always ask for a multiple of GROUP, which leaves nothing over: a normal is
    the same in every draw.
    """
    zero = np.uint32(0)
    for block in range(blocks):
        x, y, z, w = philox4x32(np.uint32(first + block), step, purpose, zero, k0, k1)
        i = 4 * block
        out[i], out[i + 1] = _normal_pair(x, y)
        out[i + 2], out[i + 3] = _normal_pair(z, w)


@njit(cache=True, nogil=True)
def _fill_normals(out: Any, k0: Any, k1: Any, purpose: Any, step: Any) -> None:
    count = out.shape[0]
    whole = count // (4 * GROUP) * GROUP
    _normal_group(out, 0, whole, k0, k1, purpose, step)
    if 4 * whole < count:
        rest = np.empty(4 * GROUP, np.float32)
        _normal_group(rest, whole, GROUP, k0, k1, purpose, step)
        for i in range(4 * whole, count):
            out[i] = rest[i - 4 * whole]


@njit(cache=True, nogil=True, inline="always")
def _unit_interval(high: Any, low: Any) -> Any:
    """A float64 strictly between 0 and 1 from 52 random bits."""
    bits = (np.uint64(high >> np.uint32(6)) << np.uint64(26)) | np.uint64(low >> np.uint32(6))
    return (np.float64(bits) + 0.5) * (1.0 / 4503599627370496.0)


@njit(cache=True, nogil=True)
def _fill_uniforms(out: Any, k0: Any, k1: Any, purpose: Any, step: Any) -> None:
    zero = np.uint32(0)
    count = out.shape[0]
    for block in range((count + 1) // 2):
        a, b, c, d = philox4x32(np.uint32(block), step, purpose, zero, k0, k1)
        out[2 * block] = _unit_interval(a, b)
        if 2 * block + 1 < count:
            out[2 * block + 1] = _unit_interval(c, d)


@njit(cache=True, nogil=True)
def _fill_poisson(out: Any, rows: Any, log_keep: Any, k0: Any, k1: Any, purpose: Any, step: Any) -> Any:
    """Indices of the rows drawn, ascending; returns how many. `log_keep` is log(1 - q).

    The number of rows skipped before the next one drawn is geometric: floor(log(u) / log(1 - q)) (Devroye 1986,
    chapter X.2). Independent inclusion with probability q follows exactly, at a cost of q * rows draws.
    """
    zero = np.uint32(0)
    taken = 0
    row = -1.0
    block = np.uint32(0)
    while True:
        a, b, c, d = philox4x32(block, step, purpose, zero, k0, k1)
        block = np.uint32(block + np.uint32(1))
        for half in range(2):
            u = _unit_interval(a, b) if half == 0 else _unit_interval(c, d)
            row += 1.0 + np.floor(np.log(u) / log_keep)
            if row >= rows:
                return taken
            out[taken] = np.int64(row)
            taken += 1


#: Where the draws below come from: this module's compiled loops, or whole-array operations without Numba.
_draws: Any = sys.modules[__name__] if HAS_NUMBA else _streams_numpy


def _key(*parts: object) -> Key:
    digest = hashlib.sha256("/".join(str(part) for part in parts).encode()).digest()
    return int.from_bytes(digest[:4], "little"), int.from_bytes(digest[4:8], "little")


def shared_key(seed: int) -> Key:
    """Key of what runs with one seed have in common."""
    return _key("equipoise", "seed", seed)


def own_key(run_hash: str) -> Key:
    """Key of what one run has for itself, from the hash of its configuration."""
    return _key("equipoise", "run", run_hash)


def words(key: Key, purpose: Purpose, step: int, count: int) -> Words:
    """`[count]` uint32 words."""
    out = np.empty(count, np.uint32)
    _draws._fill_words(out, UInt32(key[0]), UInt32(key[1]), UInt32(purpose), UInt32(step))
    return out


def uniforms(key: Key, purpose: Purpose, step: int, count: int) -> Doubles:
    """`[count]` float64 strictly between 0 and 1."""
    out = np.empty(count, np.float64)
    _draws._fill_uniforms(out, UInt32(key[0]), UInt32(key[1]), UInt32(purpose), UInt32(step))
    return out


def normals(key: Key, purpose: Purpose, step: int, count: int) -> Floats:
    """`[count]` standard normals in float32; the tails end at 6.76."""
    out = np.empty(count, np.float32)
    _draws._fill_normals(out, UInt32(key[0]), UInt32(key[1]), UInt32(purpose), UInt32(step))
    return out


def poisson(key: Key, purpose: Purpose, step: int, rows: int, rate: float) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Ascending indices of the rows drawn, each of `rows` independently with probability `rate`. May be empty."""
    if not 0 < rate <= 1:
        raise ValueError(f"Expected 0 < rate <= 1, got {rate}.")
    if rate == 1:
        return np.arange(rows, dtype=np.int64)
    out = np.empty(rows, np.int64)
    taken = _draws._fill_poisson(
        out, rows, float(np.log1p(-rate)), UInt32(key[0]), UInt32(key[1]), UInt32(purpose), UInt32(step)
    )
    return out[:taken].copy()


@dataclass(frozen=True)
class Streams:
    """All randomness of one run. `secure`: its noise comes from the operating system and is never the same twice."""

    shared: Key
    own: Key
    secure: bool = False

    @classmethod
    def of(cls, seed: int, run_hash: str, *, secure: bool = False) -> Streams:
        """Streams of the run with this seed and configuration hash."""
        return cls(shared_key(seed), own_key(run_hash), secure)

    def batch(self, step: int, rows: int, rate: float) -> np.ndarray[Any, np.dtype[np.int64]]:
        """Rows of the Poisson batch of one step, ascending; the same for all runs of a seed."""
        return poisson(self.shared, Purpose.MASK, step, rows, rate)

    def canary_batch(self, step: int, canaries: int, rate: float) -> np.ndarray[Any, np.dtype[np.int64]]:
        """Canaries of an audit that join the batch of one step, as rows do; this run's alone."""
        return poisson(self.own, Purpose.CANARY_BATCH, step, canaries, rate)

    def noise(self, step: int, count: int) -> Floats:
        """`[count]` standard normals for the gradient of one step; this run's alone."""
        if self.secure:
            return secure_normals(count)
        return normals(self.own, Purpose.NOISE, step, count)

    def statistic_noise(self, step: int) -> float:
        """One standard normal for the statistic of one step; this run's alone."""
        if self.secure:
            return float(secure_normals(1)[0])
        return float(normals(self.own, Purpose.STATISTIC_NOISE, step, 1)[0])

    def statistic_noises(self, step: int, count: int) -> Doubles:
        """`[count]` standard normals for a statistic of several sums; the first is `statistic_noise`."""
        drawn = secure_normals(count) if self.secure else normals(self.own, Purpose.STATISTIC_NOISE, step, count)
        return drawn.astype(np.float64)

    def objective_seed(self, step: int) -> int:
        """Of torch's generator, for what a method draws in one step; this run's alone."""
        low, high = words(self.own, Purpose.OBJECTIVE, step, 2)
        return int(low) | int(high) << 32 & (2**63 - 1)

    def initial_uniforms(self, layer: int, count: int) -> Doubles:
        """`[count]` uniforms for the initial weights of one layer; the same for all runs of a seed."""
        return uniforms(self.shared, Purpose.WEIGHTS, layer, count)
