"""What trainings on the Gaussian task give on average: accuracies and leakage, exactly or with a bounded error.

Numbers in brackets are those of docs/gaussian.md. Against l2 perturbations an expectation is an integral over two
dimensions [17]. Against linf it is a Gauss rule [16] whose moments are integrals over one dimension [15].
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from scipy import special

from backend.analysis.gaussian_task import GUESSING, Measure, Task, advantage, halfway, measured
from backend.analysis.table import Floats

#: What the fine quadrature misses of the advantage at most, which has a kink; measured, as is said under [17].
_KINK = 2e-5
#: Below this probability that any coordinate of theta is left, theta counts as zero.
NEVER = 1e-12

#: Largest absolute value of the first, third and fifth derivative of the normal density.
_STEEPEST = (0.0, 0.2419707245, 0.5505879301, 2.3071163220)


@dataclass(frozen=True)
class Series:
    """A law's density as a Gram-Charlier series [18]: nodes with weights from four and from six moments.

    All `[settings, nodes]`; what the two differ by is the estimate of the error.
    """

    nodes: Floats
    four: Floats
    six: Floats


@dataclass(frozen=True)
class Rule:
    """Nodes and weights `[settings, nodes]` whose sums are expectations over trainings in which theta is not zero.

    `order` and `rest` `[settings]` bound what is left out by a Gauss rule of that many nodes [16]; order 0 means that
    the rule is a fine quadrature. Beside a Gauss rule stands a series of the density, for what has a kink.
    """

    nodes: Floats
    weights: Floats
    order: Floats
    rest: Floats
    series: Series | None = None

    def bound(self, width: Floats | float) -> Floats:
        """Largest error of the expectation of a normal distribution function whose standard deviation is `width`."""
        k = self.order.astype(np.int64)
        factorial = np.array([1.0, 2.0, 24.0, 720.0])[k]
        return np.asarray(np.array(_STEEPEST)[k] / factorial * self.rest / np.asarray(width) ** (2 * k))


@dataclass(frozen=True)
class Law:
    """Over trainings: the shift [8], the arguments of both accuracies [5, 6], the gap, how often theta is zero.

    `[settings]` each, the rules `[settings, nodes]`.
    """

    n: Floats
    shift: Rule
    accuracy: Rule
    robust: Rule
    gap: Floats
    zero: Floats

    def leak(self, measure: Measure) -> tuple[Floats, Floats]:
        """Expectation of a measure over trainings and the bound of its error, `[settings]` each."""
        n, share = self.n[:, None], np.sqrt(1 - 1 / self.n)
        if measure != "advantage" or self.shift.series is None:
            inside = np.sum(self.shift.weights * measured(measure, self.shift.nodes, n), axis=1)
            error = self.shift.bound(np.sqrt(2 - 1 / self.n) if measure == "auc" else share)
            error = error + (_KINK if measure == "advantage" else 0.0) * (self.zero < 1)
        else:
            # The threshold halfway is smooth in the shift; what the best one adds has a kink and needs the density.
            inside = np.sum(self.shift.weights * halfway(self.shift.nodes, n), axis=1)
            series = self.shift.series
            more = advantage(series.nodes, n) - halfway(series.nodes, n)
            added, coarser = np.sum(series.six * more, axis=1), np.sum(series.four * more, axis=1)
            inside = inside + added
            error = self.shift.bound(2 * share) + self.shift.bound(2.0) + np.abs(added - coarser)
        return inside + self.zero * GUESSING[measure], error

    def accuracies(self) -> tuple[Floats, Floats, Floats]:
        """Expected accuracy and robust accuracy, and the larger bound of their errors."""
        plain, robust = (
            np.sum(rule.weights * special.ndtr(rule.nodes), axis=1) + self.zero / 2
            for rule in (self.accuracy, self.robust)
        )
        return plain, robust, np.maximum(self.accuracy.bound(1.0), self.robust.bound(1.0))


def law(n: Floats | float, shrink: Floats | float, attack: Floats | float, task: Task) -> Law:
    """Of estimators shrunk by `shrink` and attacked by perturbations of size `attack`, `[settings]` each.

    n, shrink and epsilon of the task are not looked at.
    """
    n, shrink, attack = (np.atleast_1d(one).astype(np.float64) for one in np.broadcast_arrays(n, shrink, attack))
    if task.norm == "l2":
        return _law_l2(n, shrink, attack, task)
    if shrink.any():
        return _law_linf(n, shrink, attack, task)
    # Only the mean's robust accuracy depends on the norm: the finer quadrature serves for the others.
    finer = _law_l2(n, shrink, attack, task)
    return replace(finer, robust=_rules(n, shrink, attack, task, ("robust",))[0][0])


# Against linf: coordinates are independent, so E[N^k exp(-t B)] is a product over them [15].

#: Powers of the ratio whose expectations are worked out: those of a Gauss rule of three nodes and its bound.
_POWERS = 6
_T = np.linspace(-4.3, 4.3, 87)
_LOG_T = np.pi / 2 * np.sinh(_T)
_DT = np.pi / 2 * np.cosh(_T) * (_T[1] - _T[0])
_Y, _DY = np.polynomial.legendre.leggauss(40)
#: Settings that are worked on at once.
_BLOCK = 4
#: Standard deviations beyond which a normal density is left out.
_REACH = 8.5


def _law_linf(n: Floats, shrink: Floats, attack: Floats, task: Task) -> Law:
    rules, gap, zero = _rules(n, shrink, attack, task, ("shift", "accuracy", "robust"))
    return Law(n, rules[0], rules[1], rules[2], gap, zero)


def _rules(
    n: Floats, shrink: Floats, attack: Floats, task: Task, wanted: tuple[str, ...]
) -> tuple[list[Rule], Floats, Floats]:
    """The rules of the ratios that are wanted, the expected gap [9], and how often theta is zero."""
    tau = task.sigma / np.sqrt(n)
    kinds = [(task.signals, task.mean), (task.d - task.signals, 0.0)]
    count = np.array([c for c, _ in kinds if c])
    mu = np.array([m for c, m in kinds if c])[:, None] * np.array([1.0, -1.0])
    # [settings, kinds of coordinate, sides]: where the mean lies beyond the threshold, in standard deviations.
    beyond = (mu - shrink[:, None, None]) / tau[:, None, None]
    left = special.ndtr(beyond).sum(axis=2)
    with np.errstate(divide="ignore"):
        gone = np.sum(count * np.log1p(-np.minimum(left, 1.0)), axis=1)
    some = -np.expm1(gone)
    ever = some > NEVER
    size = np.where(ever, (count * _half_squares(beyond).sum(axis=2)).sum(axis=1) / np.where(ever, some, 1), 1.0)
    mass = np.where(ever, some, 0.0)
    signal = mu / tau[:, None, None]
    numerators = {"shift": None, "accuracy": signal, "robust": signal - (attack / tau)[:, None, None]}
    units = {"shift": 1 / np.sqrt(n), "accuracy": tau / task.sigma, "robust": tau / task.sigma}
    # A few settings at a time: their arrays stay in the processor's cache.
    blocks = [slice(start, start + _BLOCK) for start in range(0, len(n), _BLOCK)]
    chosen = [numerators[name] for name in wanted]
    parts = [
        _ratio_moments(beyond[b], [None if one is None else one[b] for one in chosen], count, size[b]) for b in blocks
    ]
    rules = []
    for place, name in enumerate(wanted):
        moments = np.concatenate([part[place] for part in parts])
        known = np.where(ever[:, None], moments / np.where(ever, some, 1)[:, None], 0.0)
        rules.append(_gauss(known * units[name][:, None] ** np.arange(1, _POWERS + 1), mass))
    return rules, tau**2 * (count * left).sum(axis=1), 1 - mass


def _half_squares(beyond: Floats) -> Floats:
    """E[(g + b)_+^2] of a standard normal g."""
    density = np.exp(-(beyond**2) / 2) / math.sqrt(2 * math.pi)
    return np.asarray(np.maximum((1 + beyond**2) * special.ndtr(beyond) + beyond * density, 0.0))


def _ratio_moments(beyond: Floats, numerators: list[Floats | None], count: Floats, size: Floats) -> list[Floats]:
    """E[(N / |theta|)^k; theta not zero] for k = 1 to 6, `[settings, 6]` for each numerator, in units of tau [15].

    N sums c y over coordinates, y being what is left of a coordinate in units of tau; c `[settings, kinds, sides]`, or
    y less `beyond` where it is None. With N = A, B = |theta|^2 and k-th moments q_k of one coordinate under exp(-t b),
    cumulants add up over coordinates.
    """
    t = np.exp(_LOG_T) / size[:, None]
    spread = 1 / np.sqrt(1 + 2 * t)[:, None, None, :]
    peak = beyond[..., None] * spread
    low = np.maximum(0.0, peak - _REACH)
    span = np.where(peak < 0, np.minimum(_REACH, 40 / np.maximum(-peak, 1e-9)), peak + _REACH - low)
    v = low[..., None] + span[..., None] * (0.5 + 0.5 * _Y)
    y = v * spread[..., None]
    # The density of y times exp(-t y^2), with the squares completed.
    rest = beyond[..., None] ** 2 / 2 * (2 * t / (1 + 2 * t))[:, None, None, :]
    weight = np.exp(-((v - peak[..., None]) ** 2) / 2 - rest[..., None]) * (0.5 * _DY)
    weight *= (span * spread / math.sqrt(2 * math.pi))[..., None]
    gone = 1 - special.ndtr(beyond).sum(axis=2)
    base = np.maximum(np.maximum(gone, 0.0)[..., None] + weight.sum(axis=(2, 4)), 1e-300)
    plain = _powers(weight, y) if any(factor is not None for factor in numerators) else np.zeros(0)
    answers = []
    for factor in numerators:
        if factor is None:
            sides = _powers(weight, y * (y - beyond[..., None, None]))
        else:
            powers = factor[None] ** np.arange(1, _POWERS + 1)[:, None, None, None]
            sides = plain * powers[..., None]
        raw = sides.sum(axis=3) / base
        cumulants = np.einsum("ksgt,g->kst", _cumulants(raw), count)
        mass = np.exp(np.einsum("sgt,g->st", np.log(base), count))
        whole = _raw(cumulants) * mass
        k = np.arange(1, _POWERS + 1)[:, None]
        scaled = np.einsum("kst,kst,t->ks", whole, t ** (k[..., None] / 2), _DT)
        answers.append((scaled / special.gamma(k / 2)).T)
    return answers


def _powers(weight: Floats, value: Floats) -> Floats:
    """Sums of weight times the powers 1 to 6 of a value over the last axis, `[6, ...]`."""
    found, power = [], weight
    for _ in range(_POWERS):
        power = power * value
        found.append(power.sum(axis=-1))
    return np.array(found)


def _cumulants(raw: Floats) -> Floats:
    """Cumulants 1 to 6 from raw moments 1 to 6 along the first axis."""
    found: list[Floats] = []
    for k in range(_POWERS):
        lower = sum((math.comb(k, j) * found[j] * raw[k - 1 - j] for j in range(k)), start=np.zeros_like(raw[0]))
        found.append(raw[k] - lower)
    return np.array(found)


def _raw(cumulants: Floats) -> Floats:
    """Raw moments 1 to 6 from cumulants 1 to 6 along the first axis."""
    found: list[Floats] = []
    for k in range(_POWERS):
        lower = sum(
            (math.comb(k, j) * cumulants[j] * found[k - 1 - j] for j in range(k)), start=np.zeros_like(cumulants[0])
        )
        found.append(cumulants[k] + lower)
    return np.array(found)


#: Relative error that raw moments are taken to have.
_ROUNDING = 1e-13


def _gauss(raw: Floats, mass: Floats) -> Rule:
    """The Gauss rule of up to three nodes of a law with raw moments 1 to 6, `[settings, 6]`, and this total [16].

    Where rounding has eaten the higher central moments, fewer nodes serve, with their own bound.
    """
    count = len(raw)
    full = np.concatenate([np.ones((count, 1)), raw], axis=1)
    mean = raw[:, 0]
    central = [np.ones(count)]
    noise = [np.zeros(count)]
    for k in range(1, _POWERS + 1):
        terms = [math.comb(k, j) * full[:, j] * (-mean) ** (k - j) for j in range(k + 1)]
        central.append(np.sum(terms, axis=0))
        noise.append(_ROUNDING * np.sum(np.abs(terms), axis=0))
    variance = np.maximum(central[2], 0.0)
    spread = np.sqrt(variance)
    unit = np.where(spread > 1e-30, spread, 1.0)
    m = [central[k] / unit**k for k in range(_POWERS + 1)]
    # Recurrence of the orthogonal polynomials 1, x, p2, p3 of the standardised law.
    beta2 = m[4] - m[3] ** 2 - 1
    two = (variance > 10 * noise[2]) & (noise[4] < 1e-3 * unit**4)
    three = two & (beta2 > 1e-6) & (noise[6] < 1e-3 * unit**6)
    safe = np.where(three, beta2, 1.0)
    alpha2 = np.where(three, (m[5] - 2 * m[3] * m[4] + m[3] ** 3) / safe, 0.0)
    a = -alpha2 - m[3]
    b = alpha2 * m[3] - 1 - safe
    p3 = m[6] + a * m[5] + b * m[4] + alpha2 * m[3]
    jacobi = np.zeros((count, 3, 3))
    jacobi[:, 1, 1] = np.where(two, m[3], 0.0)
    jacobi[:, 2, 2] = alpha2
    jacobi[:, 0, 1] = jacobi[:, 1, 0] = np.where(two, 1.0, 0.0)
    jacobi[:, 1, 2] = jacobi[:, 2, 1] = np.where(three, np.sqrt(np.maximum(beta2, 0.0)), 0.0)
    values, vectors = np.linalg.eigh(jacobi)
    rest = np.where(
        three, np.maximum(p3, 0.0) * unit**6, np.where(two, np.maximum(beta2, 0.0) * variance**2, variance + noise[2])
    )
    nodes = mean[:, None] + spread[:, None] * values
    order = np.where(three, 3.0, np.where(two, 2.0, 1.0))
    return Rule(nodes, mass[:, None] * vectors[:, 0, :] ** 2, order, rest * mass, _series(mean, spread, m, order, mass))


#: Standard normal deviates at which a series is added up, with weights.
_Z = np.linspace(-7.0, 7.0, 141)
_DZ = np.exp(-(_Z**2) / 2) / math.sqrt(2 * math.pi) * (_Z[1] - _Z[0])


def _series(mean: Floats, spread: Floats, m: list[Floats], order: Floats, mass: Floats) -> Series:
    """The Gram-Charlier series from standardised moments `m`, as far as `order` says that they are known [18]."""
    coefficients = {3: m[3], 4: m[4] - 3, 5: m[5] - 10 * m[3], 6: m[6] - 15 * m[4] + 30}
    weights, sums = np.ones((len(mean), len(_Z))), []
    for k, coefficient in coefficients.items():
        known = np.where(order >= k / 2, coefficient, 0.0)[:, None]
        weights = weights + known / math.factorial(k) * special.eval_hermitenorm(k, _Z)
        sums.append(weights)
    total = mass[:, None] * _DZ
    return Series(mean[:, None] + spread[:, None] * _Z, total * sums[1], total * sums[3])


# Against l2 the direction is that of the mean: two numbers say all, its length and its angle to mu [17].

_QUADRATURE, _WEIGHTS = np.polynomial.legendre.leggauss(48)


def _law_l2(n: Floats, shrink: Floats, attack: Floats, task: Task) -> Law:
    tau = task.sigma / np.sqrt(n)
    far = task.separation / tau
    middle = np.sqrt(task.d + far**2)
    start = np.maximum(middle - _REACH, 0.0)
    edge = np.clip(shrink / tau, start, None)
    outside = _polar(edge, np.maximum(middle, edge) + _REACH, far, task.d)
    inside = _polar(start, edge, far, task.d)
    top = np.maximum(outside[2].max(axis=(1, 2)), inside[2].max(axis=(1, 2)))[:, None, None]
    heavy, light = (grid[3] * np.exp(grid[2] - top) for grid in (outside, inside))
    total = heavy.sum(axis=(1, 2)) + light.sum(axis=(1, 2))
    weights = (heavy / total[:, None, None]).reshape(len(n), -1)
    some = weights.sum(axis=1)
    length, cosine = (grid.reshape(len(n), -1) * np.ones_like(weights) for grid in outside[:2])
    shift = (length - far[:, None] * cosine) / np.sqrt(n)[:, None]
    toward = task.separation / task.sigma * cosine
    gap = tau**2 * np.sum(weights * (length - (shrink / tau)[:, None]) * shift * np.sqrt(n)[:, None], axis=1)
    fine = np.zeros(len(n))
    robust = toward - attack[:, None] / task.sigma
    rules = [Rule(nodes, weights, fine, fine) for nodes in (shift, toward, robust)]
    return Law(n, rules[0], rules[1], rules[2], gap, np.clip(1 - some, 0.0, 1.0))


def _polar(low: Floats, high: Floats, far: Floats, d: int) -> tuple[Floats, Floats, Floats, Floats]:
    """Lengths between `low` and `high` and cosines, `[settings, lengths, angles]`, with log density and weight.

    Of a normal vector with unit variances whose mean has the length `far`. In one dimension the angle is 0 or pi.
    """
    half = ((high - low) / 2)[:, None]
    length = low[:, None] + half * (1 + _QUADRATURE)
    across = (half * _WEIGHTS)[..., None]
    far = far[:, None]
    if d == 1:
        cosine = np.broadcast_to(np.array([1.0, -1.0]), (*length.shape, 2))
        log = -((length[..., None] - far[..., None] * cosine) ** 2) / 2
        return length[..., None] * np.ones(2), cosine, log, across * np.ones(2)
    pull = length * far
    free = d - 2
    # The most likely angle, and how far the density around it reaches.
    best = np.where(pull > 0, 2 * pull / (free + np.sqrt(free**2 + 4 * pull**2) + 1e-300), 0.0)
    sharp = free / np.maximum(1 - best**2, 1e-12) + pull * best
    # A cosine falls more slowly than the parabola at its top, at most by the square of 2 / pi.
    reach = np.pi / 2 * _REACH / np.sqrt(np.maximum(sharp, 1e-12))
    centre = np.arccos(np.clip(best, -1, 1))
    first, last = np.maximum(centre - reach, 0.0), np.minimum(centre + reach, np.pi)
    part = ((last - first) / 2)[..., None]
    angle = first[..., None] + part * (1 + _QUADRATURE)
    cosine = np.cos(angle)
    with np.errstate(divide="ignore"):
        log = (d - 1) * np.log(length)[..., None] + special.xlogy(free, np.sin(angle))
    square = length[..., None] ** 2 - 2 * pull[..., None] * cosine + far[..., None] ** 2
    return length[..., None] * np.ones_like(cosine), cosine, log - square / 2, across * part * _WEIGHTS
