"""What the calculator is asked and answers."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from backend.contracts.base import Contract

Accountant = Literal["rdp", "prv", "pld"]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


#: How the number of trainings is drawn of which the best is published.
Distribution = Literal["logarithmic", "geometric", "negative_binomial", "poisson"]
#: Shape of each that has no parameter of its own; infinity is Poisson's.
SHAPES: dict[str, float] = {"logarithmic": 0.0, "geometric": 1.0, "poisson": float("inf")}


class Tries(Contract):
    """A number of trainings that is drawn at random beforehand, and of which the best is published."""

    mean: float = Field(ge=1, le=1e9, allow_inf_nan=False, description="Its mean.", examples=[30])
    distribution: Distribution = Field(
        default="geometric", description="Poisson may draw none: nothing that depends on the data is published then."
    )
    shape: float | None = Field(
        default=None,
        gt=-1,
        le=100,
        allow_inf_nan=False,
        description="Of negative_binomial alone: 0 is logarithmic, 1 geometric, a larger one keeps nearer to the mean.",
    )

    @model_validator(mode="after")
    def _shape_fits(self) -> Self:
        if (self.shape is None) == (self.distribution == "negative_binomial"):
            raise ValueError(
                "expected a shape for negative_binomial and for no other; give one such as 0.5, or leave it out"
            )
        return self

    def shape_value(self) -> float:
        """As `backend.analysis.tuning` counts it; infinite for Poisson."""
        return SHAPES[self.distribution] if self.shape is None else self.shape


class TrainingAsked(Contract):
    """A training with Poisson sampling and Gaussian noise."""

    rows: int = Field(ge=1, le=1_000_000_000, description="Training rows n.", examples=[27_133])
    batch_size: int = Field(ge=1, le=1_000_000_000, description="Expected rows of a batch, at most n.", examples=[256])
    epochs: int = Field(ge=1, le=100_000, description="Epochs of n / batch size steps each.", examples=[10])
    delta: float | None = Field(
        default=None, ge=1e-30, lt=1, allow_inf_nan=False, description="None: the largest power of ten below 1 / n."
    )


class AccountingRequest(TrainingAsked):
    """A training with Poisson sampling and Gaussian noise, and what to work out for it."""

    epsilons: list[Annotated[Positive, Field(le=1000)]] = Field(
        default_factory=list, max_length=10, description="For each, the noise multiplier that it needs."
    )
    sigmas: list[Annotated[Positive, Field(ge=0.05, le=10_000)]] = Field(
        default_factory=list, max_length=10, description="For each noise multiplier, the epsilon that it costs."
    )
    accountants: list[Accountant] = Field(default=["rdp", "prv", "pld"], min_length=1, max_length=3)
    tries: Tries | None = Field(default=None, description="Adds `selection`: what publishing the best of them costs.")

    @field_validator("accountants")
    @classmethod
    def _each_once(cls, value: list[Accountant]) -> list[Accountant]:
        return list(dict.fromkeys(value))


class Account(Contract):
    """One epsilon beside one noise multiplier, by one accountant. Epsilon never exceeds what was asked."""

    accountant: Accountant
    epsilon: float
    sigma: float


class SpendingRequest(TrainingAsked):
    """The training and the noise whose epsilon is drawn along its epochs."""

    sigma: Positive = Field(ge=0.05, le=10_000, description="Noise multiplier.", examples=[0.8])
    theme: Literal["light", "dark"] = "light"
    width: int | None = Field(default=None, ge=200, le=10_000, description="Pixels it is drawn at, if known.")


class Selected(Contract):
    """One noise multiplier of each training, and three epsilons at the same delta, all by `rdp`."""

    sigma: float
    one: float = Field(description="Of one training.")
    selected: float = Field(description="Of publishing the best of the random number of trainings.")
    all: float = Field(
        description="Of publishing as many trainings as the mean says, rounded up, each with batches of its own."
    )


class Selection(Contract):
    """What choosing costs (Papernot and Steinke 2022), where trainings are independent and their number is drawn."""

    noise: list[Selected] = Field(description="The noise with which the best costs each asked epsilon at most.")
    cost: list[Selected] = Field(description="For each asked noise multiplier.")


class ChosenCost(Contract):
    """Publishing the best of a random number of trainings, by one distribution of that number."""

    distribution: Distribution
    epsilon: float


class Choosing(Contract):
    """What choosing a run among the trainings of its study at the same budget would cost.

    `random` holds only for a fresh selection: a number of trainings that is drawn from the distribution beforehand, and
    randomness that no two of them share. The trainings of a study have neither.
    """

    job_id: str
    trainings: int = Field(description="Trained so far with this epsilon and delta: any method, setting and seed.")
    settings: int = Field(description="Different settings among them.")
    epsilon: float
    delta: float
    all_epsilon: float = Field(description="Of publishing all, by naive composition: epsilon of each, added up.")
    all_delta: float = Field(description="Delta of each, added up. One or more promises nothing.")
    random: list[ChosenCost] = Field(
        description="At `delta`, for a mean of `trainings`; empty where the table's size is not known any more."
    )


class Accounting(Contract):
    """The training that was meant, and one entry per accountant and asked epsilon or noise."""

    sampling_rate: float = Field(description="Probability with which a row joins a batch.")
    steps: int
    delta: float
    noise: list[Account] = Field(description="Noise multipliers of the asked epsilons, in their order.")
    cost: list[Account] = Field(description="Epsilons of the asked noise multipliers, in their order.")
    selection: Selection | None = Field(default=None, description="Where `tries` was given.")
