"""What runs must have in common to be trained as one stack, where their weights lie, and how much memory they take."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from typing import Any, Literal

import numpy as np
import torch

from worker.datasets._table import Task
from worker.plugins import GROUP, State
from worker.training.checkpoints import Snapshot
from worker.training.engine import Lookout, Work
from worker.training.fleet.architecture import Activation, architecture_of
from worker.training.initial import build
from worker.training.recorder import Recorder

Floats = np.ndarray[Any, np.dtype[np.float32]]
Update = Literal["sgd", "momentum", "adam", "adamw"]

#: Matrices begin at multiples of this many numbers, 64 bytes: products round differently where they do not.
ALIGNED = 16
#: Batches have room for a multiple of this many records, so that vector loops over a stack leave nothing over.
BLOCK = 32


def padded(count: int, block: int = ALIGNED) -> int:
    """The multiple of `block` that is not below `count`.

    >>> padded(105), padded(112), padded(1, 32)
    (112, 112, 32)
    """
    return -(-count // block) * block


@dataclass(frozen=True)
class Layer:
    """One linear layer as a matrix `[inputs + 1, outputs]` whose last row is the bias.

    `start` is its place among a run's weights; `first` its place among the normals drawn for a step, which are in the
    same order: inputs x outputs, then the biases.
    """

    inputs: int
    outputs: int
    start: int
    first: int

    @property
    def count(self) -> int:
        """Numbers of the matrix."""
        return (self.inputs + 1) * self.outputs

    def of(self, flat: torch.Tensor) -> torch.Tensor:
        """`[runs, inputs + 1, outputs]`, a view of `flat` `[runs, size]`."""
        return flat[:, self.start : self.start + self.count].view(-1, self.inputs + 1, self.outputs)


@dataclass(frozen=True)
class Plan:
    """What all runs of a stack share. `capacity` is the room for the records of a batch: it follows from the run
    alone, so that a run's numbers do not depend on who else is in its stack."""

    widths: tuple[int, ...]
    activation: Activation
    task: Task
    update: Update
    steps: int
    steps_per_epoch: int
    capacity: int
    secure: bool

    @classmethod
    def of(cls, work: Work) -> Plan:
        """The plan of a run that the engine does not refuse."""
        found = architecture_of(work)
        assert not isinstance(found, str)
        training = work.training
        kind: Update = training.optimizer
        if kind == "sgd" and training.momentum > 0:
            kind = "momentum"
        schedule = work.schedule
        return cls(
            found.widths, found.activation, work.task, kind, schedule.steps, schedule.steps_per_epoch,
            capacity(work), work.streams.secure,
        )  # fmt: skip

    @cached_property
    def layers(self) -> tuple[Layer, ...]:
        """First to last."""
        layers: list[Layer] = []
        start = first = 0
        for inputs, outputs in pairwise(self.widths):
            layers.append(Layer(inputs, outputs, start, first))
            start, first = padded(start + layers[-1].count), first + layers[-1].count
        return tuple(layers)

    @cached_property
    def size(self) -> int:
        """Numbers that one run's weights take, with the gaps between layers, which are zero."""
        return padded(self.layers[-1].start + self.layers[-1].count, 64)

    @property
    def logical(self) -> int:
        """Weights and biases."""
        return self.layers[-1].first + self.layers[-1].count

    @property
    def moments(self) -> tuple[str, ...]:
        """What the optimizer remembers beside the weights."""
        return {"sgd": (), "momentum": ("first",)}.get(self.update, ("first", "second"))

    def bytes_per_run(self, *, sums: int, on_gpu: bool) -> int:
        """Weights, sums, noise, moments and their next values; one batch with activations and errors; indices drawn
        ahead; a statistic of several `sums`, see `sums_of`, and what it is made of. On a GPU also the copies on which
        its programs are tried, and the words of normals."""
        flat = self.size * (3 + 2 * len(self.moments)) * (3 if on_gpu else 1) + 12 * self.logical * on_gpu
        hidden = self.widths[1:-1]
        per_record = padded(self.widths[0] + 1) + sum(padded(h + 1) + h * (2 if self.activation == "gelu" else 1)
                                                      for h in hidden)  # fmt: skip
        per_record += 4 * self.widths[-1] + 16
        if 1 in self.widths[1:]:
            per_record += max(self.widths) + 1
        predicted = 512 * (self.widths[0] + 2 * max(self.widths[1:]))
        # A matrix of a record's part in each sum, float32, with what it is made of and a copy without padding.
        statistic = 24 * sums * self.capacity if sums > 1 else 0
        return 4 * (flat + self.capacity * per_record + predicted) + 256 * self.capacity + statistic

    def bytes_of(self, rows: int) -> int:
        """Training rows on the device: features with their 1 for the bias, target and squared norm."""
        return rows * (4 * padded(self.widths[0] + 1) + 12)


def capacity(work: Work) -> int:
    """Room for a batch six standard deviations larger than expected; never for more than all rows."""
    expected = work.expected_batch
    return padded(min(int(expected + 6 * math.sqrt(expected)) + 8, max(1, len(work.train))), BLOCK)


def sums_of(work: Work) -> int:
    """How many noisy sums the run's method asks for each step: 0 where it has no statistic, 1 for a mean."""
    if work.budget is None or work.budget.statistic_std is None:
        return 0
    nobody = np.zeros(0, np.float32)
    shown = {**work.start(), GROUP: np.zeros(0, np.int64)} if work.groups is not None else work.start()
    statistic = work.method.statistic(nobody, shown, work.method_params)
    return int(statistic.shape[1]) if statistic is not None and statistic.ndim == 2 else 1


@dataclass(eq=False)
class Course:
    """One run on its way, as it lies in the processor's memory between stacks and in checkpoints.

    `state` holds numbers, and arrays `[groups]` where the method tells groups of records apart. `epochs` counts those
    that the recorder has closed; `broken` is the step whose loss was no longer a number, -1 while it is.
    """

    work: Work
    plan: Plan
    recorder: Recorder
    arrays: dict[str, Floats]
    state: State
    totals: np.ndarray[Any, np.dtype[np.float64]] = field(default_factory=lambda: np.zeros(4))
    step: int = 0
    epochs: int = 0
    broken: int = -1
    seconds: float = 0.0
    lookout: Lookout | None = None

    @classmethod
    def begin(cls, work: Work, plan: Plan) -> Course:
        """Before the first step."""
        arrays = {name: np.zeros(plan.size, np.float32) for name in ("weights", *plan.moments)}
        parameters = [p.detach().numpy() for p in build(work).parameters()]
        for number, layer in enumerate(plan.layers):
            matrix = arrays["weights"][layer.start : layer.start + layer.count].reshape(-1, layer.outputs)
            matrix[:-1], matrix[-1] = parameters[2 * number].T, parameters[2 * number + 1]
        state = {name: plain(value) for name, value in work.start().items()}
        course = cls(work, plan, Recorder(work), arrays, state)
        course.recorder.state(0, course.state)
        return course

    def resume(self, kept: Snapshot) -> None:
        """Go on from a checkpoint."""
        for name, mine in self.arrays.items():
            mine[:] = kept.arrays[name]
        self.state = {name: plain(value) for name, value in kept.facts["state"].items()}
        self.totals[:] = kept.facts["totals"]
        self.recorder.points = kept.facts["history"]
        self.step, self.seconds = kept.step, kept.seconds
        self.epochs = kept.step // self.plan.steps_per_epoch

    def snapshot(self) -> Snapshot:
        """For a checkpoint."""
        facts: Mapping[str, Any] = {
            "state": {name: np.asarray(value).tolist() for name, value in self.state.items()},
            "totals": self.totals.tolist(),
            "history": self.recorder.points,
        }
        return Snapshot(self.step, self.seconds, self.arrays, facts)


def plain(value: Any) -> Any:
    """A number as a float, several as a float64 array: a method's state as it is kept between stacks."""
    array = np.array(value, np.float64)
    return array if array.ndim else float(array)
