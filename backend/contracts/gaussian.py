"""What the Gaussian task is asked and answers."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from backend.contracts.base import Contract
from backend.contracts.public import Figure

Estimator = Literal["standard", "robust"]
Leakage = Literal["auc", "advantage", "tpr_1", "tpr_01", "gap"]
Quantity = Literal["auc", "advantage", "tpr_1", "tpr_01", "gap", "accuracy", "robust_accuracy"]
Size = Annotated[float, Field(ge=0, le=100, allow_inf_nan=False)]


class GaussianRequest(Contract):
    """A mixture of two Gaussians, how it is learned, and how figures are drawn."""

    rows: int = Field(ge=2, le=10_000, description="Training rows n.", examples=[200])
    dimensions: int = Field(ge=1, le=1_000, description="Coordinates d of a row.", examples=[100])
    informative: int | None = Field(
        default=None, ge=0, le=1_000, description="Coordinates whose mean differs between the classes; None: all."
    )
    sigma: float = Field(
        default=1.0, ge=0.01, le=100, allow_inf_nan=False, description="Standard deviation of every coordinate."
    )
    epsilon: Size = Field(description="Size of the perturbation that is trained against and tested with.")
    signal: Size = Field(description="How far the mean of a class is from zero, in the way that `signal_as` says.")
    signal_as: Literal["coordinate", "norm"] = Field(
        default="coordinate",
        description="coordinate: `signal` is the mean of each informative coordinate; norm: of all of them together.",
    )
    perturbation: Literal["linf", "l2"] = Field(
        default="linf", description="linf: every coordinate moves by up to epsilon; l2: the row does, as a whole."
    )
    measure: Leakage = Field(default="auc", description="What the figures of leakage show.")
    seed: int = Field(default=0, ge=0, lt=2**31, description="Of the simulation.")
    theme: Literal["light", "dark"] = "light"
    width: int | None = Field(default=None, ge=200, le=4000, description="Pixels that a figure has, if few.")


class GaussianSimulated(Contract):
    """A mean over simulated trainings with its 95 % interval."""

    x: float
    trainings: int
    mean: float
    low: float
    high: float


class GaussianCurve(Contract):
    """One quantity of one estimator along n or epsilon: what theory expects, and simulated points."""

    along: Literal["rows", "epsilon"]
    estimator: Estimator
    quantity: Quantity
    x: list[float]
    expected: list[float] = Field(description="Expectation over trainings.")
    error: list[float] = Field(description="Largest error of the expectation; of the advantage in part an estimate.")
    simulated: list[GaussianSimulated]


class GaussianValue(Contract):
    """One quantity of both estimators at the asked setting."""

    quantity: Quantity
    title: str
    better: Literal["lower", "higher"]
    standard: float
    robust: float
    error: float
    simulated: list[GaussianSimulated] = Field(description="Of the standard and the robust estimator; empty: none.")


class Gaussian(Contract):
    """Closed forms beside a simulation, at one setting, along n and along epsilon."""

    mean: float = Field(description="Mean of each informative coordinate.")
    norm: float = Field(description="Euclidean norm of the mean of a class.")
    zero: float = Field(description="Share of trainings in which the robust estimator is zero.")
    values: list[GaussianValue]
    notes: list[str] = Field(description="What is particular about this setting, in sentences.")
    curves: list[GaussianCurve]
    figures: list[Figure]
