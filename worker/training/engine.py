"""What an engine is: it trains runs. Which engine takes which run.

An engine receives whole runs (`Work`) and yields what came of each (`Trained`), in any order and any number at a time:
the Opacus engine trains one after the other, a fleet engine may train hundreds as one program. `choose` asks the
engines in order of preference, so a faster one is added in front of the list and the general one stays behind it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from backend.contracts.results import Series
from backend.contracts.training import Training
from backend.errors import JobFailed
from worker.datasets._table import TABULAR, Domain, Encoded, Integers, SensitiveAttribute, Table, Task, dense
from worker.plugins import GROUP, Method, Model, Params, State
from worker.privacy.accounting import Budget, Schedule
from worker.training.checkpoints import Checkpoints
from worker.training.schedules import learning_rate
from worker.training.streams import Streams

if TYPE_CHECKING:
    import torch

    from worker.training.clipping import Sample
    from worker.training.objective import Objective

Array = np.ndarray[Any, Any]

#: Called with a run's key and the share of its steps that are done. What it raises ends the training.
OnProgress = Callable[[str, float], None]
#: At least this often a run in training says how far it is.
PROGRESS_SECONDS = 0.25


@dataclass(frozen=True)
class Watch:
    """Who looks on while runs are trained, and where they keep what they need to go on after a crash."""

    on_progress: OnProgress | None = None
    checkpoints: Checkpoints | None = None

    def follow(self, key: str) -> Lookout:
        """For one run that begins now."""
        if self.checkpoints is not None:
            self.checkpoints.started(key)
        return Lookout(self, key)


class Lookout:
    """Tells an engine, step by step and at little cost, when to report and when to keep a checkpoint."""

    def __init__(self, watch: Watch, key: str) -> None:
        self._watch, self._key = watch, key
        self._reported = time.monotonic()

    def step(self, done: int, steps: int) -> bool:
        """After each step: reports progress where it is time; True where a checkpoint is due."""
        now = time.monotonic()
        if now - self._reported < PROGRESS_SECONDS:
            return False
        self._reported = now
        if self._watch.on_progress is not None:
            self._watch.on_progress(self._key, done / max(1, steps))
        return self._watch.checkpoints is not None and self._watch.checkpoints.due(self._key)


#: Nobody looks on and nothing is kept.
UNWATCHED = Watch()


class Examples:
    """Some rows, encoded as `Encoded` says, and their target: `rows` and `target` are `[rows]`.

    `numeric` and `active` hold all of the features sparsely, and engines that can should take those. The dense
    `features`, `[rows, inputs]` float32, are made when they are first asked for, unless they are given; what is given
    may also be their number.
    """

    def __init__(self, rows: Integers, features: Array | int, numeric: Array, active: Array, target: Array) -> None:
        self.rows, self.numeric, self.active, self.target = rows, numeric, active, target
        self.inputs: int = features if isinstance(features, int) else features.shape[1]
        if not isinstance(features, int):
            self.features = features

    @classmethod
    def of(cls, table: Table, encoded: Encoded, rows: Integers) -> Examples:
        """These rows of the table."""
        return cls(rows, encoded.inputs, encoded.numeric[rows], encoded.active[rows], table.target[rows])

    def at(self, places: Integers) -> Examples:
        """Some of them, in that order."""
        rest = (self.numeric[places], self.active[places], self.target[places])
        return Examples(self.rows[places], self.inputs, *rest)

    @cached_property
    def features(self) -> Array:
        """`[rows, inputs]` float32."""
        return dense(self.numeric, self.active, self.inputs)

    def __len__(self) -> int:
        return len(self.target)


@dataclass(frozen=True)
class Canaries:
    """Records made up for an audit ("Dirac canaries"): each has a very long gradient along one weight and nothing else.

    An included canary joins each Poisson batch as a record does, and its gradient is scaled by the method, so that it
    adds at most the stated sensitivity. `length` is the norm before that, in multiples of the sensitivity; a method
    keeps such a gradient only as far as it clips.

    `observed` receives a row `[canaries]` per step: the noisy sum at the canaries' weights less what the training rows
    added there, in multiples of the step's sensitivity. Without noise it is 1 where a canary was in the batch, 0 else.
    `batches` receives the training rows of each step as the engine used them, `norms` the norm of the sum of their
    scaled gradients, also in multiples of the sensitivity.
    """

    #: `[canaries]` places among the flattened weights, all different, and whether each canary is in the data.
    places: Integers
    included: Array
    length: float = 1e4
    observed: list[Array] = field(default_factory=list)
    batches: list[Integers] = field(default_factory=list)
    norms: list[float] = field(default_factory=list)


@dataclass(frozen=True, eq=False)
class RecordGroups:
    """One sensitive attribute of the training rows, for a method that asks for it: `labels[codes[row]]`."""

    attribute: str
    labels: tuple[str, ...]
    codes: Integers


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
    #: What the inputs are.
    domain: Domain = TABULAR
    #: Only in audits, and only for engines with `takes_canaries`.
    canaries: Canaries | None = None
    #: The public n, where an audit added rows that the run's own constants must not follow.
    public_rows: int | None = None
    #: For a method that names an attribute, see `groups_for`.
    groups: RecordGroups | None = None
    #: Rows through which private training is looked at; None where nobody does.
    sample: Sample | None = None
    #: Rows that a defence may know, for methods that ask for them: neither members nor candidates of an attack.
    inference: Examples | None = None

    @property
    def expected_batch(self) -> float:
        """Expected rows of a batch: what every summed gradient is divided by."""
        return self.schedule.sampling_rate * (self.public_rows or len(self.train))

    def objective(self) -> Objective | None:
        """What the method minimises beside or instead of the plain loss, made anew."""
        return self.method.objective(self.method_params)

    def start(self) -> State:
        """The method's state before the first step."""
        if self.groups is None:
            return self.method.start(self.method_params)
        return self.method.start_groups(self.method_params, len(self.groups.labels))

    @property
    def codes(self) -> Integers | None:
        """`[training rows]` group codes, where the method asks for them; rows that an audit added are of the first."""
        if self.groups is None:
            return None
        added = len(self.train) - len(self.groups.codes)
        return np.concatenate([self.groups.codes, np.zeros(added, np.int64)])

    def canary_gradients(self, step: int, state: State) -> Array:
        """`[canaries]` float32: what each adds to the sum of this step at its place; 0 where it is not in the batch.

        Each takes part in the method's scale as a record would, but not in its statistic: one count in two queries
        would be a stronger canary, and the audit of the gradient is valid without it. Where groups have thresholds of
        their own, a canary is of the first row's group.
        """
        assert self.canaries is not None
        canaries, params = self.canaries, self.method_params
        added = np.zeros(len(canaries.places), np.float32)
        drawn = self.streams.canary_batch(step, len(added), self.schedule.sampling_rate)
        length = np.full(1, canaries.length * float(self.method.sensitivity(state, params)), np.float32)
        codes = self.codes
        shown = state if codes is None else {**state, GROUP: codes[:1]}
        added[drawn] = length * self.method.scale(length, shown, params)
        return np.where(canaries.included, added, np.float32(0))

    def learning_rate(self, step: int) -> float:
        """Of one step, by the run's schedule."""
        return learning_rate(self.training, step, self.schedule.steps)


class GroupsMissing(JobFailed):
    """The data lack the attribute that a method needs."""


def groups_for(
    method: Method[Any], params: Params, attributes: Mapping[str, SensitiveAttribute], rows: Integers
) -> RecordGroups | None:
    """The codes of the training rows that the method asks for. Raises `GroupsMissing`, which names the field."""
    name = method.attribute(params)
    if name is None:
        return None
    if name not in attributes:
        raise GroupsMissing(
            f"attribute: {method.title} needs a sensitive attribute of the data, got {name!r}.",
            fix=f"Choose one of {', '.join(attributes) or 'none: this dataset has no attribute'}.",
        )
    found = attributes[name]
    return RecordGroups(name, tuple(found.labels), np.asarray(found.codes[rows], np.int64))


@dataclass
class Trained:
    """What came of one run. `logits(examples)` answers `[rows, outputs]` float32.

    `module()` is the trained network in evaluation mode on the processor, a new object each time: its asker may change
    it.
    """

    key: str
    engine: str
    logits: Callable[[Examples], Array]
    module: Callable[[], torch.nn.Module]
    seconds: float
    history: list[Series] = field(default_factory=list)
    diverged: str | None = None
    #: Updates of the weights, where the method ended the training before the schedule did.
    steps: int | None = None


def diverged(what: str, epoch: int, step: int) -> str:
    """What is said of a run whose loss or weights are no longer numbers."""
    return (
        f"The {what} became infinite or undefined in epoch {epoch} (step {step + 1}). "
        "Lower the learning rate; in private training also the clipping threshold."
    )


@dataclass(frozen=True)
class Demand:
    """Memory that training takes, in bytes, known before it starts."""

    #: Whatever the number of runs: data on the device, buffers.
    shared: int
    #: Of each run that is trained at the same time.
    per_run: int

    def runs_in(self, available: int) -> int:
        """How many runs fit; 0 where not even one does.

        >>> Demand(shared=100, per_run=30).runs_in(200)
        3
        """
        return max(0, available - self.shared) // max(1, self.per_run)


class Engine(Protocol):
    """Trains runs."""

    name: str
    #: Whether many runs at a time pay off, so that a fleet should be as large as memory allows.
    stacks: bool

    def demand(self, work: Work) -> Demand:
        """Memory for runs like this one, all of one fleet."""

    def refuses(self, work: Work) -> str | None:
        """Why this engine cannot train that run, or None where it can."""

    def train(self, works: Sequence[Work], watch: Watch = UNWATCHED) -> Iterator[Trained]:
        """Train all, yielding each as it is done. A diverging run is a result, not an exception.

        A run that has a checkpoint goes on from it.
        """


def choose(work: Work, engines: Iterable[Engine]) -> Engine:
    """The first engine that takes the run. Raises `JobFailed` with every engine's reason."""
    reasons = []
    for engine in engines:
        reason = engine.refuses(work)
        if work.canaries is not None and not getattr(engine, "takes_canaries", False):
            reason = "it does not add the canaries of an audit"
        if work.objective() is not None and not getattr(engine, "takes_objectives", False):
            reason = "the method has an objective of its own"
        if reason is None:
            return engine
        reasons.append(f"{engine.name}: {reason}")
    raise JobFailed(f"No engine can train this run ({'; '.join(reasons)}).", fix="Choose another model.")
