"""A rerun bundle: everything that another machine needs to train a study again, and the numbers to compare with."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import Field

from backend.contracts.base import Contract
from backend.contracts.catalogue import PluginKind
from backend.contracts.results import RunStatus
from backend.contracts.spec import JobSpec

FORMAT: Literal["equipoise-bundle-1"] = "equipoise-bundle-1"


class BundlePart(Contract):
    """A plugin that the study uses, and the hash of its code."""

    kind: PluginKind
    name: str
    version: str


class BundleRun(Contract):
    """One run, in the study's order."""

    key: str
    method: str
    epsilon: float | None
    seed: int
    status: RunStatus


class BundleSeries(Contract):
    """One series of numbers; `values[i]` is of `runs[i]`, None where it is not defined or was not measured."""

    metric: str
    subgroup: str
    split: str
    values: list[float | None]


class Bundle(Contract):
    """A study, whole. `spec` names its seeds one by one; `packages` are those of the worker that offered its code."""

    format: Literal["equipoise-bundle-1"] = FORMAT
    made_at: datetime
    release: str = Field(description="Release of Equipoise that made the bundle.")
    spec: JobSpec
    data_hash: str | None = Field(description="SHA-256 of the dataset's source bytes.")
    engine_version: str = Field(description="Hash of the code that trains, accounts and evaluates.")
    metrics_version: str
    parts: list[BundlePart]
    python: str = ""
    packages: dict[str, str] = Field(default_factory=dict, description="Installed packages by name: the lock.")
    runs: list[BundleRun]
    series: list[BundleSeries] = Field(default_factory=list, description="What was measured, for `verify`.")


class Difference(Contract):
    """Something that is not as it was when the bundle was made."""

    what: str
    bundle: str
    here: str
    matters: bool = Field(description="Whether results may differ because of it.")


class BundleCheck(Contract):
    """How this server differs from the one that made a bundle, and what submitting it would run."""

    differences: list[Difference]
    same_runs: int = Field(description="Runs whose identity is the same here: they must give the same numbers.")
    measured: int = Field(description="Those of them that are measured here already.")
    runs: int
    sentence: str


class SeriesDeviation(Contract):
    """How far one series is from the bundle's."""

    metric: str
    subgroup: str
    split: str
    compared: int
    equal: int = Field(description="Numbers that are the same bit for bit, or undefined in both.")
    largest: float | None = Field(description="Largest absolute difference.")
    largest_run: str | None = None


class Verification(Contract):
    """A study's measurements against a bundle's."""

    sentence: str
    runs: int
    compared: int
    equal: int
    missing: int = Field(description="Numbers of the bundle that the study has not measured.")
    worst: list[SeriesDeviation] = Field(description="Series that are not the same, the furthest first.")
