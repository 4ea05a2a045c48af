"""A Gaussian mixture, its estimators, and what an attacker learns of the training rows once theta is known.

Labels y are -1 or +1 with equal chance and x ~ N(y mu, sigma^2 I_d); `informative` coordinates of mu have the value
`mean`, the others are zero. An estimator theta is trained on n rows and classifies by the sign of <theta, x>: the mean
of y x, or a robust one that expects every x to be moved by up to epsilon. The setting is that of Hayes (2020,
arXiv 2006.04622); the formulas are derived in docs/gaussian.md, whose numbers stand in brackets here.

Here stands what is exact for one theta; `gaussian_law` has expectations over trainings, `gaussian_simulation` draws
trainings row by row.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import special

from backend.analysis.table import Floats

Norm = Literal["linf", "l2"]
Measure = Literal["auc", "advantage", "tpr_1", "tpr_01"]

#: False positive rates at which true positive rates are given.
RATES: dict[str, float] = {"tpr_1": 0.01, "tpr_01": 0.001}


@dataclass(frozen=True)
class Task:
    """One mixture and how it is learned. Raises `ValueError` for sizes that mean nothing.

    >>> Task(n=100, d=50, sigma=1.0, epsilon=0.1, mean=0.2).margin_gap_of_the_mean
    0.5
    """

    n: int
    d: int
    sigma: float
    epsilon: float
    mean: float
    informative: int | None = None
    norm: Norm = "linf"

    def __post_init__(self) -> None:
        if self.n < 2 or self.d < 1 or not 0 <= self.signals <= self.d or self.sigma <= 0 or self.epsilon < 0:
            raise ValueError(f"expected n >= 2, d >= 1, 0 <= informative <= d, sigma > 0, epsilon >= 0, got {self}")

    @property
    def signals(self) -> int:
        """How many coordinates of mu are not zero."""
        return self.d if self.informative is None else self.informative

    @property
    def mu(self) -> Floats:
        """The mean of class +1, `[d]`."""
        return np.where(np.arange(self.d) < self.signals, self.mean, 0.0)

    @property
    def separation(self) -> float:
        """Euclidean norm of mu."""
        return abs(self.mean) * math.sqrt(self.signals)

    @property
    def margin_gap_of_the_mean(self) -> float:
        """Expected margin of a member less that of a non-member for the mean of y x [9]: d sigma^2 / n."""
        return self.d * self.sigma**2 / self.n


# --- estimators -------------------------------------------------------------------------------------------------------


def estimate(mean: Floats, epsilon: float | Floats, norm: Norm) -> Floats:
    """The robust estimator [3, 4] from the mean of y x, `[..., d]`; with epsilon 0 the mean itself.

    `epsilon` is one number or an array that broadcasts against `mean[..., 0]`.

    >>> estimate(np.array([0.5, -0.25, 0.125]), 0.25, "linf").tolist()
    [0.25, -0.0, 0.0]
    >>> estimate(np.array([3.0, 4.0]), 2.5, "l2").tolist()
    [1.5, 2.0]
    """
    size = np.asarray(epsilon, dtype=mean.dtype)[..., None]
    if norm == "linf":
        return np.asarray(np.sign(mean) * np.maximum(np.abs(mean) - size, 0))
    length = np.linalg.norm(mean, axis=-1, keepdims=True)
    factor = np.where(length > size, 1 - size / np.where(length > 0, length, 1), 0)
    return np.asarray(factor * mean)


def dual(theta: Floats, norm: Norm) -> Floats:
    """What a perturbation of size one takes from the margin: the l1 norm against linf, the l2 norm against l2."""
    return np.asarray(np.abs(theta).sum(axis=-1) if norm == "linf" else np.linalg.norm(theta, axis=-1))


@dataclass(frozen=True)
class Given:
    """What holds exactly once theta is known; all arrays are `[...]`, the shape of theta without its coordinates.

    `shift` is the mean margin of members less that of non-members in standard deviations of the latter [8].
    """

    gap: Floats
    shift: Floats
    accuracy: Floats
    robust_accuracy: Floats


def given(theta: Floats, shrink: float | Floats, task: Task) -> Given:
    """Exact for an estimator `theta` `[..., d]` that was shrunk by `shrink` [5, 6, 8]; the attacks follow from `shift`.

    A theta of zero classifies by a coin: accuracies are one half and nothing leaks [14].
    """
    length = np.linalg.norm(theta, axis=-1)
    toward = theta @ task.mu
    gap = length**2 + shrink * dual(theta, task.norm) - toward
    scale = task.sigma * np.where(length > 0, length, 1)
    accuracy = special.ndtr(toward / scale)
    robust = special.ndtr((toward - task.epsilon * dual(theta, task.norm)) / scale)
    return Given(np.where(length > 0, gap, 0.0), np.where(length > 0, gap / scale, 0.0), accuracy, robust)


# --- the attack, given the shift --------------------------------------------------------------------------------------


def auc(shift: Floats, n: int | Floats) -> Floats:
    """Chance that a member's margin exceeds a non-member's [11].

    >>> round(float(auc(np.array(1.0), 10)), 4)
    0.7659
    """
    return np.asarray(special.ndtr(shift / np.sqrt(2 - 1 / np.asarray(n, dtype=np.float64))))


def tpr(shift: Floats, n: int | Floats, rate: float) -> Floats:
    """Share of members found where a share `rate` of non-members is accused [12].

    >>> round(float(tpr(np.array(1.0), 10, 0.01)), 4)
    0.081
    """
    share = 1 - 1 / np.asarray(n, dtype=np.float64)
    return np.asarray(special.ndtr((shift + special.ndtri(rate)) / np.sqrt(share)))


def best_threshold(shift: Floats, n: int | Floats) -> Floats:
    """Where "member if the margin is at least this" has the largest advantage [13].

    In standard deviations above the mean margin of non-members.
    """
    share = 1 - 1 / np.asarray(n, dtype=np.float64)
    log = share * np.log(share)
    root = np.sqrt(share * shift**2 - (1 - share) * log)
    # Two forms of the same root; each is taken where it does not cancel.
    with np.errstate(divide="ignore", invalid="ignore"):
        rising, falling = (shift**2 + log) / (shift + root), (shift - root) / (1 - share)
    return np.asarray(np.where(shift >= 0, rising, falling))


def advantage(shift: Floats, n: int | Floats) -> Floats:
    """Largest true less false positive rate of a threshold on the margin [13].

    >>> round(float(advantage(np.array(1.0), 10**6)), 4)
    0.3829
    """
    share = 1 - 1 / np.asarray(n, dtype=np.float64)
    at = best_threshold(shift, n)
    return np.asarray(special.ndtr((shift - at) / np.sqrt(share)) - special.ndtr(-at))


def halfway(shift: Floats, n: Floats) -> Floats:
    """Advantage of the threshold halfway between both mean margins."""
    return np.asarray(special.ndtr(shift / 2 / np.sqrt(1 - 1 / n)) + special.ndtr(shift / 2) - 1)


def measured(measure: Measure, shift: Floats, n: int | Floats) -> Floats:
    """One of the measures of leakage."""
    if measure == "auc":
        return auc(shift, n)
    return advantage(shift, n) if measure == "advantage" else tpr(shift, n, RATES[measure])


#: What each measure is where theta is zero and every margin the same [14].
GUESSING: dict[Measure, float] = {"auc": 0.5, "advantage": 0.0, "tpr_1": 0.01, "tpr_01": 0.001}
