"""What an attack sees of trained models."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from worker.datasets._table import Task
from worker.metrics._predictions import Flags, Floats, Groups


@dataclass(frozen=True)
class Shadows:
    """Models that an attacker trained as the target was, each on a split of its own of the same table.

    `logits` is `[models, candidates, outputs]`; `members` is `[models, candidates]`, true where that model was trained
    on the row. `left_out` counts those that were asked for and diverged or failed.
    """

    logits: np.ndarray[Any, Any]
    members: Flags
    left_out: int = 0

    def first(self, models: int) -> Shadows:
        """At most so many of them."""
        return Shadows(self.logits[:models], self.members[:models], self.left_out)

    def __len__(self) -> int:
        return len(self.logits)


@dataclass(frozen=True)
class Target:
    """Models and the candidate rows: those they were trained on (`members`) and others of the same population.

    `logits` is `[..., candidates, outputs]` and `losses` `[..., candidates]`, the leading axes numbering the runs;
    there may be none. `target` and `members` are `[candidates]`, `groups` the subgroups of the candidates. An attack
    must not use `members` to make its scores, and the scores of a run must not depend on the other runs.

    `shadows` are there for attacks that declare `references`. `population` holds rows that are no candidates (the
    validation rows, on which no run was trained) as the same runs and the same shadow models see them.
    """

    logits: np.ndarray[Any, Any]
    target: np.ndarray[Any, Any]
    losses: Floats
    members: Flags
    groups: Groups
    task: Task
    shadows: Shadows | None = None
    population: Target | None = None
