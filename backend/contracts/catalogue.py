"""What the workers can do: plugins with their parameter schemas, and every metric with its direction and range.

The worker publishes it; the API validates submissions against it; the browser draws forms and axis menus from it.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from backend.contracts.base import Contract, Name, Params

PluginKind = Literal["dataset", "model", "method", "metric", "attack"]


class Attribute(Contract):
    """A sensitive attribute of a dataset and the values it takes."""

    name: str
    title: str
    values: list[str]


class DatasetVariant(Contract):
    """How many rows there are where one parameter has another value than its default."""

    param: str
    value: str | bool
    rows: int
    train_rows: int


class DatasetFacts(Contract):
    """What is known of a dataset before a job is submitted."""

    available: bool = True
    unavailable_because: str | None = Field(default=None, description="What is missing and what to put where.")
    data_hash: str | None = Field(default=None, description="SHA-256 of the source bytes.")
    rows: int | None = None
    train_rows: int | None = Field(default=None, description="Rows that a run trains on: the n of its accounting.")
    task: Literal["binary", "multiclass", "regression"] = "binary"
    target: str = ""
    attributes: list[Attribute] = Field(default_factory=list)
    bounds: tuple[float, float] | None = Field(
        default=None, description="Least and greatest value of a feature, where all have the same."
    )
    image: tuple[int, int, int] | None = Field(
        default=None, description="Channels, height and width, where each row is an image."
    )
    licence: str = ""
    source: str = ""
    variants: list[DatasetVariant] = Field(default_factory=list, description="Parameters that change the rows.")

    def train_rows_for(self, params: Params) -> int | None:
        """Training rows with these parameters: the n of the run's accounting. None where it is not known.

        A parameter named `limit` caps the rows, in every dataset that has one; the training part follows in proportion.
        """
        rows, train_rows = self.rows, self.train_rows
        if not rows or not train_rows:
            return None
        for variant in self.variants:
            if params.get(variant.param) == variant.value:
                rows, train_rows = variant.rows, variant.train_rows
        limit = params.get("limit")
        if isinstance(limit, int) and not isinstance(limit, bool) and limit < rows:
            return max(1, round(train_rows * limit / rows))
        return train_rows


class StatisticNoise(Contract):
    """Noise on what a private method releases each step beside the gradient; it takes its part of the budget."""

    param: str = Field(description="Parameter that says how much.")
    share_of_batch: bool = Field(default=False, description="Whether it is a share of the expected batch size.")
    sensitivity: float = Field(default=0.5, description="Most that one record changes what is released.")
    only_if: str | None = Field(default=None, description="Switch without which nothing is released.")

    def std(self, params: Params, batch_size: int) -> float | None:
        """Its standard deviation; None where nothing is released.

        >>> StatisticNoise(param="count_noise", share_of_batch=True).std({"count_noise": 0.05}, 256)
        12.8
        """
        amount = params.get(self.param)
        if not isinstance(amount, int | float) or (self.only_if is not None and not params.get(self.only_if)):
            return None
        return float(amount * batch_size if self.share_of_batch else amount)


class ModelFacts(Contract):
    """Which data an architecture is made for."""

    images: bool = Field(default=False, description="Whether it takes images and nothing else.")


class MethodFacts(Contract):
    """What a form and the accountant need to know of a method."""

    private: bool = False
    engines: list[str] = Field(default_factory=list)
    statistic: StatisticNoise | None = Field(default=None, description="Released each step beside the gradient.")


class AttackFacts(Contract):
    """How many models an attack trains besides the runs that it is asked of."""

    audit: bool = Field(default=False, description="Trains for every private run; others use shadow models, if any.")
    models_param: str | None = Field(default=None, description="Parameter that says how many models it trains.")
    bounded: bool = Field(default=False, description="Whether the features have to be bounded, as those of images are.")

    def shadow_models(self, params: Params) -> int:
        """Models that every seed of a setting and every attack on it share."""
        return 0 if self.audit else self._models(params, 0)

    def trainings(self, params: Params) -> int:
        """Trainings of its own for one private run."""
        return self._models(params, 1) if self.audit else 0

    def _models(self, params: Params, without: int) -> int:
        count = without if self.models_param is None else params.get(self.models_param)
        return count if isinstance(count, int) else without


class Plugin(Contract):
    """One dataset, model, method, metric family or attack."""

    kind: PluginKind
    name: Name
    title: str
    summary: str
    citation: str | None = None
    version: str = Field(description="Hash of the plugin's code; part of the identity of every run that uses it.")
    params_schema: dict[str, Any] = Field(description="JSON Schema of the parameters.")
    dataset: DatasetFacts | None = None
    model: ModelFacts | None = None
    method: MethodFacts | None = None
    attack: AttackFacts | None = None


class MetricInfo(Contract):
    """What one figure means: charts, frontier and reports never guess."""

    name: Name
    title: str = Field(description="In words, for an axis.")
    explanation: str = Field(description="One sentence for a reader who does not know the term.")
    family: Name = Field(description="The metric or attack plugin that measures it.")
    higher_is_better: bool | None = Field(description="None where neither direction is better.")
    unit: str = ""
    low: float | None = Field(default=None, description="Lower end of the range, where there is one.")
    high: float | None = None
    log: bool = False
    per_subgroup: bool = True
    kind: Literal["utility", "fairness", "robustness", "privacy", "attack", "cost"] = "utility"


class Catalogue(Contract):
    """All of it, as one worker's code offers it."""

    version: str = Field(description="Hash of the whole catalogue.")
    engine_version: str = Field(description="Hash of the code that trains, accounts and evaluates; in run identity.")
    python: str = Field(default="", description="Version of the worker's Python.")
    packages: dict[str, str] = Field(default_factory=dict, description="Packages installed where the worker runs.")
    training_schema: dict[str, Any]
    plugins: list[Plugin]
    metrics: list[MetricInfo]

    def find(self, kind: PluginKind, name: str) -> Plugin | None:
        """The plugin of that kind and name, or None."""
        return next((p for p in self.plugins if p.kind == kind and p.name == name), None)

    def names(self, kind: PluginKind) -> list[str]:
        """Names of all plugins of a kind, sorted."""
        return sorted(p.name for p in self.plugins if p.kind == kind)

    def metric(self, name: str) -> MetricInfo | None:
        """What is known of one metric, or None."""
        return next((m for m in self.metrics if m.name == name), None)
