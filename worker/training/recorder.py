"""The history of one run: what is drawn along its epochs."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from backend.contracts.results import Series
from worker.plugins import State
from worker.training.clipping import Gradients, Sample, figures, times
from worker.training.engine import Array, Work
from worker.training.losses import per_record_numpy, predicted_class

#: Sums over the records that an epoch's batches drew: their losses, how many there were, how many gradients were longer
#: than the method lets one be, and the factors by which gradients were scaled.
LOSS, RECORDS, CLIPPED, KEPT = range(4)


class Recorder:
    """One point of each series at the end of each epoch.

    Training loss, share clipped, gradient kept and what `clipping` finds of a sample's gradients are computed on
    private data and are not part of what epsilon covers: diagnostics for the owner of the data.
    """

    def __init__(self, work: Work) -> None:
        self.work = work
        looked_at = work.sample is not None and work.budget is not None
        epochs = work.schedule.steps // work.schedule.steps_per_epoch
        self._times = frozenset(times(epochs)) if looked_at else frozenset()
        #: Unit, epochs and values of each series; JSON, so that a checkpoint can keep it.
        self.points: dict[str, list[Any]] = {}

    def state(self, epoch: int, state: State) -> None:
        """What the method records of its state, such as the threshold."""
        for name, value in self.work.method.history(state).items():
            unit = "gradient norm" if name.endswith("threshold") else ""
            groups = self.work.groups
            if np.ndim(value) == 0 or groups is None:
                self._add(name, unit, epoch, float(value))
            else:
                for label, number in zip(groups.labels, value, strict=True):
                    self._add(f"{name}[{groups.attribute}={label}]", unit, epoch, float(number))

    def gradients(self, epoch: int, state: State, gradients_of: Callable[[Sample], Gradients]) -> None:
        """What clipping does to a sample's gradients at the weights and the state after that epoch, where it is time.

        `gradients_of` answers the gradients of a sample's rows at those weights.
        """
        work, sample = self.work, self.work.sample
        if epoch in self._times and sample is not None:
            codes = None if work.groups is None else work.groups.codes[sample.rows]
            found = figures(gradients_of(sample), sample, work.method, work.method_params, state, codes)
            for name, unit, value in found:
                self._add(name, unit, epoch, value)

    def epoch(self, epoch: int, totals: Sequence[float] | Array, validation_logits: Array) -> None:
        """Closes an epoch. `totals` holds its sums `[4]`; the logits are `[validation rows, outputs]`."""
        loss, records, clipped, kept = (float(total) for total in totals)
        each = max(1.0, records)
        target, task = self.work.validation.target, self.work.task
        unit = "" if task == "regression" else "nats"
        self._add("train_loss", unit, epoch, loss / each if records else math.nan)
        if self.work.method.private:
            self._add("share_clipped", "share of records", epoch, clipped / each)
            self._add("gradient_kept", "share of gradient", epoch, kept / each)
        if len(target):
            self._add("validation_loss", unit, epoch, float(per_record_numpy(validation_logits, target, task).mean()))
            if task != "regression":
                right = float(np.mean(predicted_class(validation_logits) == target))
                self._add("validation_accuracy", "share of rows", epoch, right)

    def _add(self, name: str, unit: str, epoch: int, value: float) -> None:
        _, steps, values = self.points.setdefault(name, [unit, [], []])
        steps.append(float(epoch))
        values.append(value if math.isfinite(value) else None)

    def series(self) -> list[Series]:
        """All series so far."""
        return [Series(name=n, unit=u, steps=s, values=v) for n, (u, s, v) in self.points.items()]
