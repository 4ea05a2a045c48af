"""How much noise an epsilon needs: Renyi accounting of the Poisson-subsampled Gaussian mechanism, in numpy alone.

It answers `POST jobs/preview` in milliseconds without torch, and it is the accountant `rdp` of the workers, so that
the noise multiplier shown before a study is the one used in it. Adjacency is add/remove of one record.

>>> schedule = Schedule.of(rows=31_656, batch_size=256, epochs=10)
>>> round(noise_multiplier(3.0, 1e-5, schedule.sampling_rate, schedule.steps), 3)
0.829
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from scipy import special

from backend.errors import EpsilonUnreachable

Floats = np.ndarray[Any, np.dtype[np.float64]]

#: Renyi orders: those of Opacus, and larger ones without which an epsilon below 0.3 costs more noise than it must.
ORDERS: tuple[float, ...] = (
    *(1 + x / 10 for x in range(1, 100)),
    *(float(x) for x in range(11, 64)),
    *(64.0, 80.0, 96.0, 128.0, 160.0, 192.0, 256.0, 384.0, 512.0, 768.0, 1024.0),
)

#: Noise multipliers between which one is searched.
SIGMA_RANGE = (0.05, 1e4)
#: Relative width at which the search stops. The upper end is returned, so the asked epsilon is never exceeded.
SIGMA_TOLERANCE = 1e-6


@dataclass(frozen=True)
class Schedule:
    """How often a record may be seen: sampling rate of one step, steps of one epoch and of the whole run."""

    sampling_rate: float
    steps_per_epoch: int
    steps: int

    @classmethod
    def of(cls, rows: int, batch_size: int, epochs: int) -> Schedule:
        """Each of `rows` joins a batch with probability batch_size / rows; an epoch is rows / batch_size steps.

        >>> Schedule.of(rows=27_133, batch_size=256, epochs=5).steps
        530
        """
        if rows < 1:
            raise ValueError(f"Expected rows={rows} >= 1.")
        rate = min(1.0, batch_size / rows)
        per_epoch = max(1, round(rows / batch_size))
        return cls(rate, per_epoch, per_epoch * epochs)


def default_delta(rows: int) -> float:
    """The largest power of ten below 1 / rows.

    >>> default_delta(27_133), default_delta(100_000)
    (1e-05, 1e-06)
    """
    exponent = math.floor(-math.log10(rows))
    if 10.0**exponent >= 1 / rows:
        exponent -= 1
    return float(f"1e{exponent}")


def rdp(noise_multiplier: float, sampling_rate: float, steps: int, orders: tuple[float, ...] = ORDERS) -> Floats:
    """Renyi divergence in nats after `steps` steps, `[orders]`.

    Mironov, Talwar and Zhang 2019, "Renyi differential privacy of the sampled Gaussian mechanism". For integer
    orders their binomial sum (equation 9). For others the integral that it solves (theorem 4),
    E over z ~ N(0, sigma^2) of (1 - q + q exp((2z - 1) / (2 sigma^2)))^alpha, by the trapezoid rule, whose error falls
    exponentially for such integrands; the step is chosen for rounding error to dominate.
    """
    alphas = np.asarray(orders, dtype=np.float64)
    if np.any(alphas <= 1):
        raise ValueError("Expected every order > 1.")
    if not 0 <= sampling_rate <= 1:
        raise ValueError(f"Expected 0 <= sampling_rate={sampling_rate} <= 1.")
    if noise_multiplier <= 0:
        return np.full(len(alphas), np.inf if sampling_rate > 0 else 0.0)
    if sampling_rate == 0:
        return np.zeros(len(alphas))
    if sampling_rate == 1:
        return steps * alphas / (2 * noise_multiplier**2)
    whole = alphas == np.floor(alphas)
    log_moment = np.empty(len(alphas))
    if whole.any():
        log_moment[whole] = _integer_orders(sampling_rate, noise_multiplier, tuple(alphas[whole].tolist()))
    if not whole.all():
        log_moment[~whole] = _fractional_orders(sampling_rate, noise_multiplier, alphas[~whole])
    return steps * np.maximum(log_moment, 0.0) / (alphas - 1)


def _integer_orders(q: float, sigma: float, alphas: tuple[float, ...]) -> Floats:
    """log of sum over k of binomial(alpha, k) (1-q)^(alpha-k) q^k exp(k (k-1) / (2 sigma^2)), for each alpha."""
    k, log_binomial, rest = _binomials(alphas)
    log_terms = log_binomial + k * math.log(q) + rest * math.log1p(-q) + k * (k - 1) / (2 * sigma**2)
    starts = np.concatenate([[0], np.cumsum([int(a) + 1 for a in alphas])[:-1]])
    top = np.maximum.reduceat(log_terms, starts)
    terms = np.exp(log_terms - np.repeat(top, [int(a) + 1 for a in alphas]))
    return np.asarray(top + np.log(np.add.reduceat(terms, starts)))


@lru_cache(maxsize=8)
def _binomials(alphas: tuple[float, ...]) -> tuple[Floats, Floats, Floats]:
    """k, log binomial(alpha, k) and alpha - k for k = 0..alpha of each alpha, one after the other."""
    k = np.concatenate([np.arange(int(a) + 1, dtype=np.float64) for a in alphas])
    a = np.repeat(np.asarray(alphas), [int(x) + 1 for x in alphas])
    log_binomial = special.gammaln(a + 1) - special.gammaln(k + 1) - special.gammaln(a - k + 1)
    return k, log_binomial, a - k


def _fractional_orders(q: float, sigma: float, alphas: Floats) -> Floats:
    """log of E over z ~ N(0, sigma^2) of (1 - q + q exp((2z - 1) / (2 sigma^2)))^alpha, for each alpha."""
    step = min(sigma / 4, 0.4 * sigma**2)
    low, high = -13 * sigma, float(alphas.max()) + 13 * sigma
    z = low + step * np.arange(math.ceil((high - low) / step) + 1)
    log_weight = -(z**2) / (2 * sigma**2) + math.log(step / (sigma * math.sqrt(2 * math.pi)))
    y = (2 * z - 1) / (2 * sigma**2)
    log_ratio = np.where(y < 30, np.log1p(q * np.expm1(np.minimum(y, 30))), 0.0)
    large = y >= 30
    log_ratio[large] = y[large] + np.log(q + (1 - q) * np.exp(-y[large]))
    exponent = alphas[:, None] * log_ratio[None, :]
    total = exponent + log_weight[None, :]
    if exponent.max() < 30:
        # A - 1 is what matters and may be far below 1: sum it directly, less its first-order part, which is zero.
        excess = np.expm1(exponent) - alphas[:, None] * q * np.expm1(y)[None, :]
        return np.asarray(np.log1p(np.maximum(excess @ np.exp(log_weight), 0.0)))
    return np.asarray(special.logsumexp(total, axis=1))


def to_epsilon(rdp_values: Floats, delta: float, orders: tuple[float, ...] = ORDERS) -> float:
    """The smallest epsilon over the orders: Balle et al. 2020, theorem 21 (also Canonne, Kamath and Steinke 2020)."""
    alphas = np.asarray(orders, dtype=np.float64)
    values = rdp_values + np.log1p(-1 / alphas) - (math.log(delta) + np.log(alphas)) / (alphas - 1)
    return max(0.0, float(np.nanmin(values)))


def epsilon(noise_multiplier: float, delta: float, sampling_rate: float, steps: int) -> float:
    """Epsilon that `steps` steps with this noise cost."""
    return to_epsilon(rdp(noise_multiplier, sampling_rate, steps), delta)


def search_noise_multiplier(
    epsilon_of: Callable[[float], float],
    target: float,
    *,
    bounds: tuple[float, float] = SIGMA_RANGE,
    tolerance: float = SIGMA_TOLERANCE,
) -> float:
    """The smallest noise multiplier whose `epsilon_of(sigma)` is at most `target`, to a relative `tolerance`.

    Bisection in log sigma, with secant steps of log epsilon where they shorten it. Raises `EpsilonUnreachable`.
    """
    low, high = math.log(bounds[0]), math.log(bounds[1])
    best = epsilon_of(bounds[1])
    if best > target:
        raise EpsilonUnreachable(
            f"Expected an epsilon of at least {best:.3g} for this delta and schedule, got {target:g}; "
            f"no noise multiplier up to {bounds[1]:g} reaches it.",
            fix="Raise epsilon or delta, or train for fewer epochs with smaller batches.",
        )
    if epsilon_of(bounds[0]) <= target:
        return bounds[0]
    # Start from a moderate value: most answers lie between 0.3 and 30.
    at_low: float | None = None
    at_high: float | None = None
    guess = 0.0 if low < 0.0 < high else (low + high) / 2
    turn = 0
    while high - low > tolerance:
        value = epsilon_of(math.exp(guess))
        error = math.log(max(value, 1e-300) / target)
        if error <= 0:
            high, at_high = guess, error
        else:
            low, at_low = guess, error
        turn += 1
        if at_low is not None and at_high is not None and turn % 3:
            guess = low + (high - low) * at_low / (at_low - at_high)
            # Keep off the ends, so that both close in.
            margin = max(tolerance / 2, 0.01 * (high - low))
            guess = min(max(guess, low + margin), high - margin)
        elif at_low is None or at_high is None:
            guess = min(max(guess + (1.5 if error > 0 else -1.5), low), high)
            if guess in (low, high):
                guess = (low + high) / 2
        else:
            guess = (low + high) / 2
    return math.exp(high)


@lru_cache(maxsize=4096)
def noise_multiplier(target_epsilon: float, delta: float, sampling_rate: float, steps: int) -> float:
    """The smallest noise multiplier for an epsilon. Raises `EpsilonUnreachable`.

    >>> round(noise_multiplier(1.0, 1e-5, 256 / 31_656, 1240), 3)
    1.395
    """
    if target_epsilon <= 0:
        raise EpsilonUnreachable(
            f"Expected epsilon > 0, got {target_epsilon:g}.", fix="Ask for a positive epsilon, such as 1."
        )
    return search_noise_multiplier(lambda s: epsilon(s, delta, sampling_rate, steps), target_epsilon)
