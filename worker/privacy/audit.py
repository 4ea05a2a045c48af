"""Lower bounds on epsilon from what an attacker guessed: the mathematics of audits, in numpy and scipy alone.

A bound at confidence 95 % exceeds the true epsilon of the mechanism in at most 5 % of the audits, whatever the attack:
a weak attack gives a low bound, never a wrong one. Each answer also has a p-value of the *claimed* epsilon, the
probability that a mechanism which keeps its claim would be guessed as well as that; it is what alarms are raised by.

>>> round(one_run_epsilon(canaries=1000, guesses=100, correct=75, delta=1e-4), 3)
0.673
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import special, stats

Floats = np.ndarray[Any, np.dtype[np.float64]]
Flags = np.ndarray[Any, np.dtype[np.bool_]]

#: A bound holds with this confidence, and an epsilon is refuted below `LEVEL`.
CONFIDENCE = 0.95
LEVEL = 1 - CONFIDENCE
#: No audit of this size finds more, and beyond it probabilities are lost in rounding.
LARGEST = 30.0
#: The bisection ends at this width.
TOLERANCE = 1e-6


@dataclass(frozen=True)
class Bound:
    """What an audit found: `epsilon` in nats, a lower bound at `CONFIDENCE`; guesses made and right."""

    epsilon: float
    guesses: int
    correct: int
    #: Of the claimed epsilon, corrected for every choice that the audit made.
    p_at_claim: float


def one_run_p(canaries: int, guesses: int, correct: int, epsilon: float, delta: float) -> float:
    """Probability that an (epsilon, delta) mechanism lets `correct` or more of `guesses` guesses be right.

    Steinke, Nasr and Jagielski 2023 (arXiv:2305.08846), theorem 5.2 and appendix D: `canaries` records are each
    included with probability 1/2, independently; the attacker guesses for `guesses` of them, a number fixed before,
    and abstains from the others. With q = 1 / (1 + exp(-epsilon)) and X ~ Binomial(guesses, q),

        p = P[X >= v] + 2 m delta max over 1 <= i <= v of P[v - i <= X < v] / i.
    """
    rate = special.expit(epsilon)
    p = float(stats.binom.sf(correct - 1, guesses, rate))
    if delta > 0 and correct > 0:
        i = np.arange(1, correct + 1)
        below = stats.binom.cdf(correct - 1, guesses, rate) - stats.binom.cdf(correct - i - 1, guesses, rate)
        p += 2 * canaries * delta * float(np.max(below / i))
    return min(1.0, p)


def one_run_epsilon(canaries: int, guesses: int, correct: int, delta: float, level: float = LEVEL) -> float:
    """The largest epsilon that `one_run_p` refutes at `level`, from below; 0 where it refutes none."""
    return _largest_refuted(lambda epsilon: one_run_p(canaries, guesses, correct, epsilon, delta), level)


def one_run(scores: Floats, included: Flags, sizes: Sequence[int], *, delta: float, claim: float) -> Bound:
    """The bound from `scores[canaries]`, higher for those that look `included[canaries]`.

    `sizes` are the numbers of guesses to try, each half for the top ("in") and half for the bottom ("out"). They must
    be chosen without looking at the scores. Several cost a Bonferroni correction: each is tested at `LEVEL` / their
    number, and the smallest p-value is multiplied by it, so that taking the best of them is honest. Scores that are not
    numbers count as the lowest; ties are broken by position, which knows nothing of membership.
    """
    m, tries = len(scores), sorted({min(max(2, size // 2 * 2), len(scores) // 2 * 2) for size in sizes})
    if m < 2 or not tries:
        raise ValueError(f"Expected at least 2 canaries and one number of guesses, got {m} and {len(tries)}.")
    order = np.argsort(np.nan_to_num(scores, nan=-np.inf), kind="stable")
    found = []
    for guesses in tries:
        half = guesses // 2
        correct = int(included[order[m - half :]].sum() + (~included[order[:half]]).sum())
        bound = one_run_epsilon(m, guesses, correct, delta, LEVEL / len(tries))
        p = min(1.0, len(tries) * one_run_p(m, guesses, correct, claim, delta))
        found.append(Bound(bound, guesses, correct, p))
    best = max(found, key=lambda one: (one.epsilon, -one.p_at_claim))
    return Bound(best.epsilon, best.guesses, best.correct, min(one.p_at_claim for one in found))


def rates_epsilon(fpr_high: float, fnr_high: float, delta: float) -> float:
    """Epsilon that error rates of at most these refute.

    Of any test between neighbours, FPR + exp(epsilon) FNR >= 1 - delta and the same with the two exchanged (Kairouz, Oh
    and Viswanath 2015), hence epsilon >= max of log((1 - delta - FNR) / FPR) and log((1 - delta - FPR) / FNR).
    """
    best = 0.0
    for one, other in ((fpr_high, fnr_high), (fnr_high, fpr_high)):
        if other < 1 - delta and one > 0:
            best = max(best, math.log((1 - delta - other) / one))
    return best


def many_run(scores_in: Floats, scores_out: Floats, *, delta: float, claim: float) -> Bound:
    """The bound from scores of a canary by models trained with it and without it.

    Jagielski, Ullman and Oprea 2020 (arXiv:2006.07709); Nasr et al. 2021 (arXiv:2101.04535).
    The threshold is the best on every second model of each kind, and is judged on the others alone, which do not know
    it: Clopper and Pearson's upper bounds of both error rates there, each at half the level, so that both hold together
    at `CONFIDENCE`. With n models judged of each kind no bound can exceed about log(n / 3.7).
    """
    if min(len(scores_in), len(scores_out)) < 4:
        raise ValueError(f"Expected at least 4 models of each kind, got {len(scores_in)} and {len(scores_out)}.")
    inside, outside = np.nan_to_num(scores_in, nan=-np.inf), np.nan_to_num(scores_out, nan=-np.inf)
    threshold = _best_threshold(inside[::2], outside[::2], delta)
    inside, outside = inside[1::2], outside[1::2]
    missed, false = int((inside < threshold).sum()), int((outside >= threshold).sum())

    def bound(level: float) -> float:
        highs = upper(false, len(outside), level / 2), upper(missed, len(inside), level / 2)
        return rates_epsilon(*highs, delta)

    guesses = len(inside) + len(outside)
    return Bound(bound(LEVEL), guesses, guesses - missed - false, _smallest_level(bound, claim))


def upper(events: int, trials: int, level: float) -> float:
    """One-sided upper bound of a rate that holds with probability 1 - `level` (Clopper and Pearson 1934).

    >>> round(upper(0, 32, 0.025), 4)
    0.1089
    """
    return 1.0 if events >= trials else float(special.betaincinv(events + 1, trials - events, 1 - level))


def _best_threshold(inside: Floats, outside: Floats, delta: float) -> float:
    """The score from which on "in" is guessed, with the largest bound on these models themselves."""
    best, found = -1.0, math.inf
    both = np.unique(np.concatenate([inside, outside]))
    for threshold in np.concatenate([(both[:-1] + both[1:]) / 2, both[-1:]]):
        false, missed = int((outside >= threshold).sum()), int((inside < threshold).sum())
        bound = rates_epsilon(
            upper(false, len(outside), LEVEL / 2), upper(missed, len(inside), LEVEL / 2), delta
        )  # fmt: skip
        # Where no threshold refutes anything yet, the one with fewest errors.
        worth = bound if bound > 0 else -false / len(outside) - missed / len(inside) - 1
        if worth > best or found == math.inf:
            best, found = worth, float(threshold)
    return found


def _largest_refuted(p: Callable[[float], float], level: float) -> float:
    """The end of the epsilons from 0 on that are refuted at `level`, by bisection."""
    if p(0.0) >= level:
        return 0.0
    low, high = 0.0, LARGEST
    if p(high) < level:
        return high
    while high - low > TOLERANCE:
        middle = (low + high) / 2
        low, high = (middle, high) if p(middle) < level else (low, middle)
    return low


def _smallest_level(bound: Callable[[float], float], claim: float) -> float:
    """The smallest level at which the bound exceeds the claim: a p-value, since bounds grow with the level."""
    low, high = math.log(1e-12), 0.0
    if bound(1.0) <= claim:
        return 1.0
    while high - low > 1e-4:
        middle = (low + high) / 2
        low, high = (low, middle) if bound(math.exp(middle)) > claim else (middle, high)
    return math.exp(high)
