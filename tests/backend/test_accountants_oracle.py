"""Every accountant against the exact delta of the mechanism, worked out without any of their grids."""

import math
from functools import lru_cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize, special

from backend.analysis import accounting, pld, prv


def gaussian_delta(sigma: float, steps: int, eps: float) -> float:
    """Of `steps` Gaussian mechanisms, exactly: Balle and Wang 2018, theorem 8."""
    mu = math.sqrt(steps) / sigma
    first, second = special.log_ndtr(mu / 2 - eps / mu), eps + special.log_ndtr(-mu / 2 - eps / mu)
    return float(-math.exp(first) * math.expm1(second - first))


@lru_cache(maxsize=1)
def rule() -> tuple[np.ndarray, np.ndarray]:
    """Nodes and weights of Gauss and Legendre's rule: finding them takes longer than using them."""
    return np.polynomial.legendre.leggauss(1500)


class Sampled:
    """Delta of `steps` Poisson-subsampled Gaussians near one epsilon, exactly: the characteristic function, inverted.

    delta(e) = 1 / (2 pi i) times the integral of E[exp(s L)]^steps exp(-s e) / (s (s + 1)) along any line Re s = c > 0.
    Through the saddle point of `near` nothing cancels, so that delta keeps its digits however small it is; the line,
    and the moments along it, serve epsilons beside `near` too. For sums that have a density.
    """

    def __init__(self, sigma: float, q: float, steps: int, near: float, *, add: bool) -> None:
        width = min(sigma / 50, sigma**2 / 15)
        x = np.arange(-13 * sigma, 1 + (13 if add else 30) * sigma, width)
        loss = np.logaddexp(math.log1p(-q), math.log(q) + (2 * x - 1) / (2 * sigma**2))
        log_weight = -(x**2) / (2 * sigma**2) + math.log(width / (sigma * math.sqrt(2 * math.pi)))
        if add:
            loss = -loss
        else:
            log_weight = log_weight + loss

        def exponent(log_c: float) -> float:
            c = math.exp(log_c)
            return float(steps * special.logsumexp(log_weight + c * loss) - near * c - math.log(c) - math.log1p(c))

        c = math.exp(optimize.minimize_scalar(exponent, bounds=(-8, 6), method="bounded").x)
        log_mean = float(special.logsumexp(log_weight + c * loss))
        tilted = np.exp(log_weight + c * loss - log_mean)
        mean = float(tilted @ loss)
        end = 9 / math.sqrt(steps * float(tilted @ (loss - mean) ** 2)) + 40
        nodes, weights = rule()
        u = end / 2 * (nodes + 1)
        # Points of no weight are left out, and the sums are taken without the threads of a matrix product.
        there = tilted > 1e-20 * tilted.max()
        centred, tilted = loss[there] - mean, tilted[there]
        parts = (np.exp(1j * part[:, None] * centred) for part in np.array_split(u, 30))
        moment = np.concatenate([np.einsum("ux,x->u", part, tilted) for part in parts])
        s = c + 1j * u
        self.values = moment**steps / (s * (s + 1))
        assert abs(self.values[-1]) * end < 1e-9 * abs(self.values[0])  # else the line was cut too early
        self.c, self.u, self.weights = c, u, end / 2 * weights
        self.log_mean, self.mean = steps * log_mean, steps * mean

    def delta(self, eps: float) -> float:
        """At an epsilon beside `near`."""
        values = self.values * np.exp(1j * self.u * (self.mean - eps))
        return math.exp(self.log_mean - self.c * eps) * float(self.weights @ values.real) / math.pi


@settings(max_examples=40, deadline=None)
@given(
    st.floats(math.log(0.3), math.log(30)).map(math.exp),
    st.floats(0, math.log(1e5)).map(lambda x: round(math.exp(x))),
    st.integers(3, 12).map(lambda digits: 10.0**-digits),
)
def test_without_sampling_all_bound_the_gaussian_mechanism(sigma, steps, delta):
    ours = prv.epsilon(sigma, delta, 1.0, steps)
    slack = 1 + 1e-9
    for upper in (ours.upper, pld.epsilon(sigma, delta, 1.0, steps), accounting.epsilon(sigma, delta, 1.0, steps)):
        assert gaussian_delta(sigma, steps, upper) <= slack * delta
    if ours.lower > 0:
        assert gaussian_delta(sigma, steps, ours.lower) >= delta / slack


@pytest.mark.parametrize(
    ("sigma", "q", "steps"),
    [(1.0, 0.01, 1000), (0.6, 0.05, 300), (3.0, 0.01, 100_000), (30.0, 0.1, 10_000), (0.5, 1e-3, 10_000)],
)
@pytest.mark.parametrize("delta", [1e-3, 1e-6, 1e-9, 1e-11, 1e-12])
def test_with_sampling_all_bound_the_true_epsilon(sigma, q, steps, delta):
    ours = prv.epsilon(sigma, delta, q, steps)
    both = [Sampled(sigma, q, steps, ours.estimate, add=add) for add in (False, True)]
    slack = 1 + 1e-6

    def exact(eps: float) -> float:
        return max(one.delta(eps) for one in both)

    for upper in (ours.upper, pld.epsilon(sigma, delta, q, steps), accounting.epsilon(sigma, delta, q, steps)):
        assert exact(upper) <= slack * delta
    assert exact(ours.lower) >= delta / slack
    if delta >= 1e-9:  # where rounding is no matter, the interval is as narrow as it says
        assert exact(ours.estimate) == pytest.approx(delta, rel=5e-3)


@pytest.mark.parametrize("q", [1e-4, 0.01, 0.5])
@pytest.mark.parametrize("sigma", [0.3, 1.0, 30.0])
@pytest.mark.parametrize("delta", [1e-3, 1e-6, 1e-9, 1e-12])
def test_of_one_step_the_loss_is_monotone_and_delta_exact(sigma, q, delta):
    def exact(eps: float) -> float:
        """The larger of P(loss > eps) - e^eps Q(loss > eps) in both directions, from the tails of two Gaussians."""
        remove = sigma**2 * math.log1p(math.expm1(eps) / q) + 0.5
        first, shifted = special.ndtr(-remove / sigma), special.ndtr((1 - remove) / sigma)
        found = [(1 - q - math.exp(eps)) * first + q * shifted]
        if math.exp(-eps) > 1 - q:
            add = sigma**2 * math.log1p(math.expm1(-eps) / q) + 0.5
            mixture = (1 - q) * special.ndtr(add / sigma) + q * special.ndtr((add - 1) / sigma)
            found.append(special.ndtr(add / sigma) - math.exp(eps) * mixture)
        return float(max(found))

    ours = prv.epsilon(sigma, delta, q, 1)
    for upper in (ours.upper, pld.epsilon(sigma, delta, q, 1), accounting.epsilon(sigma, delta, q, 1)):
        assert exact(upper) <= delta * (1 + 1e-6) + 1e-17
    assert ours.lower == 0 or exact(ours.lower) >= delta * (1 - 1e-6) - 1e-17
