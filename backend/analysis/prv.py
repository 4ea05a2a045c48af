"""Numerical accounting of the Poisson-subsampled Gaussian mechanism by privacy loss random variables, in numpy alone.

Gopi, Lee and Wutschitz 2021, "Numerical composition of differential privacy" (below: the paper). The privacy loss of
one step is put on a grid, made to keep its mean, and composed with itself by one Fourier transform. What the grid and
the window around it can change is bounded by their theorem 5.5, so that the answer is an interval that holds the true
epsilon. Adjacency is add/remove of one record: both directions are composed, and the larger epsilon counts.

>>> bounds = epsilon(1.0, 1e-5, 0.01, 1000)
>>> round(bounds.lower, 3), round(bounds.upper, 3)
(1.824, 1.833)
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import fft, special

from backend.analysis import accounting

Floats = np.ndarray[Any, np.dtype[np.float64]]
Complexes = np.ndarray[Any, np.dtype[np.complex128]]

#: Error in epsilon that the grid may make, as a share of the epsilon of Renyi accounting.
RELATIVE_ERROR = 2e-3
#: Error in delta that grid and window may make together, as a share of delta.
DELTA_ERROR = 1e-3
#: Most points of a grid, 16 MiB an array; beyond it the grid is coarser, and the interval accordingly wider.
MOST_POINTS = 1 << 21
#: Renyi orders of the tails. Higher ones matter where little happens per step.
TAIL_ORDERS: tuple[float, ...] = (*accounting.ORDERS, 2048.0, 4096.0)
#: Composite Gauss-Legendre rule for the mean loss: panels, and nodes of each.
PANELS, NODES = 64, 20


@dataclass(frozen=True)
class Bounds:
    """An interval that holds the true epsilon, and the value that the grid itself gives."""

    lower: float
    estimate: float
    upper: float


def epsilon(
    noise_multiplier: float, delta: float, sampling_rate: float, steps: int, *, relative_error: float = RELATIVE_ERROR
) -> Bounds:
    """Epsilon of `steps` steps at `delta`; `upper` is what may be claimed.

    Renyi accounting is an upper bound too. It caps `upper`, which therefore never exceeds it, also where delta is so
    small that rounding in the transform could swamp it (below about 3e-15 times the steps).
    """
    loose = accounting.epsilon(noise_multiplier, delta, sampling_rate, steps)
    if sampling_rate == 0 or steps == 0:
        return Bounds(0.0, 0.0, 0.0)
    if not 0 < loose < math.inf:
        return Bounds(loose, loose, loose)
    error = DELTA_ERROR * delta
    step = _Step(noise_multiplier, sampling_rate)
    window = _window(step, steps, error)
    # The grid has at most so many points; it is first as fine as the loose epsilon asks, then as the found one does.
    finest = 2 * max(window.whole, window.single) / _mesh(1.0, steps, error) / MOST_POINTS
    eps_error = max(relative_error * loose, finest)
    found = _both(step, steps, delta, error, eps_error, window)
    wanted = max(relative_error * found.estimate, finest)
    if 0 < wanted < eps_error / 2:
        found = _both(step, steps, delta, error, max(wanted, eps_error / 16), window)
    upper = min(found.upper, loose)
    return Bounds(min(found.lower, upper), min(found.estimate, upper), upper)


def _both(step: _Step, steps: int, delta: float, delta_error: float, eps_error: float, window: _Window) -> Bounds:
    """The larger of removing and adding a record."""
    mesh = _mesh(eps_error, steps, delta_error)
    found = [_one_direction(step, steps, delta, delta_error, eps_error, window, mesh, add) for add in (False, True)]
    return Bounds(*(max(one[i] for one in found) for i in range(3)))


def _mesh(eps_error: float, steps: int, delta_error: float) -> float:
    """Distance of grid points, theorem 5.5: rounding errors of mean zero sum to at most eps_error (Hoeffding)."""
    return eps_error / math.sqrt(steps / 2 * math.log(12 / delta_error))


@dataclass(frozen=True)
class _Window:
    """Losses that the sum of all steps, and that of one step, exceed with negligible probability, in nats."""

    whole: float
    single: float


def _window(step: _Step, steps: int, delta_error: float) -> _Window:
    """Tails of delta_error / 8 for all steps and delta_error / (16 steps) for one, on each side and in each direction.

    Right tail: the loss of P against Q is S = log P / Q under P, so that E[exp((a - 1) S)] = exp((a - 1) D_a(P, Q)) by
    the definition of the Renyi divergence D_a, and by Chernoff P(S > L) <= exp((a - 1) (D_a(P, Q) - L)) for all a > 1.
    That is at most t for L = D_a(P, Q) + log(1 / t) / (a - 1), and the smallest of them over the orders is taken.
    Left tail: E[exp(-a S)] = E under Q of (Q / P)^(a - 1) = exp((a - 1) D_a(Q, P)), hence P(S < -L) <=
    exp((a - 1) D_a(Q, P) - a L), for L >= 0 not more than the right tail of Q against P. Of the two divergences that
    of the mixture against the Gaussian, used here, is the larger one (Mironov, Talwar and Zhang 2019, theorem 5).

    Sum of what may differ, each a probability in a coupling of true and computed loss: a step outside of the window
    of one, steps * 2 * delta_error / (16 steps) = delta_error / 8; rounding errors, independent, of mean zero and in an
    interval as wide as the mesh, that sum to more than eps_error, 2 exp(-2 eps_error^2 / (steps mesh^2)) =
    delta_error / 6 (Hoeffding); a sum outside of the circle, 2 * delta_error / 8. Else the two are within eps_error.
    Together 13 / 24 of delta_error, and delta is the mean of a monotone function of the loss between 0 and 1.
    """
    orders = np.asarray(TAIL_ORDERS)
    one = accounting.rdp(step.sigma, step.q, 1, TAIL_ORDERS)
    whole = float(np.min(steps * one + math.log(8 / delta_error) / (orders - 1)))
    single = float(np.min(one + math.log(16 * steps / delta_error) / (orders - 1)))
    return _Window(whole, single)


@dataclass(frozen=True)
class _Step:
    """One step: P = (1 - q) N(0, sigma^2) + q N(1, sigma^2) against Q = N(0, sigma^2); loss = log P / Q at x."""

    sigma: float
    q: float

    def loss(self, x: Floats) -> Floats:
        """log(1 - q + q exp((2x - 1) / (2 sigma^2)))."""
        y = (2 * x - 1) / (2 * self.sigma**2)
        small = np.log1p(self.q * np.expm1(np.minimum(y, 30.0))) if self.q < 1 else y
        large = y + np.log(self.q + (1 - self.q) * np.exp(-np.maximum(y, 30.0)))
        return np.asarray(np.where(y < 30, small, large))

    def place(self, loss: Floats) -> Floats:
        """The x at which the loss is so large; -inf where it is never so small."""
        if self.q == 1:
            return np.asarray(self.sigma**2 * loss + 0.5)
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            # log((e^l - 1 + q) / q), without the difference of large numbers at either end.
            small = np.log1p(np.expm1(np.minimum(loss, 30.0)) / self.q)
            large = loss + np.log1p((self.q - 1) * np.exp(-np.maximum(loss, 30.0))) - math.log(self.q)
        z = np.where(loss < 30, small, large)
        return np.asarray(np.where(loss > math.log1p(-self.q), self.sigma**2 * z + 0.5, -np.inf))

    def masses(self, edges: Floats, add: bool) -> Floats:
        """Probability of the loss between each two of the ascending `edges` `[n + 1]`, `[n]`.

        Differences are taken on the side where they are of small numbers, so that far tails keep their digits.
        """
        if add:  # the loss is -loss(x) with x from Q
            return _between(self.place(-edges)[::-1] / self.sigma)[::-1]
        x = self.place(edges)
        return (1 - self.q) * _between(x / self.sigma) + self.q * _between((x - 1) / self.sigma)

    def mean(self, low: float, high: float, add: bool) -> float:
        """E[loss; low < loss < high], not divided by the probability of the condition."""
        ends = self.place(np.array([-high, -low] if add else [low, high]))
        reach = 40 * self.sigma
        start, stop = max(float(ends[0]), -reach), min(float(ends[1]), 1 + reach)
        nodes, weights = np.polynomial.legendre.leggauss(NODES)
        borders = np.linspace(start, stop, PANELS + 1)
        half = (borders[1:] - borders[:-1])[:, None] / 2
        x = (borders[1:] + borders[:-1])[:, None] / 2 + half * nodes
        density = _normal(x / self.sigma) / self.sigma
        loss = self.loss(x)
        if add:
            loss = -loss
        else:
            density = (1 - self.q) * density + self.q * _normal((x - 1) / self.sigma) / self.sigma
        return float(np.sum(half * weights * density * loss))


def _normal(z: Floats) -> Floats:
    return np.asarray(np.exp(-(z**2) / 2) / math.sqrt(2 * math.pi))


def _between(z: Floats) -> Floats:
    """Probability of a standard normal between each two of ascending `z`."""
    tail = special.ndtr(-np.abs(z))
    below, above = tail[:-1], tail[1:]
    left, right = z[:-1], z[1:]
    crossing = 1.0 - below - above
    return np.where(right <= 0, above - below, np.where(left >= 0, below - above, crossing))


def _power(base: Complexes, exponent: int) -> Complexes:
    """By repeated squaring: several times as fast as the complex power, and as exact."""
    result: Complexes | None = None
    while True:
        if exponent & 1:
            result = base if result is None else result * base
        exponent >>= 1
        if not exponent:
            return base if result is None else result
        base = base * base


def _rounding(spectrum: Complexes, mass: Floats, steps: int) -> float:
    """Most that rounding may add up to over half of the circle, in probability.

    The transform of `mass` errs by at most u log2(n) times its Euclidean norm, u = 2^-52, evenly over the modes.
    A power of X carries `steps` times the relative error of X and as many roundings of products: mode j errs by at most
    u steps (2 + log2(n) ||mass||) |X_j|^(steps - 1), and the transform back adds u log2(n) |X_j|^steps. By Parseval and
    Cauchy and Schwarz the errors of n cells, summed without sign, are at most the Euclidean norm of those of n modes.
    """
    log_size = math.log2(len(mass))
    weight = steps * (2 + log_size * float(np.linalg.norm(mass))) + log_size
    modes = np.abs(spectrum) ** (2 * (steps - 1))
    return float(np.finfo(np.float64).eps * weight * math.sqrt(2 * float(modes.sum())))


def _one_direction(
    step: _Step, steps: int, delta: float, delta_error: float, eps_error: float, window: _Window, mesh: float, add: bool
) -> tuple[float, float, float]:
    """Lower bound, estimate and upper bound of epsilon in one direction: algorithm 1 of the paper."""
    # One step, cut where it loses less than delta_error / (16 steps) a side, rounded to the grid around loss 0.
    reach = math.ceil(window.single / mesh)
    edges: Floats = mesh * (np.arange(-reach, reach + 2, dtype=np.float64) - 0.5)
    mass = step.masses(edges, add)
    total = float(mass.sum())
    rounded = mesh * float(np.arange(-reach, reach + 1) @ mass)
    shift = (step.mean(float(edges[0]), float(edges[-1]), add) - rounded) / total
    # The sum of the rounded losses stays within eps_error of that of the losses; `shift` is added after the transform.
    half = max(reach, math.ceil((window.whole + eps_error + steps * abs(shift)) / mesh))
    size = fft.next_fast_len(2 * half + 1, real=True)
    padded = np.zeros(size)
    padded[: reach + 1] = mass[reach:] / total
    padded[size - reach :] = mass[:reach] / total
    spectrum = fft.rfft(padded)
    powered = _power(spectrum, steps)
    circle = fft.irfft(powered, size)
    rounding = _rounding(spectrum, padded, steps)
    spare = delta_error + rounding
    # Losses below 0, the second half of the circle, do not matter, save those that the shift makes positive.
    before = math.ceil(steps * max(shift, 0.0) / mesh)
    composed = np.concatenate([circle[size - before :], circle[: size // 2]])
    losses = mesh * np.arange(-before, size // 2) + steps * shift
    # delta(e) = sum over losses l > e of p (1 - exp(e - l)); at e = l_i with sums from the right: d1 - exp(e) d2.
    positive = losses > 0
    losses, composed = losses[positive], np.maximum(composed[positive], 0.0)
    right = np.cumsum(composed[::-1])[::-1]
    scaled = np.cumsum((composed * np.exp(losses[0] - losses))[::-1])[::-1]
    at_points = right - np.exp(np.minimum(losses - losses[0], 700.0)) * scaled

    def find(target: float) -> float:
        """The epsilon whose delta is `target`; delta falls along the grid."""
        if target <= 0:
            return math.inf
        if at_points[0] <= target:  # below the first point: everything to its right counts in full
            part = right[0] - target
            return max(0.0, float(losses[0] + math.log(part / scaled[0]))) if part > 0 else 0.0
        i = int(np.searchsorted(-at_points, -target, side="left"))
        if i >= len(losses) or right[i] <= target or scaled[i] <= 0:
            return float(losses[min(i, len(losses) - 1)])
        return float(losses[0] + math.log((right[i] - target) / scaled[i]))

    lower = max(0.0, find(delta + spare) - eps_error)
    return lower, find(delta), find(delta - spare) + eps_error
