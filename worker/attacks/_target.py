"""What an attack sees of trained models."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from worker.datasets._table import Task
from worker.metrics._predictions import Flags, Floats, Groups


@dataclass(frozen=True)
class Target:
    """Models and the candidate rows: those they were trained on (`members`) and others of the same population.

    `logits` is `[..., candidates, outputs]` and `losses` `[..., candidates]`, the leading axes numbering the runs;
    there may be none. `target` and `members` are `[candidates]`, `groups` the subgroups of the candidates. An attack
    must not use `members` to make its scores, and the scores of a run must not depend on the other runs.
    """

    logits: np.ndarray[Any, Any]
    target: np.ndarray[Any, Any]
    losses: Floats
    members: Flags
    groups: Groups
    task: Task
