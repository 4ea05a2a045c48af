"""The course of one run's training, the same in every engine that trains run by run.

Steps, epochs, history, divergence, progress and checkpoints are here; an engine brings a `Trainee`, which knows how to
take steps.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
import torch

from worker.plugins import State
from worker.training.checkpoints import Snapshot
from worker.training.clipping import Gradients, Sample
from worker.training.engine import Array, Examples, Trained, Watch, Work, diverged
from worker.training.recorder import LOSS, Recorder


class Trainee(Protocol):
    """One run in the hands of an engine."""

    engine: str
    work: Work
    #: The method's state after the steps taken.
    state: State
    #: Sums over the records of the epoch so far: see `recorder`.
    totals: np.ndarray[Any, np.dtype[np.float64]]

    def advance(self, step: int, stop: int) -> int:
        """Takes steps from `step` on, at least one and none from `stop` on; returns the number of the next.

        Stops early after a step whose loss is not finite.
        """

    def epoch_ended(self, done: int) -> bool:
        """After so many epochs; True where the method ends the training here."""

    def finite(self) -> bool:
        """Whether all weights are numbers."""

    def logits(self, examples: Examples) -> Array:
        """`[rows, outputs]` float32."""

    def trained_module(self) -> torch.nn.Module:
        """The network with its weights as they are, in evaluation mode on the processor."""

    def gradients(self, sample: Sample) -> Gradients:
        """Of these training rows at the weights as they are. Leaves what the next steps read as it was."""

    def arrays(self) -> Mapping[str, Array]:
        """What a checkpoint keeps: weights and the optimizer's memory."""

    def restore(self, arrays: Mapping[str, Array]) -> None:
        """The inverse. Raises `KeyError` or `ValueError` where they are of another network."""


def run(trainee: Trainee, watch: Watch) -> Trained:
    """Trains from the last checkpoint, or from the start, to the end."""
    work = trainee.work
    began = time.perf_counter()
    recorder = Recorder(work)
    step, before = _resume(trainee, recorder, watch)
    if step == 0:
        recorder.state(0, trainee.state)
        recorder.gradients(0, trainee.state, trainee.gradients)
    lookout = watch.follow(work.key)
    per_epoch, steps = work.schedule.steps_per_epoch, work.schedule.steps
    message = None
    ended = False
    while step < steps and message is None and not ended:
        epoch = step // per_epoch + 1
        step = trainee.advance(step, epoch * per_epoch)
        if not math.isfinite(trainee.totals[LOSS]):
            message = diverged("loss", epoch, step - 1)
        elif step % per_epoch == 0:
            if trainee.finite():
                recorder.epoch(epoch, trainee.totals, trainee.logits(work.validation))
                ended = trainee.epoch_ended(epoch)
                recorder.state(epoch, trainee.state)
                recorder.gradients(epoch, trainee.state, trainee.gradients)
                trainee.totals[:] = 0
            else:
                message = diverged("weights", epoch, step - 1)
        if message is None and not ended and lookout.step(step, steps) and step < steps:
            _keep(trainee, recorder, watch, step, before + time.perf_counter() - began)
    seconds = before + time.perf_counter() - began
    answers = trainee.logits, trainee.trained_module
    taken = step if ended else None
    return Trained(work.key, trainee.engine, *answers, seconds, recorder.series(), message, taken)


def _keep(trainee: Trainee, recorder: Recorder, watch: Watch, step: int, seconds: float) -> None:
    assert watch.checkpoints is not None
    facts = {
        "state": {name: np.asarray(value, np.float64).tolist() for name, value in trainee.state.items()},
        "totals": trainee.totals.tolist(),
        "history": recorder.points,
    }
    watch.checkpoints.save(
        trainee.work.key, trainee.engine, Snapshot(step, seconds, trainee.arrays(), facts)
    )  # fmt: skip


def _resume(trainee: Trainee, recorder: Recorder, watch: Watch) -> tuple[int, float]:
    """The step to go on with and the seconds spent before."""
    if watch.checkpoints is None:
        return 0, 0.0
    kept = watch.checkpoints.load(trainee.work.key, trainee.engine)
    if kept is None:
        return 0, 0.0
    trainee.restore(kept.arrays)
    state = kept.facts["state"]
    trainee.state = {name: np.array(value) if isinstance(value, list) else value for name, value in state.items()}
    trainee.totals[:] = kept.facts["totals"]
    recorder.points = kept.facts["history"]
    return kept.step, kept.seconds
