"""What a metric sees: the outputs of trained models on one split, and the subgroups of its rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from scipy import special

from backend.contracts.results import Split
from worker.datasets._table import Integers, Task
from worker.metrics._figures import Figure
from worker.metrics._groups import Array, Flags, Floats, Groups
from worker.training.losses import per_record_numpy, predicted_class

__all__ = ["Array", "Figure", "Flags", "Floats", "Groups", "Observed", "Predictions", "RunFigures"]


@dataclass(frozen=True)
class RunFigures:
    """What runs spent, each `[...]` of the leading axes; NaN where a run has no such figure."""

    wall_seconds: Any
    steps: Any
    epsilon: Any = np.nan
    delta: Any = np.nan
    noise_multiplier: Any = np.nan
    epsilon_rdp: Any = np.nan
    epsilon_prv: Any = np.nan
    epsilon_pld: Any = np.nan
    sigma_rdp: Any = np.nan
    sigma_prv: Any = np.nan
    sigma_pld: Any = np.nan
    rows_members: Any = np.nan
    rows_others: Any = np.nan
    rows_validation: Any = np.nan
    rows_inference: Any = np.nan

    @classmethod
    def of(cls, runs: Sequence[tuple[float | None, ...]]) -> RunFigures:
        """From one row per run, in the order of the fields, None where there is no such figure."""
        return cls(*np.array(runs, np.float64).T)


@dataclass(frozen=True)
class Predictions:
    """Outputs of models on one split: `logits` is `[..., rows, outputs]`, `target` `[rows]`.

    The leading axes number the runs; there may be none. Whatever is computed of one run must not depend on the others.
    """

    logits: np.ndarray[Any, Any]
    target: np.ndarray[Any, Any]
    task: Task
    split: Split = "test"
    run: RunFigures | None = None

    @property
    def outputs(self) -> int:
        """Outputs of the models: one per class, one for regression."""
        return int(self.logits.shape[-1])

    @cached_property
    def probabilities(self) -> Floats:
        """`[..., rows, classes]`."""
        return np.asarray(special.softmax(self.logits.astype(np.float64), axis=-1))

    @cached_property
    def margin(self) -> Floats:
        """`[..., rows]` log-odds of class 1, for binary tasks: orders rows as its probability does, not rounded."""
        return np.asarray(self.logits[..., 1].astype(np.float64) - self.logits[..., 0])

    @cached_property
    def predicted(self) -> Integers:
        """`[..., rows]` most probable class; the first where several are equal."""
        return predicted_class(self.logits)

    @cached_property
    def losses(self) -> Floats:
        """`[..., rows]` cross-entropy in nats, or squared error."""
        return per_record_numpy(self.logits, self.target, self.task)

    @cached_property
    def correct(self) -> Flags:
        """`[..., rows]` whether the predicted class is the right one."""
        return np.asarray(self.predicted == self.target)


@dataclass(frozen=True)
class Observed:
    """One part of the data: what models predict of it, and its subgroups."""

    predictions: Predictions
    groups: Groups
