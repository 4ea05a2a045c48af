"""The history of one run: what is drawn along its epochs."""

from __future__ import annotations

import math

import numpy as np

from backend.contracts.results import Series
from worker.plugins import State
from worker.training.engine import Array, Work
from worker.training.losses import per_record_numpy


class Recorder:
    """Collects sums during an epoch and one point of each series at its end.

    Training loss, share clipped and gradient kept are computed on private data and are not part of what epsilon
    covers: diagnostics for the owner of the data.
    """

    def __init__(self, work: Work) -> None:
        self.work = work
        self.points: dict[str, tuple[str, list[float], list[float | None]]] = {}
        self._clear()

    def _clear(self) -> None:
        self.loss = self.clipped = self.kept = 0.0
        self.records = 0

    def step(self, loss_sum: float, records: int, clipped: float, kept: float) -> None:
        """Sums over the records of one batch: losses, how many were clipped, share of their gradients kept."""
        self.loss += loss_sum
        self.records += records
        self.clipped += clipped
        self.kept += kept

    def state(self, epoch: int, state: State) -> None:
        """What the method records of its state, such as the threshold."""
        for name, value in self.work.method.history(state).items():
            self._add(name, "gradient norm" if name == "threshold" else "", epoch, float(value))

    def epoch(self, epoch: int, validation_logits: Array) -> None:
        """Closes an epoch."""
        each = max(1, self.records)
        target, task = self.work.validation.target, self.work.task
        unit = "" if task == "regression" else "nats"
        self._add("train_loss", unit, epoch, self.loss / each if self.records else math.nan)
        if self.work.method.private:
            self._add("share_clipped", "share of records", epoch, self.clipped / each)
            self._add("gradient_kept", "share of gradient", epoch, self.kept / each)
        if len(target):
            self._add("validation_loss", unit, epoch, float(per_record_numpy(validation_logits, target, task).mean()))
            if task != "regression":
                right = float(np.mean(validation_logits.argmax(axis=1) == target))
                self._add("validation_accuracy", "share of rows", epoch, right)
        self._clear()

    def _add(self, name: str, unit: str, epoch: int, value: float) -> None:
        _, steps, values = self.points.setdefault(name, (unit, [], []))
        steps.append(float(epoch))
        values.append(value if math.isfinite(value) else None)

    def series(self) -> list[Series]:
        """All series so far."""
        return [Series(name=n, unit=u, steps=s, values=v) for n, (u, s, v) in self.points.items()]
