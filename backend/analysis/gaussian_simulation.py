"""Trainings on the Gaussian task, drawn row by row, that closed forms are held against."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass

import numpy as np
from scipy import special

from backend.analysis.gaussian_task import RATES, Task, best_threshold, dual, estimate, given
from backend.analysis.intervals import t_factor
from backend.analysis.table import Floats

#: What is measured of every training, in this order.
OBSERVED = ("auc", "advantage", "tpr_1", "tpr_01", "accuracy", "robust_accuracy", "gap")


@dataclass(frozen=True)
class Simulated:
    """Means over trainings with 95 % intervals, `[estimators]` for each of `OBSERVED`, and single trainings.

    `values[name]` is `[trainings, estimators]`.
    """

    trainings: int
    fresh: int
    values: dict[str, Floats]
    mean: dict[str, Floats]
    low: dict[str, Floats]
    high: dict[str, Floats]


def generator(*parts: object) -> np.random.Generator:
    """Draws that belong to these parts and to nothing else."""
    return np.random.Generator(np.random.SFC64(int.from_bytes(hashlib.sha256(repr(parts).encode()).digest()[:16])))


def simulate(task: Task, shrinks: Floats, attacks: Floats, *, trainings: int, fresh: int, seed: int = 0) -> Simulated:
    """Draws training sets and `fresh` non-members row by row, trains every estimator on the same rows, attacks it.

    `shrinks` and `attacks` `[estimators]`: size that an estimator was trained against, size of perturbations at test.
    The standard normal draws depend on the seed and on how many there are, so that what differs between two settings
    is the setting. Thresholds of the attack are those of the closed form given theta: shares at a fixed threshold have
    no bias, the largest over thresholds would.
    """
    random = generator("gaussian", seed, task.n, task.d, trainings, fresh)
    count = task.n + fresh
    values = {name: np.empty((trainings, len(shrinks))) for name in OBSERVED}
    block = max(1, _BLOCK // (count * task.d))
    for start in range(0, trainings, block):
        rows = random.standard_normal((min(block, trainings - start), count, task.d), dtype=np.float32)
        # A row times its label: the label turns x around, so that class +1 stands for both [1].
        rows *= np.float32(task.sigma)
        rows += task.mu.astype(np.float32)
        # einsum, not matmul: for products of this size starting threads takes longer than multiplying.
        mean = np.einsum("tnd->td", rows[:, : task.n], dtype=np.float64) / task.n
        theta = estimate(mean[:, None, :], shrinks, task.norm)
        margins = np.einsum("ted,tnd->ten", theta.astype(np.float32), rows).astype(np.float64)
        found = _observe(theta, margins, shrinks, attacks, task)
        for name, value in found.items():
            values[name][start : start + len(rows)] = value
    return _intervals(values, task.n, fresh)


#: Numbers drawn at once: what fits a processor's cache works fastest.
_BLOCK = 400_000


def _observe(theta: Floats, margins: Floats, shrinks: Floats, attacks: Floats, task: Task) -> dict[str, Floats]:
    """`theta` `[trainings, estimators, d]`, `margins` `[trainings, estimators, rows]`, members first."""
    members, others = margins[..., : task.n], margins[..., task.n :]
    exact = given(theta, shrinks, task)
    length = np.linalg.norm(theta, axis=-1)
    zero = length == 0
    scale = (task.sigma * length)[..., None]
    level = (theta @ task.mu)[..., None]

    def above(threshold: Floats, side: Floats, guess: float) -> Floats:
        return np.asarray(np.where(zero, guess, (side >= level + threshold[..., None] * scale).mean(axis=-1)))

    best = best_threshold(exact.shift, task.n)
    cost = (attacks * dual(theta, task.norm))[..., None]
    found = {
        "auc": np.where(zero, 0.5, _ranked(members, others)),
        "advantage": above(best, members, 0.0) - above(best, others, 0.0),
        "accuracy": np.where(zero, 0.5, (others > 0).mean(axis=-1)),
        "robust_accuracy": np.where(zero, 0.5, (others - cost > 0).mean(axis=-1)),
        "gap": members.mean(axis=-1) - others.mean(axis=-1),
    }
    for name, rate in RATES.items():
        found[name] = above(np.full(zero.shape, -special.ndtri(rate)), members, rate)
    return found


def _ranked(members: Floats, others: Floats) -> Floats:
    """Share of pairs in which the member's value is larger, over the last axis: the rank sum of Mann and Whitney."""
    n, m = members.shape[-1], others.shape[-1]
    both = np.concatenate([members, others], axis=-1)
    ranks = np.argsort(np.argsort(both, axis=-1), axis=-1)[..., :n] + 1
    return np.asarray((ranks.sum(axis=-1) - n * (n + 1) / 2) / (n * m))


def _intervals(values: dict[str, Floats], n: int, fresh: int) -> Simulated:
    """Student t over trainings; shares never narrower than Wilson's interval of all their rows together.

    The second keeps an interval honest where few or none were found.
    """
    trainings = len(values["gap"])
    factor = float(t_factor(np.array([trainings]))[0])
    normal = float(special.ndtri(0.975))
    mean, low, high = {}, {}, {}
    for name, value in values.items():
        centre = value.mean(axis=0)
        half = factor * value.std(axis=0, ddof=1) / math.sqrt(trainings)
        ends = centre - half, centre + half
        rows = trainings * (n if name in RATES else fresh)
        if name in (*RATES, "accuracy", "robust_accuracy"):
            middle = (centre + normal**2 / (2 * rows)) / (1 + normal**2 / rows)
            reach = normal / (1 + normal**2 / rows)
            reach = reach * np.sqrt(centre * (1 - centre) / rows + normal**2 / (4 * rows**2))
            ends = np.minimum(ends[0], middle - reach), np.maximum(ends[1], middle + reach)
        least, most = _LIMITS.get(name, (0.0, 1.0))
        mean[name], low[name], high[name] = centre, np.maximum(ends[0], least), np.minimum(ends[1], most)
    return Simulated(trainings, fresh, values, mean, low, high)


#: Where a mean can be, if not between 0 and 1.
_LIMITS = {"gap": (-math.inf, math.inf), "advantage": (-1.0, 1.0)}
