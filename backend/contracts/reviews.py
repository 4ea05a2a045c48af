"""A review: a team's frozen comparison of settings, and all that is said of it.

The snapshot is taken once and holds every number that the review needs. Everything after it is an event; what the
review is now (comments, members, decisions, ratings) is folded from the events.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, JsonValue, StringConstraints, model_validator

from backend.contracts.base import Contract, Params
from backend.contracts.catalogue import MetricInfo
from backend.contracts.results import RunStatus, Split

Role = Literal["author", "reviewer", "approver"]
ReviewStatus = Literal["open", "changes_requested", "approved", "rejected"]
Verdict = Literal["approve", "request_changes", "reject"]
Tested = Literal["primary", "all"]
Level = Literal["nominal", "ordinal", "interval"]
ItemKind = Literal["text", "prediction", "free"]
EventType = Literal[
    "opened",
    "commented",
    "edited",
    "resolved",
    "reopened",
    "member_set",
    "member_removed",
    "decided",
    "withdrew",
    "task_created",
    "rated",
    "task_closed",
]

#: Settings that one review compares at most.
MOST_SETTINGS = 6
#: Items that a rater is given at most, and characters of one.
MOST_ITEMS, MOST_CONTENT = 2000, 20_000


def _printable(name: str) -> str:
    name = " ".join(name.split())
    if not name or not name.isprintable():
        raise ValueError("expected a name of printable characters; write the person's name")
    return name


def _said(text: str) -> str:
    if "\x00" in text:
        raise ValueError("expected a text without null characters; remove them")
    return text


PersonName = Annotated[str, StringConstraints(min_length=1, max_length=100), AfterValidator(_printable)]
Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=10_000), AfterValidator(_said)]
Reason = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=4_000), AfterValidator(_said)]
Title = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200), AfterValidator(_said)]

# --- what is frozen ---------------------------------------------------------------------------------------------------


class SnapshotJob(Contract):
    """A study that the compared settings were taken from."""

    id: str
    name: str


class SnapshotRun(Contract):
    """One training of a compared setting, as it stood at the moment of the snapshot."""

    id: str = Field(description="First 20 hex digits of its configuration hash.")
    config_hash: str
    seed: int
    status: RunStatus
    engine: str
    degenerate: bool
    wall_seconds: float | None
    message: str | None
    finished_at: datetime | None


class SnapshotAudit(Contract):
    """An audit of one run: the lower bound of epsilon that it found beside the claim."""

    run_id: str
    audit: str
    bound: float | None
    claim: float | None
    p_at_claim: float
    above_claim: bool = Field(description="Whether the bound lies above the claim, however likely by chance.")


class SnapshotSetting(Contract):
    """One compared setting: its whole configuration, its runs, and what it claims of privacy."""

    setting_id: int
    hash: str = Field(description="SHA-256 of the configuration.")
    label: str = Field(description="Method and what tells it from the other settings of the review.")
    method: str
    method_title: str
    epsilon: float | None
    params: Params = Field(description="Flat: method.*, training.*, model.* and dataset.* parameters.")
    configuration: dict[str, Any] = Field(description="contracts.runs.Setting, code versions included.")
    context: str = Field(description="Equal for settings on the same data and model: their seeds can be paired.")
    data_hash: str | None
    versions: dict[str, str] = Field(
        description="Hashes of the code: engine, metrics, method, model, dataset, attacks."
    )
    runs: list[SnapshotRun] = Field(description="By seed.")
    claims: dict[str, float] = Field(description="Mean over seeds of every privacy figure of everybody, by metric.")
    audits: list[SnapshotAudit]
    alarms: list[str] = Field(description="What audits say that refutes its claimed epsilon.")
    degenerate: bool = Field(description="Half of its runs or more predict one class for nearly everybody.")
    diverged: int


class SnapshotCell(Contract):
    """One setting's figure in one series. The interval is 95 % Student t over seeds, None below two seeds."""

    mean: float | None
    low: float | None
    high: float | None
    seeds: int = Field(description="Runs with a number.")
    n: int | None = Field(description="Rows it was measured on: the fewest of any run.")
    values: list[float | None] = Field(description="Per run of the setting, in the order of its runs.")


class SnapshotSeries(Contract):
    """One metric of one subgroup on one split: a cell per setting, None where it was not measured."""

    metric: str
    subgroup: str
    split: str
    cells: list[SnapshotCell | None]


class SnapshotPoint(Contract):
    """The operating point that the review is about, as it was chosen."""

    id: str
    setting_id: int
    rule: dict[str, Any]
    numbers: dict[str, Any]
    reason: str
    person: str
    created_at: datetime


class SnapshotPlaced(Contract):
    """One setting on the trade-off. All lists are per run, in the order of their seeds."""

    setting_id: int
    label: str
    method: str
    epsilon: float | None
    params: Params = Field(description="Flat: its method.* and training.* parameters.")
    run_ids: list[str]
    seeds: list[int]
    x: list[float | None]
    y: list[float | None]
    n: list[int | None] = Field(description="Rows that y was measured on.")
    degenerate: list[bool]
    diverged: list[bool]


class SnapshotCurve(Contract):
    """Settings that one line joins, in its order."""

    method: str
    title: str
    name: str
    private: bool
    setting_ids: list[int]


class SnapshotTradeoff(Contract):
    """The trade-off that the settings were chosen from: the compared settings among the others of their studies."""

    x: MetricInfo
    y: MetricInfo
    x_subgroup: str
    y_subgroup: str
    split: str
    titles: dict[str, str] = Field(description="Of the attributes that the subgroups name.")
    curves: list[SnapshotCurve]
    settings: list[SnapshotPlaced]
    sentence: str = Field(description="What it showed, or what it shows.")
    supported: bool
    unsupported: str | None
    caption: str


class Snapshot(Contract):
    """Everything that a review rests on. It never changes and needs nothing else."""

    format: Literal[1, 2] = Field(default=2, description="1: without the trade-off.")
    review_id: str
    title: str
    question: str
    author: str
    moment: datetime
    equipoise: str = Field(description="Version of the program that took it.")
    required_approvals: int
    jobs: list[SnapshotJob]
    view: dict[str, JsonValue] = Field(description="Search parameters of the page that it was made on.")
    settings: list[SnapshotSetting]
    metrics: list[MetricInfo] = Field(description="What each metric meant then.")
    parameter_titles: dict[str, str]
    subgroup_titles: dict[str, str]
    series: list[SnapshotSeries]
    cut: str | None = Field(description="What was left out to bound the size, None: nothing.")
    operating_point: SnapshotPoint | None = None
    tradeoff: SnapshotTradeoff | None = Field(default=None, description="None where nothing could be drawn.")


# --- what is said of it -----------------------------------------------------------------------------------------------


class Anchor(Contract):
    """What a comment is about. `kind` says which fields count."""

    kind: Literal["review", "setting", "run", "subgroup", "metric", "chart", "selection"] = "review"
    setting_ids: list[int] = Field(default_factory=list, max_length=MOST_SETTINGS, description="setting: one.")
    run_ids: list[str] = Field(default_factory=list, max_length=200, description="run: one. selection: any number.")
    subgroup: str | None = Field(default=None, max_length=300)
    metric: str | None = Field(default=None, max_length=64)
    split: Split | None = None
    chart: str | None = Field(default=None, max_length=64, description="Name of a figure.")

    @model_validator(mode="after")
    def _complete(self) -> Anchor:
        needed: dict[str, bool] = {
            "review": True,
            "setting": len(self.setting_ids) == 1,
            "run": len(self.run_ids) == 1,
            "subgroup": self.subgroup is not None,
            "metric": self.metric is not None,
            "chart": self.chart is not None,
            "selection": bool(self.setting_ids or self.run_ids),
        }
        if not needed[self.kind]:
            field = {
                "setting": "one setting_ids",
                "run": "one run_ids",
                "selection": "setting_ids or run_ids",
            }.get(self.kind, self.kind)
            raise ValueError(f"expected {field} for an anchor of kind {self.kind}; name what the comment is about")
        return self


class Member(Contract):
    """Somebody's part in a review."""

    name: PersonName
    role: Role


class NewReview(Contract):
    """A selection that becomes a review."""

    title: Title
    question: str = Field(default="", max_length=4_000, description="What the team is to decide.")
    job_ids: list[str] = Field(min_length=1, max_length=50)
    setting_ids: list[int] = Field(min_length=1, max_length=MOST_SETTINGS, description="Settings to compare.")
    view: dict[str, JsonValue] = Field(default_factory=dict, description="The explorer's search parameters.")
    required_approvals: int = Field(default=1, ge=1, le=20)
    members: list[Member] = Field(default_factory=list, max_length=50, description="Besides you, who are its author.")
    operating_point: str | None = Field(default=None, max_length=12, description="Id of a chosen operating point.")

    @model_validator(mode="after")
    def _distinct(self) -> NewReview:
        for what, values in (
            ("setting_ids", self.setting_ids),
            ("job_ids", self.job_ids),
            ("members", [m.name for m in self.members]),
        ):
            if len(set(values)) != len(values):
                raise ValueError(f"expected each of {what} once; remove the repetition")
        return self


class NewComment(Contract):
    """A comment that begins a thread, or with `thread` answers in one. `@Name` mentions somebody known here."""

    text: Text
    anchor: Anchor = Field(default_factory=Anchor, description="For a new thread; an answer has its thread's.")
    thread: int | None = Field(default=None, description="Thread that this answers in.")


class EditedComment(Contract):
    """The text that a comment has from now on; the old one stays in the history."""

    text: Text


class NewDecision(Contract):
    """Your decision. It replaces your earlier one."""

    decision: Verdict
    reason: Reason


class WithdrawnDecision(Contract):
    """Why a decision no longer stands."""

    reason: Reason


class MemberChange(Contract):
    """A person's role; None takes them off the review."""

    name: PersonName
    role: Role | None


class Comment(Contract):
    """One comment as it reads now."""

    id: int = Field(description="Number of the event that made it.")
    person: str
    text: str
    mentions: list[str]
    created_at: datetime
    edited_at: datetime | None = None
    earlier: list[str] = Field(default_factory=list, description="Texts that it had before, oldest first.")


class Thread(Contract):
    """A comment, its answers, and whether it is settled."""

    id: int = Field(description="Id of its first comment.")
    anchor: Anchor
    resolved: bool
    resolved_by: str | None = None
    comments: list[Comment]


class Decision(Contract):
    """A decision that stands."""

    person: str
    role: Role | None = Field(description="The person's role now, None: no longer a member.")
    given_as: Role = Field(description="The role in which it was made.")
    decision: Verdict
    reason: str
    created_at: datetime
    counts: bool = Field(description="Whether it has weight: an approval only if made by an approver who still is one.")

    def by(self) -> str:
        """The role in which it was made, and what became of it."""
        if self.role is None:
            return "no longer a member"
        return self.given_as if self.role == self.given_as else f"as {self.given_as}, now {self.role}"


class ReviewEvent(Contract):
    """One entry of the history. `redacted`: what is blind until a rating task closes is left out."""

    number: int
    type: str = Field(description="One of EventType, unless the history was altered.")
    person: str
    created_at: datetime
    data: dict[str, Any]
    previous: str
    hash: str
    redacted: bool = False


class Verification(Contract):
    """Whether snapshot, history and header are what they were when they were written."""

    intact: bool
    events: int = Field(description="Entries found.")
    head: str = Field(description="Hash of the last entry. Kept elsewhere, it proves later that nothing was rewritten.")
    problems: list[str] = Field(description="What is wrong, each a sentence.")
    sentence: str


class Newer(Contract):
    """Runs that ended after the snapshot. They change nothing in it."""

    runs: int
    run_ids: list[str] = Field(description="The first 50.")
    of_settings: int = Field(description="Those of the compared settings.")
    deleted_jobs: list[SnapshotJob] = Field(description="Studies of the snapshot that were deleted since.")
    sentence: str


class You(Contract):
    """What the review is to whoever asks."""

    name: str
    role: Role | None
    asked: list[str] = Field(description="What is asked of you, each a sentence.")
    may_decide: bool
    may_manage: bool
    refusal: str | None = Field(description="Why you may not approve, None: you may.")


class TaskSummary(Contract):
    """A rating task as the review lists it."""

    id: int = Field(description="Number of the event that made it.")
    title: str
    person: str
    created_at: datetime
    closed: bool
    items: int
    raters: list[str]
    rated: dict[str, int] = Field(description="Items that each rater has answered, `unsure` included.")


class ReviewSummary(Contract):
    """A review as lists show it."""

    id: str
    title: str
    question: str
    status: ReviewStatus
    author: str
    created_at: datetime
    events: int
    settings: int
    members: list[Member]
    approvals: int
    required_approvals: int
    asked: list[str] = Field(default_factory=list, description="What is asked of whoever asks for the list.")


class ReviewDetail(ReviewSummary):
    """A review whole, but for the snapshot's series, which `/snapshot` and `/comparison` give."""

    missing: str = Field(description="What it needs to be approved, or what it is, in one sentence.")
    moment: datetime = Field(description="Of the snapshot.")
    jobs: list[SnapshotJob]
    view: dict[str, JsonValue]
    compared: list[SnapshotSetting]
    operating_point: SnapshotPoint | None
    cut: str | None
    alarms: list[str]
    threads: list[Thread]
    decisions: list[Decision]
    tasks: list[TaskSummary]
    verification: Verification
    newer: Newer
    you: You | None = Field(description="None where nobody says who asks.")


# --- the comparison ---------------------------------------------------------------------------------------------------


class ComparedParameter(Contract):
    """One parameter of all compared settings; None where a setting has no such parameter."""

    name: str
    title: str
    values: list[JsonValue]
    texts: list[str | None]
    differs: bool


class PairTest(Contract):
    """Two settings on the seeds that both have: a less b. Intervals are 95 %; reductions in per cent of b's mean."""

    a: int
    b: int
    pairs: int
    difference: float | None
    low: float | None
    high: float | None
    reduction: float | None
    reduction_low: float | None
    reduction_high: float | None
    rank_biserial: float | None
    p: float | None = Field(description="Exact Wilcoxon signed-rank test, two-sided.")
    corrected: float | None = Field(description="By Holm over all tests of this answer.")
    p_permutation: float | None = Field(description="Sign-flip permutation test of the mean difference.")
    corrected_permutation: float | None
    reachable: bool = Field(description="Whether any outcome with so many pairs could have p < 0.05, uncorrected.")
    sentence: str


class ComparedRow(Contract):
    """One metric of one subgroup over all compared settings."""

    metric: str
    subgroup: str
    title: str
    subgroup_title: str
    unit: str
    higher_is_better: bool | None
    small: bool = Field(description="Measured on so few rows that it says little.")
    cells: list[SnapshotCell | None]
    best: list[int] = Field(description="Settings with the best mean; empty where no direction is better.")
    tests: list[PairTest] = Field(description="Empty where the figure is shown and not tested.")


class ComparableMetric(Contract):
    """What the snapshot holds of a metric on this split."""

    metric: str
    title: str
    subgroups: list[str]


class Comparison(Contract):
    """Settings side by side, from the snapshot alone: the same request always has the same answer."""

    split: str
    settings: list[SnapshotSetting]
    parameters: list[ComparedParameter]
    rows: list[ComparedRow]
    available: list[ComparableMetric]
    tests: int = Field(description="Tests that the correction is over.")
    family: str = Field(description="Which figures are tested, and how many tests that makes: one sentence.")
    notes: list[str]
    findings: list[str] = Field(
        description="What the tests support, each a sentence; empty where they support nothing."
    )


# --- rating -----------------------------------------------------------------------------------------------------------


class ScalePoint(Contract):
    """One answer."""

    value: float
    label: str = Field(default="", max_length=100)


class Scale(Contract):
    """The answers that a rater may give."""

    points: list[ScalePoint] = Field(min_length=2, max_length=11)
    unsure: bool = Field(default=True, description="Whether `unsure` is an answer; it counts as missing.")
    level: Level = Field(default="ordinal", description="How far apart answers are, for the agreement.")

    @model_validator(mode="after")
    def _distinct(self) -> Scale:
        if len({p.value for p in self.points}) != len(self.points):
            raise ValueError("expected points with different values; change one")
        return self


class NewItem(Contract):
    """What a rater sees, and what stays hidden until the task is closed."""

    content: Annotated[str, StringConstraints(min_length=1, max_length=MOST_CONTENT), AfterValidator(_said)]
    kind: ItemKind = "text"
    hidden: dict[str, str | float | None] = Field(
        default_factory=dict, max_length=20, description="Such as method, scorer, score, subgroup."
    )


class Sample(Contract):
    """Draws items from a longer list."""

    size: int = Field(ge=1, le=MOST_ITEMS)
    by: str | None = Field(default=None, max_length=64, description="Hidden field whose values are the strata.")
    allocation: Literal["proportional", "equal"] = "proportional"


class NewTask(Contract):
    """Items to be rated without knowing where they come from. Give `items`, or `csv` with a column `content`."""

    title: Title
    instructions: str = Field(default="", max_length=4_000)
    warning: str = Field(default="", max_length=1_000, description="Shown before any item is uncovered.")
    items: list[NewItem] = Field(default_factory=list, max_length=20_000)
    csv: str | None = Field(default=None, description="Columns: content, kind (optional); all others are hidden.")
    scale: Scale
    raters: list[PersonName] = Field(min_length=1, max_length=50)
    sample: Sample | None = None
    seed: int = Field(default=0, ge=0, lt=2**63, description="Of the sample and of each rater's order.")

    @model_validator(mode="after")
    def _one_source(self) -> NewTask:
        if bool(self.items) == (self.csv is not None):
            raise ValueError("expected either items or csv; give one of them")
        if len(set(self.raters)) != len(self.raters):
            raise ValueError("expected each rater once; remove the repetition")
        return self


class NewRating(Contract):
    """An answer; without a value it is `unsure`."""

    item: int
    value: float | None
    note: str = Field(default="", max_length=1_000)


class NewRatings(Contract):
    """Answers, or as CSV with the columns item, value and, optionally, note."""

    ratings: list[NewRating] = Field(default_factory=list, max_length=MOST_ITEMS)
    csv: str | None = None

    @model_validator(mode="after")
    def _one_source(self) -> NewRatings:
        if bool(self.ratings) == (self.csv is not None):
            raise ValueError("expected either ratings or csv; give one of them")
        return self


class TaskItem(Contract):
    """An item as a rater sees it. `hidden` is empty until the task is closed."""

    id: int
    kind: ItemKind
    content: str
    hidden: dict[str, str | float | None]
    rating: NewRating | None = Field(default=None, description="Your answer so far.")


class AlphaOut(Contract):
    """Krippendorff's alpha with a 95 % percentile bootstrap interval over items; None where it is not defined."""

    level: Level
    value: float | None
    low: float | None
    high: float | None
    items: int = Field(description="Items with two answers or more.")
    answers: int = Field(description="Answers to these items.")
    sentence: str


class RaterPair(Contract):
    """Two raters: items that both answered, and on how many their answers are equal."""

    a: str
    b: str
    items: int
    equal: int


class HiddenMean(Contract):
    """Mean answer of the items with one hidden value; the interval is 95 % Student t over items."""

    field: str
    value: str
    mean: float | None
    low: float | None
    high: float | None
    items: int
    answers: int
    unsure: int


class TaskResults(Contract):
    """What a closed task gave."""

    agreement: list[AlphaOut] = Field(description="The scale's own level first, the others for comparison.")
    pairs: list[RaterPair]
    by_hidden: list[HiddenMean]
    not_blind: list[str] = Field(description="Raters who made the task and may have known what was hidden.")
    sentence: str


class Task(TaskSummary):
    """A rating task: for a rater the items in their own order, once it is closed everything."""

    instructions: str
    warning: str
    scale: Scale
    seed: int | None = Field(description="None until it is closed.")
    sampled: str | None = Field(description="How the items were drawn.")
    hidden_fields: list[str] = Field(description="Empty until it is closed.")
    content: list[TaskItem]
    unanswered: int = Field(description="Of whoever asks.")
    results: TaskResults | None = Field(description="None until it is closed.")


class ReviewExport(Contract):
    """A review as one document: snapshot, history and verification."""

    review: ReviewDetail
    snapshot: Snapshot
    history: list[ReviewEvent]
