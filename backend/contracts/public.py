"""What the API answers: one model per noun. The TypeScript client is generated from these."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import BaseModel, Field, JsonValue, StringConstraints

from backend.contracts.base import Contract, Params
from backend.contracts.results import Exposed, JobStatus, Problem, Progress, Roc, RunStatus, Series
from backend.contracts.runs import Setting
from backend.contracts.spec import JobSpec

T = TypeVar("T")


class Page(BaseModel, Generic[T]):
    """One page of a list. `next` is the cursor of the following page, None at the end."""

    items: list[T]
    next: str | None = None


class ProblemDetails(Contract):
    """RFC 9457 problem details: the one shape of every error."""

    type: str = Field(description="Stable identifier of the kind of error, such as /problems/validation.")
    title: str
    status: int
    detail: str
    instance: str | None = None
    problems: list[Problem] = Field(default_factory=list, description="One entry per field that is wrong.")


class Health(Contract):
    """Whether the server can do its work, and if not, why."""

    status: Literal["ok", "degraded"]
    version: str
    database: str = Field(description="Kind of database: sqlite or postgresql.")
    workers: int = Field(description="Workers heard of lately.")
    catalogue: str | None = Field(description="Version of the catalogue, None until a worker has published one.")
    message: str = ""


class Worker(Contract):
    """One worker process."""

    id: str
    host: str
    device: str
    queues: list[str]
    status: Literal["online", "gone", "stopped"]
    started_at: datetime
    heartbeat_at: datetime
    jobs: list[str] = Field(default_factory=list, description="Jobs it works on.")


class Claim(Contract):
    """What a paper reports, as a preset states it."""

    statement: str
    value: float | None = None
    unit: str = ""
    source: str = ""
    metric: str | None = Field(default=None, description="Metric that the claim is about, such as loss_gap.")
    method: str | None = Field(default=None, description="Method that is claimed to be better.")
    reference: str | None = Field(default=None, description="Method that it is compared with.")
    direction: Literal["lower", "higher"] = "lower"


class Verdict(Contract):
    """What a study says of a claim; the sentence follows from its tests by the stated rule."""

    statement: str
    value: float | None = None
    source: str = ""
    outcome: Literal["reproduced", "partly", "not", "open"]
    sentence: str


class ProtocolResult(Contract):
    """A method against a reference in one way of tuning. Reductions are in % of the reference's mean."""

    protocol: str
    subgroup: str
    epsilon: float
    method: str
    reference: str
    setting_id: int
    reference_setting_id: int
    pairs: int
    gap: float | None
    reference_gap: float | None
    difference: float | None
    difference_low: float | None
    difference_high: float | None
    reduction: float | None
    reduction_low: float | None
    reduction_high: float | None
    rank_biserial: float
    p: float | None
    p_sign_flip: float | None
    corrected: float | None
    seeds_needed: int | None = Field(description="Seeds that find this difference with 80 % power, corrected.")


class ProtocolRow(Contract):
    """One method at one epsilon in one way of tuning; means over seeds, on test rows."""

    protocol: str
    subgroup: str
    epsilon: float | None
    method: str
    setting_id: int
    label: str
    gap: float | None
    excess_gap: float | None = Field(description="Gap less that of the model without privacy, same seeds.")
    loss: float | None
    accuracy: float | None
    auroc: float | None
    calibration_error: float | None
    majority_share: float | None
    degenerate: bool


class Reproduction(Contract):
    """A preset's claims put to the test: verdicts, comparisons and what stands beside them."""

    preset: str
    rule: str
    verdicts: list[Verdict]
    protocols: dict[str, str]
    comparisons: list[ProtocolResult]
    rows: list[ProtocolRow]
    degenerate_settings: int
    notes: list[str]


class Preset(Contract):
    """A study that reproduces a published claim, or teaches the tool."""

    name: str
    title: str
    question: str
    citation: str
    spec: JobSpec
    minutes: float | None = Field(default=None, description="About how long on two cores.")
    claims: list[Claim] = Field(default_factory=list)
    notes: str = ""


class PreviewMethod(Contract):
    """One method of a preview: how many settings and runs, and the noise that its epsilons need."""

    name: str
    title: str
    settings: int
    runs: int
    swept: dict[str, list[Any]] = Field(default_factory=dict)


class PreviewNoise(Contract):
    """The noise multiplier that one private setting needs."""

    method: str
    epsilon: float
    delta: float
    noise_multiplier: float = Field(description="By the accountant that the study asks for, as the runs will have it.")
    at_most: bool = Field(
        default=False,
        description="Not worked out yet by that accountant: the noise multiplier is at most this. Ask again.",
    )
    sampling_rate: float
    steps: int
    accountant: str


class Preview(Contract):
    """What a specification would run, before it is submitted."""

    runs: int
    settings: int
    seeds: int
    measured: int = Field(description="Runs whose results exist and will be reused.")
    shadow_models: int = Field(default=0, description="Trainings for attacks, at most: some may be there already.")
    shadow_settings: int = Field(default=0, description="Settings that need shadow models.")
    audits: int = Field(default=0, description="Audits of private runs.")
    audit_trainings: int = Field(default=0, description="Trainings that the audits take.")
    expected_seconds: float | None = Field(description="None until this worker has trained something like it.")
    sentence: str = Field(description="The same in one line, for people.")
    methods: list[PreviewMethod]
    noise: list[PreviewNoise]
    warnings: list[str] = Field(default_factory=list)


class Job(Contract):
    """A job as lists show it."""

    id: str
    name: str
    status: JobStatus
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    runs: int
    finished: int = Field(description="Runs with a result: succeeded or diverged.")
    diverged: int = 0
    failed: int = 0
    reused: int = Field(description="Runs that were measured before this job and not trained again.")
    degenerate: int = 0
    attempt: int
    progress: Progress
    problem: ProblemDetails | None = Field(default=None, description="Why it failed and what to do.")
    dataset: str
    model: str
    methods: list[str]
    tags: list[str]
    priority: int
    preset: str | None
    alarm: str | None = Field(default=None, description="That audits refute the claimed epsilon of some of its runs.")
    archived_at: datetime | None = Field(default=None, description="Since when lists leave it out.")
    submitter: str | None = Field(default=None, description="Who submitted it, if they said who they are.")


class JobPage(Page[Job]):
    """A page of jobs, and how many match in all."""

    total: int


class Facet(Contract):
    """A value that jobs can be filtered by, and how many have it."""

    value: str
    jobs: int


class JobFacets(Contract):
    """What jobs can be filtered by; the most frequent values first."""

    status: list[Facet]
    dataset: list[Facet]
    method: list[Facet]
    tag: list[Facet]
    preset: list[Facet]
    archived: int = Field(description="Jobs that lists leave out.")


Tag = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=50, pattern=r"^[^\x00-\x1f,]+$")]


class JobChange(Contract):
    """What is changed of a job that was submitted; what is left out stays."""

    add_tags: list[Tag] = Field(default_factory=list, max_length=20)
    remove_tags: list[str] = Field(default_factory=list, max_length=100)
    archived: bool | None = Field(default=None, description="Whether lists leave it out.")


class JobDetail(Job):
    """A job whole."""

    spec: JobSpec
    subgroups: list[str] = Field(default_factory=list, description="Subgroups with measurements so far, `all` first.")


class Run(Contract):
    """A run as lists show it."""

    id: str = Field(description="First 20 hex digits of its configuration hash.")
    status: RunStatus
    method: str
    setting_id: int
    seed: int
    epsilon: float | None
    params: Params = Field(description="Flat: method.*, training.*, model.* and dataset.* parameters.")
    engine: str
    wall_seconds: float | None
    degenerate: bool
    message: str | None
    finished_at: datetime | None
    reused: bool = Field(default=False, description="Measured before the job that lists it.")
    alarm: str | None = Field(default=None, description="What an audit says that refutes the claimed epsilon.")


class GroupCell(Contract):
    """One metric of one group: mean and 95 % Student t interval over seeds, each seed's runs averaged first."""

    mean: float | None
    low: float | None = Field(description="None below two seeds.")
    high: float | None
    seeds: int = Field(description="Seeds with a number.")
    runs: int = Field(description="Runs with a number.")
    balanced: bool = Field(description="Every seed has numbers of equally many settings.")


class RunGroup(Contract):
    """Runs of a job that share what they are grouped by."""

    key: list[JsonValue] = Field(description="The value of each of `by`; null where a run has no such parameter.")
    setting_ids: list[int]
    runs: int
    succeeded: int
    diverged: int
    failed: int
    cells: list[GroupCell] = Field(description="One per metric asked for.")


class RunGroups(Contract):
    """A job's runs in groups, in the job's order."""

    by: list[str]
    can_group_by: list[str]
    metrics: list[str]
    items: list[RunGroup]


class RunColumns(Contract):
    """Chosen metrics of the runs that have a result: `values[m][r]` is metric m of run r, null where there is none."""

    run_ids: list[str]
    metrics: list[str]
    values: list[list[float | None]]


class MeasurementOut(Contract):
    """One number with what it was measured on."""

    run_id: str
    method: str
    seed: int
    epsilon: float | None
    metric: str
    subgroup: str
    split: str
    value: float | None
    n: int | None
    low: float | None
    high: float | None


class RunDetail(Run):
    """A run whole: configuration, results, history, ROC curves and exposed records."""

    config_hash: str
    setting: Setting
    jobs: list[str]
    measurements: list[MeasurementOut]
    history: list[Series]
    rocs: list[Roc]
    exposed: list[Exposed]


class CurvePoint(Contract):
    """One setting of one method: two metrics over its seeds. Intervals are 95 % Student t over seeds."""

    setting_id: int
    method: str
    epsilon: float | None
    params: Params
    label: str
    x: float | None
    x_low: float | None
    x_high: float | None
    y: float | None
    y_low: float | None
    y_high: float | None
    seeds: int
    run_ids: list[str]
    x_seeds: list[float | None]
    y_seeds: list[float | None]
    n: int | None
    degenerate: bool
    diverged: int
    on_frontier: bool = False


class Curve(Contract):
    """Points of one method along its swept parameter; `baseline` marks a non-private reference line."""

    method: str
    title: str
    series: str = Field(description="Names the curve where one method has several: dp_sgd, learning rate 0.1.")
    baseline: bool
    points: list[CurvePoint]


class Curves(Contract):
    """Curves of one or several jobs in two metrics, and a sentence that the data support."""

    x: str
    y: str
    subgroup: str
    split: str
    x_subgroup: str
    curves: list[Curve]
    finding: str
    caption: str


class FrontierPoint(CurvePoint):
    """A setting that no other setting beats on the chosen metrics."""


class Frontier(Contract):
    """The settings that no other beats, best x first, and how many were left out and why."""

    x: str
    y: str
    subgroup: str
    items: list[FrontierPoint]
    considered: int
    degenerate_left_out: int
    caption: str


class MenuMetric(Contract):
    """A metric that was measured, and on whom."""

    name: str
    title: str
    kind: str
    higher_is_better: bool | None
    subgroups: list[str]
    splits: list[str]


class MenuParameter(Contract):
    """A parameter in which the settings differ."""

    name: str
    title: str
    numeric: bool
    values: int = Field(description="How many values it takes.")


class AxisMenu(Contract):
    """What can stand on an axis, in colour or size, of some jobs."""

    metrics: list[MenuMetric]
    parameters: list[MenuParameter]
    methods: list[str]
    epsilons: list[float]
    runs: int
    settings: int


class Figure(Contract):
    """A Plotly figure with the sentence above it, the line below it and the table beside it."""

    name: str
    title: str = Field(description="Plain-language finding computed from the data, or what is shown.")
    caption: str = Field(description="n, seeds, interval, test, data set: one line.")
    figure: dict[str, Any] = Field(description="Plotly JSON: data and layout.")
    columns: list[TableColumn]
    rows: list[list[str | float | int | None]]
    row_settings: list[int | None] = Field(
        default_factory=list, description="Setting that each row is of, where rows are of settings; else empty."
    )
    supported: bool = Field(
        default=False, description="Whether the title is a finding that a test supports; else it says what is drawn."
    )
    unsupported: str | None = Field(
        default=None, description="Why a comparison that was looked for is no finding; None where none was looked for."
    )
    empty: str | None = Field(default=None, description="Why there is nothing to draw yet, and the next step.")


class TableColumn(Contract):
    """A column of the table beside a chart."""

    title: str
    unit: str = ""
    numeric: bool = True


Figure.model_rebuild()
