"""The learning rate of each step."""

from __future__ import annotations

import math

from backend.contracts.training import Training


def learning_rate(training: Training, step: int, steps: int) -> float:
    """Of step `step` (from 0) of `steps`.

    Warm-up rises linearly and reaches the full rate with its last step; then, with p the share of the remaining steps
    that are done: linear 1 - p; cosine (1 + cos(pi p)) / 2 (Loshchilov and Hutter 2017, without restarts); step 1, a
    tenth from p = 1/2, a hundredth from p = 3/4.

    >>> half = Training(learning_rate=1, schedule="cosine", warmup=0.2)
    >>> [round(learning_rate(half, step, 10), 3) for step in (0, 1, 2, 6, 9)]
    [0.5, 1.0, 1.0, 0.5, 0.038]
    """
    warm = math.floor(training.warmup * steps)
    if step < warm:
        return training.learning_rate * (step + 1) / warm
    done = (step - warm) / max(1, steps - warm)
    return training.learning_rate * _factor(training.schedule, done)


def _factor(schedule: str, done: float) -> float:
    if schedule == "linear":
        return 1 - done
    if schedule == "cosine":
        return (1 + math.cos(math.pi * done)) / 2
    if schedule == "step":
        return 1.0 if done < 0.5 else 0.1 if done < 0.75 else 0.01
    return 1.0
