"""Tests of a training's steps against the mechanism that is accounted for, in numpy and scipy alone.

The mechanism: each of `steps` steps draws every record independently with probability q, sums gradients of which no
record adds more than the sensitivity, adds independent normal noise of a known deviation to every coordinate, and is
released whole. Whoever sees the steps can test each part of it. All tests are exact for true draws, so that a p-value
below x has probability x at most, and they are corrected for their number (Bonferroni).

Counts have few values, so that their tests use the randomised probability integral transform: with v uniform,
F(k - 1) + v P[k] is exactly uniform where k follows F (Czado, Gneiting and Held 2009), and its normal quantile exactly
standard normal.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

from worker.privacy.audit import LEVEL

Floats = np.ndarray[Any, np.dtype[np.float64]]
Integers = np.ndarray[Any, np.dtype[np.int64]]
Flags = np.ndarray[Any, np.dtype[np.bool_]]

#: A record may add this much more than the sensitivity: sums are float32.
ROUNDING = 1e-3
#: Steps compared with all others at a time.
AT_ONCE = 1000
#: The closest that a uniform comes to 0 and 1.
EDGE = 1e-300


@dataclass(frozen=True)
class Steps:
    """What was seen of a training with canaries, in multiples of the sensitivity of each step.

    `seen[steps, canaries]` is the noisy sum at the canaries' weights less what the rows added, and not a number where a
    step released nothing. `drawn[steps, canaries]` says which canaries were in the batch. `batches` are the training
    rows of each step, and `norms[steps]` the norm of the sum of their scaled gradients. `alone` are such norms of
    batches of one record that is far out of range.
    """

    seen: Floats
    included: Flags
    drawn: Flags
    batches: Sequence[Integers]
    norms: Floats
    alone: Floats

    @property
    def released(self) -> Flags:
        """`[steps]` whether each released anything."""
        return np.asarray(np.isfinite(self.seen).all(axis=1), np.bool_)


@dataclass(frozen=True)
class Claim:
    """What was accounted for: noise as a multiple of the sensitivity, and the sampling."""

    multiplier: float
    rate: float
    steps: int
    rows: int


@dataclass(frozen=True)
class Multiplier:
    """The effective noise multiplier: deviation of the noise over what one record adds; bounds at 95 % together."""

    value: float
    low: float
    high: float


def p_values(steps: Steps, claim: Claim, uniforms: Floats) -> dict[str, dict[str, float]]:
    """The p-value of every test, by group: `noise`, `clipping`, `correlation` and `batches`.

    `uniforms`, `[2 steps + rows]`, are true draws that nothing else uses; see above.
    """
    released = steps.released
    answer: dict[str, dict[str, float]] = {
        "noise": {"released": 0.0 if released.sum() != claim.steps else 1.0},
        "clipping": _clipping(steps, released),
        "correlation": {},
        "batches": _batches(steps, claim, uniforms),
    }
    noise = steps.seen[released][:, ~steps.included]
    if noise.size:
        answer["noise"] |= _noise(noise / claim.multiplier)
        answer["correlation"] = _correlation(noise)
    return answer


def corrected(tests: Mapping[str, float]) -> float:
    """The smallest of the p-values times their number (Bonferroni); 1 where there are none."""
    return min(1.0, min(tests.values(), default=1.0) * len(tests))


def effective(steps: Steps, level: float = LEVEL) -> Multiplier:
    """The noise over what a canary adds, with bounds that hold together with probability 1 - `level`.

    Variance by the chi-squared interval, what a canary adds by Student's, each side at a quarter of the level. Where
    the smallest effect is not above 0 the multiplier has no upper bound.
    """
    released, share = steps.released, level / 4
    seen = steps.seen[released]
    noise = seen[:, ~steps.included].ravel()
    added = seen[steps.drawn[released]]
    if noise.size < 1 or added.size < 2:
        return Multiplier(math.nan, math.nan, math.nan)
    squares = float(np.square(noise).sum())
    low, high = (math.sqrt(squares / stats.chi2.ppf(q, noise.size)) for q in (1 - share, share))
    mean, half = float(added.mean()), float(stats.t.ppf(1 - share, added.size - 1) * stats.sem(added))
    least, most = mean - half, mean + half
    value = math.sqrt(squares / noise.size) / mean if mean > 0 else math.inf
    return Multiplier(value, low / most if most > 0 else math.inf, high / least if least > 0 else math.inf)


def _noise(noise: Floats) -> dict[str, float]:
    """Too small a variance of standardised `noise[steps, coordinates]`: of all, of a step, of a coordinate."""
    squares = np.square(noise)
    steps, coordinates = noise.shape
    return {
        "variance": float(stats.chi2.cdf(squares.sum(), noise.size)),
        "variance of a step": _least(stats.chi2.cdf(squares.sum(axis=1), coordinates)),
        "variance of a coordinate": _least(stats.chi2.cdf(squares.sum(axis=0), steps)),
    }


def _clipping(steps: Steps, released: Flags) -> dict[str, float]:
    """Whether a record adds more than the sensitivity: canaries on average, and rows for certain."""
    alone = np.nan_to_num(steps.alone, nan=math.inf)
    sums = np.nan_to_num(steps.norms[released], nan=math.inf)
    sizes = np.array([len(batch) for batch in steps.batches], np.float64)[released]
    answer = {
        "one record": 0.0 if (alone > 1 + ROUNDING).any() else 1.0,
        "sum of a batch": 0.0 if (sums > sizes * (1 + ROUNDING)).any() else 1.0,
    }
    added = steps.seen[released][steps.drawn[released]]
    if added.size >= 2:
        error = float(stats.sem(added))
        # Without any noise there is nothing to be unsure of.
        gap = float(added.mean()) - 1 - ROUNDING
        answer["canaries"] = float(stats.t.sf(gap / error, added.size - 1)) if error > 0 else float(gap <= 0)
    return answer


def _correlation(noise: Floats) -> dict[str, float]:
    """Whether `noise[steps, coordinates]` repeats; none of the tests needs to know its deviation.

    Of independent normals all directions are alike. The share of the squares that lies in a subspace of dimension k
    out of N is Beta(k / 2, (N - k) / 2), and the cosine r between two rows of length m, as t = r sqrt((m - 1) /
    (1 - r^2)), has Student's distribution with m - 1 degrees of freedom.
    """
    steps, coordinates = noise.shape
    whole = float(np.square(noise).sum())
    if whole == 0:
        return {"none at all": 0.0}
    answer = {}
    for name, axis, count in (
        ("part shared by all steps", 0, steps),
        ("part shared by all coordinates", 1, coordinates),
    ):
        if count > 1:
            kept = noise.size // count
            share = float(np.square(noise.sum(axis=axis)).sum()) / count / whole
            answer[name] = float(stats.beta.sf(share, kept / 2, (noise.size - kept) / 2))
    answer["two steps alike"] = _alike(noise)
    answer["two coordinates alike"] = _alike(noise.T)
    return answer


def _alike(rows: Floats) -> float:
    """P-value of the largest cosine, of either sign, between any two of `rows[count, length]`."""
    count, length = rows.shape
    if count < 2 or length < 2:
        return 1.0
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    unit = np.divide(rows, norms, out=np.zeros_like(rows), where=norms > 0)
    largest = 0.0
    for start in range(0, count, AT_ONCE):
        products = np.abs(unit[start : start + AT_ONCE] @ unit.T)
        products[np.arange(len(products)), np.arange(start, start + len(products))] = 0
        largest = max(largest, float(products.max()))
    if largest >= 1 - 1e-12:
        return 0.0
    t = largest * math.sqrt((length - 1) / (1 - largest**2))
    # Twice the pairs, for either sign.
    return float(min(1.0, count * (count - 1) * stats.t.sf(t, length - 1)))


def _batches(steps: Steps, claim: Claim, uniforms: Floats) -> dict[str, float]:
    """Whether rows and canaries were drawn as is accounted for; see the module for the transform."""
    n, q, sizes = claim.rows, claim.rate, np.array([len(batch) for batch in steps.batches], np.int64)
    rows = np.concatenate([np.zeros(0, np.int64), *steps.batches])
    counts = np.bincount(rows, minlength=n)
    twice = any(len(np.unique(batch)) != len(batch) for batch in steps.batches)
    answer = {
        "steps": float(len(sizes) == claim.steps),
        "a record twice in a batch, or unknown": float(not twice and len(counts) == n),
        "records in all": float(stats.binomtest(len(rows), n * claim.steps, q).pvalue) if len(rows) else 0.0,
    }
    if len(sizes) != claim.steps or len(counts) != n:
        return answer
    if len(sizes) > 0 and steps.included.any():
        tries = int(steps.included.sum()) * claim.steps
        answer["canaries in all"] = float(stats.binomtest(int(steps.drawn.sum()), tries, q).pvalue)
    if q == 1:
        return answer
    v_sizes, v_overlaps, v_rows = np.split(uniforms, [claim.steps, 2 * claim.steps])
    answer["spread of batch sizes"] = _spread(_normal(stats.binom(n, q), sizes, v_sizes))
    times = _normal(stats.binom(claim.steps, q), counts, v_rows)
    answer["spread of how often rows are drawn"] = _spread(times)
    answer["a row too often or too seldom"] = min(1.0, 2 * len(times) * float(stats.norm.sf(np.abs(times).max())))
    if claim.steps > 1:
        pairs = zip(steps.batches[:-1], steps.batches[1:], strict=True)
        common = np.array([len(np.intersect1d(one, other, assume_unique=True)) for one, other in pairs])
        # Given their sizes, the records that two independent batches share are hypergeometric.
        z = _normal(stats.hypergeom(n, sizes[:-1], sizes[1:]), common, v_overlaps[:-1])
        answer["records in two batches running"] = 2 * float(stats.norm.sf(abs(z.sum()) / math.sqrt(len(z))))
    return answer


def _normal(law: Any, counts: Integers, uniforms: Floats) -> Floats:
    """Standard normals of counts that follow a discrete law: its randomised transform, from the nearer tail."""
    mass = law.pmf(counts)
    below = law.cdf(counts - 1) + uniforms * mass
    above = law.sf(counts) + (1 - uniforms) * mass
    low = stats.norm.ppf(np.maximum(below, EDGE))
    answer: Floats = np.where(below < 0.5, low, stats.norm.isf(np.maximum(above, EDGE)))
    return answer


def _spread(normals: Floats) -> float:
    """Two-sided p-value of the sum of squares of standard normals."""
    squares, count = float(np.square(normals).sum()), len(normals)
    return min(1.0, 2 * min(float(stats.chi2.cdf(squares, count)), float(stats.chi2.sf(squares, count))))


def _least(p: Floats) -> float:
    return min(1.0, len(p) * float(p.min()))
