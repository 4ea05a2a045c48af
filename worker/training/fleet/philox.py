"""The draws of `streams` in torch's integer operations, for many runs at once and on any device.

Words are the same bits as those of `streams.words`. Normals go through the same polynomials in float32 and agree with
`streams.normals` within 1e-6: a device may round a product and a sum together where another rounds them apart.

Operation by operation this is slow, since every number is written to memory a hundred times: it is meant to be fused
by `torch.compile`. On a processor the loops of `streams` are used instead.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from worker.training.streams import Key, Purpose

_M0, _M1 = 0xD2511F53, 0xCD9E8D57
_W0, _W1 = 0x9E3779B9, 0xBB67AE85
_LOW = 0xFFFFFFFF

Words = tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]


def keys_of(keys: Sequence[Key], device: torch.device) -> torch.Tensor:
    """`[runs, 2]` int64, each number below 2^32."""
    return torch.tensor(keys, dtype=torch.int64, device=device).reshape(-1, 2)


def philox4x32(counter: Words, k0: torch.Tensor, k1: torch.Tensor) -> Words:
    """Ten rounds of Philox4x32 on int64 tensors that hold 32-bit words and broadcast.

    A product of two words may exceed 63 bits and wraps around. Its bits are right all the same: the shift that finds
    the upper half brings sign bits in from above, and the mask takes them off.
    """
    c0, c1, c2, c3 = counter
    for _ in range(10):
        p0, p1 = c0 * _M0, c2 * _M1
        c0, c1 = ((p1 >> 32) & _LOW) ^ c1 ^ k0, p1 & _LOW
        c2, c3 = ((p0 >> 32) & _LOW) ^ c3 ^ k1, p0 & _LOW
        k0, k1 = (k0 + _W0) & _LOW, (k1 + _W1) & _LOW
    return c0, c1, c2, c3


def _blocks(keys: torch.Tensor, purpose: Purpose, step: torch.Tensor, count: int) -> Words:
    """Words of the blocks that hold `count` numbers, each `[..., blocks]`; `keys` `[..., 2]`, `step` `[..., 1]`."""
    block = torch.arange(-(-count // 4), dtype=torch.int64, device=keys.device)
    zero = torch.zeros_like(block)
    return philox4x32((block, step, zero + int(purpose), zero), keys[..., 0:1], keys[..., 1:2])


def words(keys: torch.Tensor, purpose: Purpose, step: torch.Tensor, count: int) -> torch.Tensor:
    """`[..., count]` words as int64, for `keys` `[..., 2]` and `step` `[..., 1]` or `[1]`."""
    return torch.stack(_blocks(keys, purpose, step, count), dim=-1).flatten(-2)[..., :count]


def _log_uniform(word: torch.Tensor) -> torch.Tensor:
    """log((word + 1/2) / 2^32) in float32: exponent by bits, mantissa by the polynomial of Cephes' logf."""
    bits = ((word.to(torch.float32) + 0.5) * 2.3283064365386963e-10).view(torch.int32)
    mantissa = ((bits & 0x007FFFFF) | 0x3F000000).view(torch.float32)
    small = mantissa < 0.707106781186547524
    e = ((bits >> 23) - 126 - small.to(torch.int32)).to(torch.float32)
    m = torch.where(small, mantissa + mantissa, mantissa) - 1.0
    z = m * m
    y = m * 7.0376836292e-2 - 1.1514610310e-1
    for coefficient in (
        1.1676998740e-1, -1.2420140846e-1, 1.4249322787e-1, -1.6668057665e-1, 2.0000714765e-1, -2.4999993993e-1,
        3.3333331174e-1,
    ):  # fmt: skip
        y = y * m + coefficient
    y = y * m * z + e * -2.12194440e-4 - 0.5 * z
    return m + y + e * 0.693359375


def _pair(first: torch.Tensor, second: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Two standard normals in float32 from two words, by the polynomials of `streams._normal_pair`."""
    radius = torch.sqrt(-2.0 * _log_uniform(first).clamp(max=0.0))
    quadrant = second >> 30
    x = ((second & 0x3FFFFFFF) - 0x20000000).to(torch.float32) * 1.4629180792671596e-09  # (pi / 2) / 2^30
    z = x * x
    sine = ((-1.9515295891e-4 * z + 8.3321608736e-3) * z - 1.6666654611e-1) * z * x + x
    cosine = ((2.443315711809948e-5 * z - 1.388731625493765e-3) * z + 4.166664568298827e-2) * z * z - 0.5 * z + 1.0
    odd = (quadrant & 1) == 1
    signed = torch.where((quadrant & 2) == 2, -radius, radius)
    return signed * torch.where(odd, sine, cosine), signed * torch.where(odd, -cosine, sine)


def normals(keys: torch.Tensor, purpose: Purpose, step: torch.Tensor, count: int) -> torch.Tensor:
    """`[..., count]` standard normals in float32, for `keys` `[..., 2]` and `step` `[..., 1]` or `[1]`."""
    x, y, z, w = _blocks(keys, purpose, step, count)
    return torch.stack((*_pair(x, y), *_pair(z, w)), dim=-1).flatten(-2)[..., :count]
