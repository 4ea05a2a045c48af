"""What an engine is: it trains runs. Which engine takes which run.

An engine receives whole runs (`Work`) and yields what came of each (`Trained`), in any order and any number at a time:
the Opacus engine trains one after the other, a fleet engine may train hundreds as one program. `choose` asks the
engines in order of preference, so a faster one is added in front of the list and the general one stays behind it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from backend.contracts.results import Series
from backend.contracts.training import Training
from backend.errors import JobFailed
from worker.datasets._table import Encoded, Integers, Table, Task
from worker.plugins import Method, Model, Params
from worker.privacy.accounting import Budget, Schedule
from worker.training.streams import Streams

Array = np.ndarray[Any, Any]

#: Called with the epoch just finished (from 1) and the number of epochs. What it raises ends the training.
OnEpoch = Callable[[int, int], None]


@dataclass(frozen=True)
class Examples:
    """Some rows, encoded: features in both forms of `Encoded`, and the target `[rows]`."""

    rows: Integers
    features: Array
    numeric: Array
    active: Array
    target: Array

    @classmethod
    def of(cls, table: Table, encoded: Encoded, rows: Integers) -> Examples:
        """These rows of the table."""
        return cls(rows, encoded.dense[rows], encoded.numeric[rows], encoded.active[rows], table.target[rows])

    def __len__(self) -> int:
        return len(self.target)


@dataclass(frozen=True)
class Work:
    """One run as an engine needs it: nothing in it knows of jobs or databases."""

    key: str
    streams: Streams
    task: Task
    inputs: int
    outputs: int
    model: Model[Any]
    model_params: Params
    method: Method[Any]
    method_params: Params
    training: Training
    schedule: Schedule
    budget: Budget | None
    train: Examples
    validation: Examples

    @property
    def expected_batch(self) -> float:
        """Expected rows of a batch: what every summed gradient is divided by."""
        return self.schedule.sampling_rate * len(self.train)


@dataclass
class Trained:
    """What came of one run. `logits(examples)` answers `[rows, outputs]` float32."""

    key: str
    engine: str
    logits: Callable[[Examples], Array]
    seconds: float
    history: list[Series] = field(default_factory=list)
    diverged: str | None = None


def diverged(what: str, epoch: int, step: int) -> str:
    """What is said of a run whose loss or weights are no longer numbers."""
    return (
        f"The {what} became infinite or undefined in epoch {epoch} (step {step + 1}). "
        "Lower the learning rate; in private training also the clipping threshold."
    )


class Engine(Protocol):
    """Trains runs."""

    name: str

    def refuses(self, work: Work) -> str | None:
        """Why this engine cannot train that run, or None where it can."""

    def train(self, works: Sequence[Work], on_epoch: OnEpoch | None = None) -> Iterator[Trained]:
        """Train all, yielding each as it is done. A diverging run is a result, not an exception."""


def choose(work: Work, engines: Iterable[Engine]) -> Engine:
    """The first engine that takes the run. Raises `JobFailed` with every engine's reason."""
    reasons = []
    for engine in engines:
        reason = engine.refuses(work)
        if reason is None:
            return engine
        reasons.append(f"{engine.name}: {reason}")
    raise JobFailed(f"No engine can train this run ({'; '.join(reasons)}).", fix="Choose another model.")
