"""What an attack sees of one trained model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from worker.datasets._table import Task
from worker.metrics._predictions import Flags, Floats, Groups


@dataclass(frozen=True)
class Target:
    """One model and the candidate rows: those it was trained on (`members`) and others of the same population.

    `logits` is `[candidates, outputs]`, `target` and `losses` `[candidates]`. `groups` are the subgroups of the
    candidates. An attack must not use `members` to make its scores.
    """

    logits: np.ndarray[Any, Any]
    target: np.ndarray[Any, Any]
    losses: Floats
    members: Flags
    groups: Groups
    task: Task
