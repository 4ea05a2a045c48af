"""The five kinds of plugin. A dataset, model, method, metric family or attack is one file with one class.

How a plugin is found: the worker imports every module of `worker/datasets`, `models`, `methods`, `metrics` and
`attacks` whose name does not begin with `_` and collects the object named `PLUGIN` of each. No list is edited.

In which order a run calls them:

1. `Dataset.load(params)` once per job; `Table.split(seed)` and `Table.encode(...)` once per seed.
2. `Model.build(params, inputs, outputs, domain)`; the trainer fills the weights from the run's own stream.
3. For a private method: `Method.mechanism(params, training)` tells the accountant what is released each step;
   the accountant answers with sigma for the asked epsilon.
4. `Method.start(params)` gives the state; then every step:
   `scale(norms, state, params)` -> how much of each record's gradient is kept,
   `sensitivity(state, params)` -> what one record can add at most, hence the noise,
   `statistic(norms, state, params)` -> per-record numbers in [0, 1] whose noisy mean the method may use,
   `update(state, statistic, params)` -> the next state.
5. `Metric.measure(predictions, groups)` on each split asked for; `Attack.score(target)`; for many runs at once.
   `Probe.probe(prepared, trained, params)`, run by run; then `Metric.conclude(figures)`.

Methods are written in array code that works on numpy arrays and torch tensors alike, with any number of leading
axes, so that one file serves every engine. They hold no state of their own: the state is a dict of numbers or arrays.
Metrics and attacks are numpy code, with any number of leading axes too.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

from pydantic import BaseModel, ConfigDict

from backend.contracts.catalogue import AttackFacts, DatasetFacts, MetricInfo, StatisticNoise
from backend.contracts.training import Training, param

if TYPE_CHECKING:
    import numpy as np
    import torch

    from worker.attacks._target import Target
    from worker.datasets._table import Domain, Table
    from worker.evaluate import Prepared
    from worker.metrics._predictions import Figure, Groups, Observed, Predictions
    from worker.training.engine import Trained
    from worker.training.objective import Objective

__all__ = ["Attack", "Audit", "Dataset", "Method", "Metric", "Model", "NoParams", "Params", "Probe", "param"]

#: A numpy array, a torch tensor or a number.
Array = Any
State = dict[str, Array]
#: Where a method that names an attribute finds the records' group codes, `[..., records]`, in the state it is shown.
GROUP = "group"


class Params(BaseModel):
    """Base of every plugin's parameters; declare fields with `param(...)`."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class NoParams(Params):
    """For a plugin that has none."""


P = TypeVar("P", bound=Params)


class _Plugin(ABC, Generic[P]):
    name: ClassVar[str]
    title: ClassVar[str]
    summary: ClassVar[str]
    citation: ClassVar[str | None] = None
    Params: type[P]


class Dataset(_Plugin[P]):
    """Rows with features, a target and sensitive attributes."""

    @abstractmethod
    def facts(self, params: P) -> DatasetFacts:
        """What can be said without training: availability, hash, rows, attributes. Never raises for missing files."""

    @abstractmethod
    def load(self, params: P) -> Table:
        """The whole table. Raises `DataMissing` with what to put where."""


class Model(_Plugin[P]):
    """An architecture."""

    #: Whether it takes images and nothing else: a study of a table is refused when it is submitted.
    images: ClassVar[bool] = False

    @abstractmethod
    def build(self, params: P, inputs: int, outputs: int, domain: Domain) -> torch.nn.Module:
        """A module that maps `[rows, inputs]` to `[rows, outputs]` logits; `domain` says what the inputs are."""


@dataclass(frozen=True)
class Mechanism:
    """What one step of a method releases, as Gaussian noise multipliers on Poisson-subsampled rows.

    The whole step costs what one Gaussian mechanism of multiplier sigma costs. `statistic_std` is the noise on the
    sum of the statistic (None where the method releases none): the gradient then gets a larger multiplier so that
    both together cost sigma, see `worker.privacy.accounting.gradient_multiplier`.
    """

    statistic_std: float | None = None
    #: Most that one record changes the centred statistic's sum; of several sums, the L2 norm of the change of them all.
    statistic_sensitivity: float = 0.5


class Method(_Plugin[P]):
    """A training algorithm. The non-private baseline is one like any other."""

    private: ClassVar[bool] = False
    #: What is released each step besides the gradient; the catalogue says so, and a budget it uses up is refused.
    released: ClassVar[StatisticNoise | None] = None
    #: Whether it trains with rows beside its own, as a defence does that compares members with others. Half of the
    #: validation rows are then set aside for it: they are neither members nor candidates of an attack.
    needs_inference_set: ClassVar[bool] = False

    def mechanism(self, params: P, training: Training) -> Mechanism:
        """What one step releases, for the accountant: `released` with these parameters."""
        if self.released is None:
            return Mechanism()
        std = self.released.std(params.model_dump(), training.batch_size)
        return Mechanism(std, self.released.sensitivity)

    def start(self, params: P) -> State:
        """The state before the first step, such as the threshold."""
        return {}

    def objective(self, params: P) -> Objective | None:
        """What is minimised, where that is more than the loss of the batch: one object for one run.

        The fast engines train plain losses; a run with an objective is trained by the general one. A private method may
        have one whose `losses` are the plain ones, of inputs of its own.
        """
        return None

    def attribute(self, params: P) -> str | None:
        """The sensitive attribute without which the method cannot train, or None.

        A method that names one begins with `start_groups`, and finds in the state that `scale` and `statistic` are
        shown the records' codes, `state[GROUP]`. Its state may hold one number per group, `[..., groups]`.
        """
        return None

    def start_groups(self, params: P, groups: int) -> State:
        """The state before the first step of a method that names an attribute with that many groups."""
        return self.start(params)

    def scale(self, norms: Array, state: State, params: P) -> Array:
        """Factor for each record's gradient. `norms` is `[..., records]`; state values broadcast as `[..., 1]`.

        The result times the norm must never exceed `sensitivity`: the conformance tests search for a counterexample.
        """
        return norms * 0 + 1

    def sensitivity(self, state: State, params: P) -> Array:
        """L2 norm that one record's scaled gradient can have at most (add/remove adjacency). Unused if not private."""
        return float("inf")

    def statistic(self, norms: Array, state: State, params: P) -> Array | None:
        """Per-record numbers in [0, 1] whose noisy mean `update` receives, or None.

        A matrix `[..., records, sums]` asks for the noisy sums of its columns instead, each with noise of its own.
        """
        return None

    def update(self, state: State, statistic: Array | None, params: P) -> State:
        """The state of the next step, from the noisy mean (or sums) of `statistic`. Touches nothing private."""
        return state

    def history(self, state: State) -> Mapping[str, Array]:
        """What of the state is worth recording each epoch, by name."""
        return dict(state)


class Metric(_Plugin[P]):
    """A family of metrics computed from predictions."""

    metrics: ClassVar[tuple[MetricInfo, ...]]

    @abstractmethod
    def measure(self, predictions: Predictions, groups: Groups) -> Iterable[Figure]:
        """Figures on one split, overall and per subgroup, of all runs at once: arrays `[..., subgroups]`.

        `predictions.logits` is `[..., rows, outputs]`, with any number of leading axes. What comes out for a run must
        be the same whichever runs are beside it, which the conformance tests ask of every family. Not defined is NaN,
        never a guess.
        """

    def compare(self, trained: Observed, tested: Observed) -> Iterable[Figure]:
        """Figures of what is predicted of the training rows beside the test rows, of all runs at once."""
        return ()

    def conclude(self, figures: Mapping[str, Figure]) -> Iterable[Figure]:
        """Figures that follow from others of the test part, by metric: of `measure`, `compare` and the attacks."""
        return ()


class Attack(_Plugin[P]):
    """A membership-inference attack: a score per record, higher meaning more likely a member."""

    #: The parameter that says how many models it trains: shadow models of a setting, or an audit's own of a run.
    models_param: ClassVar[str | None] = None
    #: Whether it needs features that are bounded; a study of others is refused when it is submitted.
    bounded: ClassVar[bool] = False

    @classmethod
    def facts(cls) -> AttackFacts:
        """What is known before any training."""
        return AttackFacts(audit=issubclass(cls, Audit), models_param=cls.models_param, bounded=cls.bounded)

    def references(self, params: P) -> int:
        """How many shadow models it wants: trained as the target is, on other splits of the same table."""
        return self.facts().shadow_models(params.model_dump())

    def undefined(self, target: Target, params: P) -> str | None:
        """Why it has no figures for this target, as a sentence, or None where it has. Asked before `score`."""
        return None

    def caution(self, target: Target, params: P) -> str | None:
        """What has to be said beside its figures for this target, as a sentence. Asked where it is not `undefined`."""
        return None

    @abstractmethod
    def score(self, target: Target, params: P) -> np.ndarray[Any, Any]:
        """`[..., candidates]` scores of the candidate rows, members and non-members, for all runs of `target`.

        A row that cannot be judged is NaN: it is left out of the figures, and counted.
        """


class Probe(Attack[P]):
    """Listed among a study's attacks, with metrics of its own: it looks at the trained model and scores no rows."""

    metrics: ClassVar[tuple[MetricInfo, ...]]

    def score(self, target: Target, params: P) -> np.ndarray[Any, Any]:
        """Never called."""
        raise NotImplementedError(f"{self.name} has metrics of its own and scores no rows.")

    @abstractmethod
    def probe(self, prepared: Prepared, trained: Trained, params: P) -> Iterable[Figure]:
        """Figures of one run on its test part; none where it does not apply."""


class Audit(Probe[P]):
    """A test of the claimed epsilon: trains anew with records of its own and bounds epsilon from below.

    It trains once for each private run, or as often as the parameter says that `models_param` names.
    """

    #: Most of its models that are trained, and kept, at the same time.
    at_once: ClassVar[int] = 1

    def probe(self, prepared: Prepared, trained: Trained, params: P) -> Iterable[Figure]:
        """Nothing of a run that claims no epsilon."""
        return () if prepared.work.budget is None else self.audit(prepared, trained, params)

    @abstractmethod
    def audit(self, prepared: Prepared, trained: Trained, params: P) -> Iterable[Figure]:
        """Figures of one private run, each with the one subgroup `all`."""
