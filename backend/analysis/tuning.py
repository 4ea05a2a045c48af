"""What choosing costs: the privacy of publishing the best of a random number of private trainings, in numpy alone.

Papernot and Steinke 2022, "Hyperparameter tuning with Renyi differential privacy" (below: the paper). A training Q is
run K times, each time with randomness of its own and with a setting that is drawn at random; the best by any rule is
published and nothing of the others. K is drawn beforehand and kept secret. Where K were fixed, the best of many would
give away how many it beat, and the cost would grow with their number; at random it grows with its logarithm.

K has a mean and a shape: truncated negative binomial for a finite one (0 is the logarithmic distribution, 1 the
geometric one), Poisson for an infinite one. A larger shape keeps K nearer to its mean, and costs more where the mean is
large.

>>> alone = rdp(1.0, 0.01, 1000)
>>> round(to_epsilon(alone, 1e-5), 2), round(to_epsilon(selected_rdp(alone, mean=100, shape=1.0), 1e-5), 2)
(2.1, 5.27)
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np

from backend.analysis.accounting import ORDERS, Floats, rdp, search_noise_multiplier, to_epsilon

#: Shapes with a name of their own.
LOGARITHMIC, GEOMETRIC, POISSON = 0.0, 1.0, math.inf
#: Relative width at which the search for gamma stops. The smaller end is returned, which never costs less.
GAMMA_TOLERANCE = 1e-12
#: The gamma of a mean is looked for down to here; a mean that needs a smaller one is refused.
SMALLEST_GAMMA = 1e-300


def mean_trainings(gamma: float, shape: float) -> float:
    """E[K] of the truncated negative binomial distribution, definition 1 of the paper; K >= 1, gamma in (0, 1].

    P(K = k) = (1 - gamma)^k / (gamma^-shape - 1) times the product of (l + shape) / (l + 1) over l < k; of shape 0,
    (1 - gamma)^k / (k log(1 / gamma)).

    >>> round(mean_trainings(0.1, GEOMETRIC), 9), mean_trainings(1.0, 0.5)
    (10.0, 1.0)
    """
    if not 0 < gamma <= 1:
        raise ValueError(f"Expected 0 < gamma={gamma} <= 1.")
    if not -1 < shape < math.inf:
        raise ValueError(f"Expected -1 < shape={shape} < inf.")
    if gamma == 1:
        return 1.0
    lost = math.log(gamma)
    if shape == 0:
        return math.expm1(-lost) / -lost
    # shape (1 - gamma) / (gamma (1 - gamma^shape)), its differences of near numbers taken exactly.
    return shape * math.expm1(-lost) / -math.expm1(shape * lost)


@lru_cache(maxsize=4096)
def gamma_of(mean: float, shape: float) -> float:
    """The gamma whose E[K] is `mean`, or a little less of it: E[K] falls as gamma grows, and so does the cost.

    Bisection in log gamma. Raises `ValueError` for a mean below 1 or so large that no gamma is small enough.

    >>> round(gamma_of(10.0, GEOMETRIC), 9)
    0.1
    """
    _check(mean, shape)
    if mean == 1:
        return 1.0
    low, high = math.log(SMALLEST_GAMMA), 0.0
    if mean_trainings(SMALLEST_GAMMA, shape) < mean:
        raise ValueError(f"Expected a smaller mean={mean:g} for shape={shape:g}.")
    # In log gamma, whose size is what the cost depends on: near 0 the width is relative to it.
    while high - low > GAMMA_TOLERANCE * max(-low, GAMMA_TOLERANCE):
        middle = (low + high) / 2
        if mean_trainings(math.exp(middle), shape) < mean:
            high = middle
        else:
            low = middle
    return math.exp(low)


def selected_rdp(one: Floats, *, mean: float, shape: float, orders: tuple[float, ...] = ORDERS) -> Floats:
    """Renyi divergence in nats of publishing the best of K trainings, `[orders]`.

    `one` bounds that of a single training, `[orders]`, in both directions of adjacency; where trainings differ, the
    largest of theirs at each order. `orders` ascend. Raises `ValueError` for a mean below 1 or a shape of at most -1.

    Finite shape: theorem 2 of the paper. With lambda hat any order, e(lambda) that of one training,
    e'(lambda) = e(lambda) + (1 + shape) (1 - 1 / lambda hat) e(lambda hat) + (1 + shape) log(1 / gamma) / lambda hat
    + log E[K] / (lambda - 1). At lambda hat = 1 the second term is 0 whatever `one` is.
    Infinite shape: theorem 6. e'(lambda) = e(lambda) + mean * delta + log(mean) / (lambda - 1), delta being that of one
    training at epsilon = log(1 + 1 / (lambda - 1)). K may then be 0: nothing that depends on the data is published.
    Divergence grows with the order, so that of each order is at most the least of those above it.
    """
    _check(mean, shape)
    alphas = np.asarray(orders, dtype=np.float64)
    if np.any(alphas <= 1) or np.any(np.diff(alphas) <= 0):
        raise ValueError("Expected ascending orders > 1.")
    if one.shape != alphas.shape:
        raise ValueError(f"Expected {len(alphas)} divergences, one per order, got {one.shape}.")
    if math.isinf(shape):
        more: Floats | float = mean * _deltas(one, np.log1p(1 / (alphas - 1)), alphas)
    else:
        lost = -math.log(gamma_of(mean, shape))
        more = (1 + shape) * min(lost, float(np.min((1 - 1 / alphas) * one + lost / alphas)))
    found = one + more + math.log(mean) / (alphas - 1)
    return np.asarray(np.minimum.accumulate(found[::-1])[::-1])


def _deltas(one: Floats, epsilons: Floats, alphas: Floats) -> Floats:
    """Delta at each epsilon, `[epsilons]`: Canonne, Kamath and Steinke 2020, proposition 12.

    Delta is at most the total variation distance too, and that at most sqrt(1 - exp(-KL)) (Bretagnolle and Huber 1979),
    of which the Renyi divergence of any order is an upper bound.
    """
    at_order = (alphas - 1) * (one + np.log1p(-1 / alphas) - epsilons[:, None]) - np.log(alphas)
    distance = 0.5 * math.log(-math.expm1(-float(one.min()))) if one.min() > 0 else -math.inf
    return np.asarray(np.exp(np.minimum(np.minimum(at_order.min(axis=1), distance), 0.0)))


def epsilon(
    noise_multiplier: float, delta: float, sampling_rate: float, steps: int, *, mean: float, shape: float
) -> float:
    """Epsilon of publishing the best of K trainings of `steps` steps each, at `delta`.

    >>> round(epsilon(1.0, 1e-5, 0.01, 1000, mean=10, shape=LOGARITHMIC), 2)
    3.52
    """
    return to_epsilon(selected_rdp(rdp(noise_multiplier, sampling_rate, steps), mean=mean, shape=shape), delta)


@lru_cache(maxsize=4096)
def noise_multiplier(
    target_epsilon: float, delta: float, sampling_rate: float, steps: int, *, mean: float, shape: float
) -> float:
    """The smallest noise multiplier of each training with which the best of K costs `target_epsilon` at most.

    Raises `EpsilonUnreachable` where none does.

    >>> round(noise_multiplier(3.0, 1e-5, 0.01, 1000, mean=10, shape=LOGARITHMIC), 2)
    1.08
    """
    return search_noise_multiplier(
        lambda s: epsilon(s, delta, sampling_rate, steps, mean=mean, shape=shape), target_epsilon
    )


def _check(mean: float, shape: float) -> None:
    if not 1 <= mean < math.inf:
        raise ValueError(f"Expected a finite mean={mean} >= 1.")
    if not shape > -1:
        raise ValueError(f"Expected shape={shape} > -1.")
