"""What a worker reports of a run, and what the API answers of jobs, runs and measurements."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import Field

from backend.contracts.base import Contract

#: The name of the subgroup that is everybody.
ALL = "all"

RunStatus = Literal["queued", "running", "succeeded", "diverged", "failed", "cancelled"]
JobStatus = Literal["queued", "running", "succeeded", "failed", "cancelled"]
Split = Literal["train", "validation", "test"]
FINISHED: tuple[RunStatus, ...] = ("succeeded", "diverged")
ENDED: tuple[JobStatus, ...] = ("succeeded", "failed", "cancelled")


class Measurement(Contract):
    """One number of one run. `value` is None where it is not defined (AUROC of one class); the note says why."""

    metric: str
    subgroup: str = ALL
    split: Split = "test"
    value: float | None
    n: int | None = Field(default=None, description="Rows it was measured on.")
    low: float | None = Field(default=None, description="Lower end of its 95 % interval, where one is known.")
    high: float | None = None


class Series(Contract):
    """A quantity along training: threshold, loss, share clipped."""

    name: str
    unit: str = ""
    steps: list[float] = Field(description="Epochs at which it was taken.")
    values: list[float | None] = Field(description="Of everybody.")
    groups: dict[str, list[float | None]] = Field(
        default_factory=dict, description="By subgroup, at the same epochs, where it was taken of them too."
    )


class Roc(Contract):
    """ROC of one attack on one subgroup, thinned so that a log-log plot loses nothing one can see."""

    attack: str
    subgroup: str = ALL
    fpr: list[float]
    tpr: list[float]
    members: int
    non_members: int


class ExposedRecord(Contract):
    """A training row that an attack tells apart from others. Its content is never stored."""

    row: int = Field(description="Its place in the dataset's table, from 0.")
    score: float = Field(description="The attack's score; higher is more exposed.")
    percentile: float = Field(description="Share in per cent of all rows attacked whose score is lower.")
    subgroups: list[str] = Field(description="Those of the study that it is in.")


class Exposed(Contract):
    """What one attack with shadow models says of single records, or why an attack has no figures."""

    attack: str
    models: int = Field(default=0, description="Shadow models that it compared with.")
    left_out: int = Field(default=0, description="Shadow models that diverged or failed.")
    unscored: int = Field(default=0, description="Rows that too few models were trained with or without.")
    statement: str | None = Field(default=None, description="Why it has no figures, or why they are weak.")
    records: list[ExposedRecord] = Field(default_factory=list, description="The most exposed first.")


class RunResult(Contract):
    """All that one run leaves behind, written in one transaction."""

    key: str
    status: Literal["succeeded", "diverged", "failed"]
    engine: str = ""
    wall_seconds: float = 0.0
    degenerate: bool = Field(default=False, description="Predicts one class for nearly everybody.")
    message: str | None = Field(default=None, description="What happened, for a diverged or failed run.")
    measurements: list[Measurement] = Field(default_factory=list)
    history: list[Series] = Field(default_factory=list)
    rocs: list[Roc] = Field(default_factory=list)
    exposed: list[Exposed] = Field(default_factory=list)


class Progress(Contract):
    """What a job is doing now."""

    phase: Literal["queued", "preparing", "training", "finishing", "ended"] = "queued"
    message: str = ""
    done: int = 0
    total: int = 0
    seconds_left: float | None = None
    share: float | None = Field(
        default=None,
        description="Share done of all trainings, 0 to 1: runs, shadow models and those of audits. None: not known.",
    )


class Problem(Contract):
    """One thing that is wrong with a request: the field, what was expected, and the fix."""

    field: str = Field(description="Path of the field, such as methods.1.params.epsilon.")
    expected: str
    got: str | None = None
    fix: str


class JobEvent(Contract):
    """One entry of a job's event stream."""

    id: int
    job_id: str
    type: Literal["status", "progress", "run"]
    data: dict[str, str | int | float | bool | None]
    created_at: datetime
