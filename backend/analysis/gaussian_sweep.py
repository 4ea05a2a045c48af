"""The Gaussian task along n and along epsilon: expectations of both estimators beside simulated trainings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from backend.analysis.gaussian_law import Law, law
from backend.analysis.gaussian_simulation import OBSERVED, Simulated, simulate
from backend.analysis.gaussian_task import GUESSING, Task
from backend.analysis.table import Floats

#: Places along n that are drawn, and those of them at which trainings are simulated.
ROWS = (2, 3, 4, 5, 6, 8, 10, 12, 15, 20, 25, 30, 40, 50, 65, 80, 100, 125, 160, 200, 250, 320, 400, 500, 650, 800,
        1000, 1400, 2000, 2800, 4000, 5000, 7000, 10_000)  # fmt: skip
SIMULATED_ROWS = (2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000)
#: Steps along epsilon; trainings are simulated at every fourth.
STEPS, EVERY = 40, 4
#: Normal draws for one place along n, and for the asked setting with all of its epsilons.
DRAWS, MORE_DRAWS = 400_000, 2_000_000
#: With fewer trainings an interval says little; more are not needed.
FEWEST, MOST = 8, 400


@dataclass(frozen=True)
class Sweep:
    """Both estimators along one axis: `expected[quantity]` and `error[quantity]` are `[estimators, places]`.

    `simulated` holds for some places what their trainings gave; columns of a `Simulated` are the estimators.
    """

    x: Floats
    expected: Mapping[str, Floats]
    error: Mapping[str, Floats]
    simulated: Mapping[float, Simulated]


@dataclass(frozen=True)
class Answer:
    """All that is shown of a task."""

    task: Task
    rows: Sweep
    epsilon: Sweep
    zero: float


def sweeps(task: Task, seed: int = 0) -> Answer:
    """Expectations and trainings along n and along epsilon, the task's own n and epsilon among the places."""
    rows = np.array(sorted({*ROWS, task.n}), dtype=np.float64)
    epsilons = np.array(sorted({*_steps(task), task.epsilon}))
    own = _trainings(task, seed)
    along_rows = {
        float(n): found for n in SIMULATED_ROWS if n != task.n and (found := _at(replace(task, n=n), seed)) is not None
    }
    if task.epsilon in own:
        along_rows[float(task.n)] = own[task.epsilon]
    zero = np.zeros(len(rows))
    across = _expected(law(rows, zero, task.epsilon, task), law(rows, zero + task.epsilon, task.epsilon, task))
    here = np.full(len(epsilons), float(task.n))
    along = _expected(law(here, 0.0, epsilons, task), law(here, epsilons, epsilons, task))
    gone = law(task.n, task.epsilon, task.epsilon, task).zero if task.epsilon else np.zeros(1)
    return Answer(task, Sweep(rows, *across, along_rows), Sweep(epsilons, *along, own), float(gone[0]))


def top(task: Task) -> float:
    """Where the axis of epsilon ends: beyond twice the separation, and beyond the asked epsilon.

    >>> top(Task(n=50, d=100, sigma=1.0, epsilon=0.1, mean=0.2))
    0.4
    """
    own = abs(task.mean) if task.norm == "linf" else task.separation
    noise = task.sigma / task.n**0.5 * (1.0 if task.norm == "linf" else task.d**0.5)
    return max(2 * own if own else 3 * noise, 1.25 * task.epsilon)


def _steps(task: Task) -> list[float]:
    """Places along epsilon; one that rounding alone tells from the asked epsilon is the asked one."""
    steps = np.linspace(0, top(task), STEPS + 1)
    return [task.epsilon if abs(step - task.epsilon) < 1e-9 * steps[-1] else float(step) for step in steps]


def _expected(standard: Law, robust: Law) -> tuple[dict[str, Floats], dict[str, Floats]]:
    values: dict[str, Floats] = {}
    errors: dict[str, Floats] = {}
    pair = (standard, robust)
    for measure in GUESSING:
        both = [one.leak(measure) for one in pair]
        values[measure], errors[measure] = (np.array([one[i] for one in both]) for i in (0, 1))
    accuracies = [one.accuracies() for one in pair]
    for i, name in enumerate(("accuracy", "robust_accuracy")):
        values[name], errors[name] = np.array([one[i] for one in accuracies]), np.array([one[2] for one in accuracies])
    values["gap"] = np.array([one.gap for one in pair])
    errors["gap"] = np.zeros_like(values["gap"])
    return values, errors


def _count(task: Task, draws: int) -> tuple[int, int]:
    """Trainings that so many draws allow, and non-members of each."""
    fresh = max(30, task.n)
    return min(MOST, draws // ((task.n + fresh) * task.d)), fresh


def _at(task: Task, seed: int) -> Simulated | None:
    trainings, fresh = _count(task, DRAWS)
    if trainings < FEWEST:
        return None
    sizes = np.array([0.0, task.epsilon])
    return simulate(task, sizes, sizes[[1, 1]], trainings=trainings, fresh=fresh, seed=seed)


def _trainings(task: Task, seed: int) -> dict[float, Simulated]:
    """Of the task's own n: all epsilons on the same rows, the mean attacked with each of them."""
    trainings, fresh = _count(task, MORE_DRAWS)
    if trainings < FEWEST:
        return {}
    chosen = np.array(sorted({*_steps(task)[::EVERY], task.epsilon}))
    shrinks = np.concatenate([np.zeros(len(chosen)), chosen])
    found = simulate(task, shrinks, np.tile(chosen, 2), trainings=trainings, fresh=fresh, seed=seed)
    return {float(e): _columns(found, [i, i + len(chosen)]) for i, e in enumerate(chosen)}


def _columns(found: Simulated, columns: Sequence[int]) -> Simulated:
    kept = [{name: part[name][..., columns] for name in OBSERVED} for part in (found.values, found.mean)]
    ends = [{name: part[name][columns] for name in OBSERVED} for part in (found.low, found.high)]
    return Simulated(found.trainings, found.fresh, kept[0], kept[1], ends[0], ends[1])
