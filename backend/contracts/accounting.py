"""What the calculator is asked and answers."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator

from backend.contracts.base import Contract

Accountant = Literal["rdp", "prv", "pld"]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class AccountingRequest(Contract):
    """A training with Poisson sampling and Gaussian noise, and what to work out for it."""

    rows: int = Field(ge=1, le=1_000_000_000, description="Training rows n.", examples=[27_133])
    batch_size: int = Field(ge=1, le=1_000_000_000, description="Expected rows of a batch, at most n.", examples=[256])
    epochs: int = Field(ge=1, le=100_000, description="Epochs of n / batch size steps each.", examples=[10])
    delta: float | None = Field(
        default=None, ge=1e-30, lt=1, allow_inf_nan=False, description="None: the largest power of ten below 1 / n."
    )
    epsilons: list[Annotated[Positive, Field(le=1000)]] = Field(
        default_factory=list, max_length=10, description="For each, the noise multiplier that it needs."
    )
    sigmas: list[Annotated[Positive, Field(ge=0.05, le=10_000)]] = Field(
        default_factory=list, max_length=10, description="For each noise multiplier, the epsilon that it costs."
    )
    accountants: list[Accountant] = Field(default=["rdp", "prv", "pld"], min_length=1, max_length=3)

    @field_validator("accountants")
    @classmethod
    def _each_once(cls, value: list[Accountant]) -> list[Accountant]:
        return list(dict.fromkeys(value))


class Account(Contract):
    """One epsilon beside one noise multiplier, by one accountant. Epsilon never exceeds what was asked."""

    accountant: Accountant
    epsilon: float
    sigma: float


class Accounting(Contract):
    """The training that was meant, and one entry per accountant and asked epsilon or noise."""

    sampling_rate: float = Field(description="Probability with which a row joins a batch.")
    steps: int
    delta: float
    noise: list[Account] = Field(description="Noise multipliers of the asked epsilons, in their order.")
    cost: list[Account] = Field(description="Epsilons of the asked noise multipliers, in their order.")
