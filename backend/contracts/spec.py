"""What a person submits: a job specification.

A job is dataset x model x methods (with swept parameters) x seeds x evaluation. A list where the
catalogue declares a parameter sweepable is a sweep; `expansion.expand` turns a specification into runs.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, field_validator

from backend.contracts.base import Contract, Name, Params

#: One attribute ("sex") or an intersection of several (["sex", "race"]).
SubgroupChoice = str | list[str]

#: Separates the attributes of an intersection, and their values, in a subgroup's name: "sex=Female & race=Black".
INTERSECTION = " & "


class DatasetChoice(Contract):
    """Which data, encoded how, and for which sensitive attributes subgroup figures are wanted."""

    name: Name
    params: Params = Field(default_factory=dict)
    subgroups: list[SubgroupChoice] = Field(
        default_factory=list,
        max_length=32,
        description="Sensitive attributes to report by; a list within the list is an intersection.",
    )


class ModelChoice(Contract):
    """Which architecture."""

    name: Name
    params: Params = Field(default_factory=dict)


class MethodChoice(Contract):
    """A training algorithm, its parameters (lists sweep), and what it overrides of the job's `training`."""

    name: Name
    params: Params = Field(default_factory=dict)
    training: Params = Field(default_factory=dict, description="Overrides of the job's training parameters.")


class AttackChoice(Contract):
    """A membership-inference attack made on every run."""

    name: Name
    params: Params = Field(default_factory=dict)


class Evaluation(Contract):
    """What is measured on each run besides the standard metrics of the task."""

    attacks: list[AttackChoice] = Field(
        default_factory=lambda: [AttackChoice(name="loss_threshold")],
        max_length=16,
    )


Seed = Annotated[int, Field(ge=0, le=2**31 - 1)]


class JobSpec(Contract):
    """A study: dataset, model, methods, training, seeds and evaluation."""

    name: str = Field(default="Untitled study", min_length=1, max_length=200)
    description: str = Field(default="", max_length=10_000)
    dataset: DatasetChoice
    model: ModelChoice
    methods: list[MethodChoice] = Field(min_length=1, max_length=64)
    training: Params = Field(default_factory=dict)
    seeds: list[Seed] | Annotated[int, Field(ge=1, le=10_000)] = Field(
        default=3, description="Seeds to train with, or how many (0, 1, ...)."
    )
    evaluation: Evaluation = Field(default_factory=Evaluation)
    tags: list[Annotated[str, Field(min_length=1, max_length=50)]] = Field(default_factory=list, max_length=20)
    priority: int = Field(default=0, ge=-100, le=100, description="Higher runs earlier.")
    preset: str | None = Field(default=None, max_length=100, description="The preset this study came from.")

    @field_validator("seeds")
    @classmethod
    def _seeds_are_distinct(cls, seeds: list[int] | int) -> list[int] | int:
        if isinstance(seeds, list):
            if not seeds:
                raise ValueError("expected at least one seed; give a number of seeds or a list such as [0, 1, 2]")
            if len(set(seeds)) != len(seeds):
                raise ValueError("expected distinct seeds; remove the repeated ones")
        return seeds

    def seed_list(self) -> list[int]:
        """The seeds themselves, in order.

        >>> JobSpec(dataset={"name": "adult"}, model={"name": "mlp"}, methods=[{"name": "sgd"}], seeds=3).seed_list()
        [0, 1, 2]
        """
        return list(range(self.seeds)) if isinstance(self.seeds, int) else list(self.seeds)
