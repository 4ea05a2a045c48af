"""The history of one run: what is drawn along its epochs."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from backend.contracts.results import ALL, Series
from worker.plugins import State
from worker.training.clipping import SERIES, Gradients, Look, Sample, figures, look, times
from worker.training.engine import Array, Work
from worker.training.losses import per_record_numpy, predicted_class

#: Sums over the records that an epoch's batches drew: their losses, how many there were, how many gradients were longer
#: than the method lets one be, and the factors by which gradients were scaled.
LOSS, RECORDS, CLIPPED, KEPT = range(4)
#: The series that says how long a scaled gradient can be, one point for each look at the gradients.
LIMIT = "gradient_limit"


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
        self._points: dict[str, list[Any]] = {}
        #: Epochs and looks of which no figures are made yet.
        self._looks: list[tuple[int, Look]] = []

    @property
    def points(self) -> dict[str, list[Any]]:
        """Unit, epochs, values, and values of subgroups, of each series; JSON, so that a checkpoint can keep it."""
        looks, self._looks = self._looks, []
        if looks and self.work.sample is not None and self.work.sample.names:
            epochs = [float(epoch) for epoch, _ in looks]
            found = figures([seen for _, seen in looks], self.work.sample)
            for (name, _), of_groups in zip(SERIES, found.transpose(2, 1, 0).tolist(), strict=True):
                self._points[name][1].extend(epochs)
                for group, values in zip(self.work.sample.names, of_groups, strict=True):
                    known = self._points[name][2] if group == ALL else self._points[name][3].setdefault(group, [])
                    known.extend(value if math.isfinite(value) else None for value in values)
        return self._points

    @points.setter
    def points(self, kept: dict[str, list[Any]]) -> None:
        self._points, self._looks = kept, []

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

    def due(self, epoch: int) -> Sample | None:
        """The rows through which to look at the gradients after that epoch; None where it is not time."""
        seen = self._points[LIMIT][1] if LIMIT in self._points else []
        return self.work.sample if epoch in self._times and epoch not in seen else None

    def looked(self, epoch: int, seen: Look) -> None:
        """What clipping does to the sample's gradients at the weights and the state after that epoch."""
        assert self.work.sample is not None
        if LIMIT not in self._points:
            # Now, so that the order of series does not depend on when their figures are made.
            every = (LIMIT, "gradient norm"), *(SERIES if self.work.sample.names else ())
            self._points |= {name: [unit, [], [], {}] for name, unit in every}
        self._add(LIMIT, "gradient norm", epoch, seen.limit)
        self._looks.append((epoch, seen))

    def gradients(self, epoch: int, state: State, gradients_of: Callable[[Sample], Gradients]) -> None:
        """Looks, where it is time; `gradients_of` answers the gradients of a sample's rows at the weights then."""
        sample = self.due(epoch)
        if sample is not None:
            (seen,) = look(gradients_of(sample), sample, [self.work], [state])
            self.looked(epoch, seen)

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
        _, steps, values, _ = self._points.setdefault(name, [unit, [], [], {}])
        steps.append(float(epoch))
        values.append(value if math.isfinite(value) else None)

    def series(self) -> list[Series]:
        """All series so far."""
        return [Series(name=n, unit=u, steps=s, values=v, groups=g) for n, (u, s, v, g) in self.points.items()]
