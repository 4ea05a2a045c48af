"""Operating points: constraints, objectives, what holds of which setting, and a choice that somebody made."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field, StringConstraints, model_validator

from backend.contracts.base import Contract, Params
from backend.contracts.results import ALL, Split

MetricName = Annotated[str, StringConstraints(min_length=1, max_length=64)]
SubgroupName = Annotated[str, StringConstraints(min_length=1, max_length=300)]
Status = Literal["feasible", "infeasible", "unknown", "excluded"]
#: Settings that one answer lists of each kind, at most.
MOST_LISTED = 500


class Constraint(Contract):
    """One number of a setting against a threshold, both in the metric's unit."""

    metric: MetricName
    subgroup: SubgroupName = Field(default=ALL, description="`all`, a group, or an attribute (gaps; groups).")
    groups: Literal["one", "worst", "every"] = Field(
        default="one",
        description=(
            "`one`: the subgroup as it is. Of an attribute: `worst`, per seed the group that the constraint binds "
            "hardest, or `every`, each group by itself."
        ),
    )
    split: Split = "test"
    operator: Literal["<=", ">="]
    threshold: float
    judge: Literal["mean", "sure", "share"] = Field(
        default="mean",
        description="On the mean over seeds; on the unfavourable end of its 95 % interval; in a share of the seeds.",
    )
    share: float = Field(default=1.0, gt=0, le=1, description="share: of the seeds that must hold it, at least.")

    @model_validator(mode="after")
    def _groups_of_an_attribute(self) -> Constraint:
        check_groups(self.groups, self.subgroup)
        return self


class Objective(Contract):
    """What is to be best among the settings that meet the constraints."""

    metric: MetricName
    subgroup: SubgroupName = ALL
    groups: Literal["one", "worst"] = "one"
    split: Split = "test"
    higher: bool | None = Field(default=None, description="Left out: the better direction of the metric.")
    tolerance: float | None = Field(
        default=None, ge=0, description="lexicographic: what counts as a tie; left out: what seeds cannot tell apart."
    )
    weight: float = Field(default=1.0, gt=0, le=1e6, description="weighted: its share is weight over all weights.")
    low: float | None = Field(default=None, description="weighted: low end of the range that is normalised by.")
    high: float | None = Field(default=None, description="weighted: high end; left out: as feasible settings have.")

    @model_validator(mode="after")
    def _sound(self) -> Objective:
        check_groups(self.groups, self.subgroup)
        if self.low is not None and self.high is not None and self.low >= self.high:
            raise ValueError("low must be below high")
        return self


def check_groups(groups: str, subgroup: str) -> None:
    """Raises `ValueError` where the groups of something are asked for that is no attribute."""
    if groups != "one" and (subgroup == ALL or "=" in subgroup):
        raise ValueError(f"groups: {groups} needs an attribute as subgroup, such as sex")


class Rule(Contract):
    """What a setting must meet, and which of those that do is best."""

    constraints: list[Constraint] = Field(default_factory=list, max_length=20)
    rule: Literal["lexicographic", "weighted"] = "lexicographic"
    objectives: list[Objective] = Field(default_factory=list, max_length=10)
    accept_degenerate: bool = Field(
        default=False, description="Also consider settings that mostly diverged or predict one class for nearly all."
    )
    accept_alarms: list[int] = Field(
        default_factory=list, max_length=1000, description="Settings whose audit alarm is accepted."
    )


class Question(Rule):
    """A rule, and of which jobs."""

    job_ids: list[str] = Field(min_length=1, max_length=50)
    limit: int = Field(default=100, ge=1, le=MOST_LISTED, description="Most settings listed of each kind.")
    as_of: datetime | None = Field(default=None, description="Leave out runs that finished later.")


class FigureQuestion(Question):
    """The same, drawn against two metrics."""

    x: MetricName = "epsilon"
    y: MetricName = "accuracy"
    subgroup: SubgroupName | None = Field(default=None, description="Subgroup of y; left out: as fits.")
    x_subgroup: SubgroupName | None = None
    split: Split = "test"
    theme: Literal["light", "dark"] = "light"
    width: int | None = Field(default=None, ge=200, le=10_000)


class Checked(Contract):
    """One constraint on one setting."""

    value: float | None = Field(description="What is compared with the threshold. None: unknown, or unbounded.")
    unbounded: bool = Field(default=False, description="There is no bound: a method that is not private has no ε.")
    mean: float | None
    low: float | None
    high: float | None
    seeds: int
    group: str | None = Field(default=None, description="The group that binds, where groups are compared.")
    holds: bool | None = Field(description="None: unknown.")


class Chance(Contract):
    """How surely a setting meets all constraints at once."""

    held: int = Field(description="Seeds on which all constraints hold, each on that seed's own numbers.")
    seeds: int = Field(description="Seeds on which all was measured; diverged ones count as failures.")
    low: float = Field(description="Clopper-Pearson 95 % interval of the chance that a new training meets all.")
    high: float
    means: float | None = Field(
        description="Share of paired bootstrap resamples of the seeds in which the means meet all; None: too few seeds."
    )


class SettingVerdict(Contract):
    """One setting: whether it is feasible, and if not, why not."""

    setting_id: int
    label: str
    method: str
    epsilon: float | None
    params: Params
    run_ids: list[str]
    seeds: int
    diverged: int
    status: Status
    reasons: list[str] = Field(description="Which constraints fail and by how much, what is unknown, why excluded.")
    checks: list[Checked]
    objectives: list[float | None] = Field(description="Mean of each objective.")
    score: float | None = Field(default=None, description="weighted: from 0 to 1.")
    tied: bool = Field(default=False, description="Not told apart from the best by the rule.")
    chance: Chance
    alarm: str | None = None


class Histogram(Contract):
    """How a constraint's numbers spread over settings."""

    edges: list[float]
    counts: list[int]


class ConstraintFacts(Contract):
    """What a constraint means and does."""

    title: str
    unit: str
    better: str
    low: float | None = Field(description="Smallest number of any setting.")
    high: float | None
    histogram: Histogram
    failing: int = Field(description="Settings that fail it.")
    only_failing: int = Field(description="Settings that fail it and nothing else.")
    unknown: int
    sentence: str


class Gain(Contract):
    """What another setting has over the chosen one in one objective; positive is better. Paired by seed."""

    title: str
    unit: str
    difference: float
    low: float | None
    high: float | None
    pairs: int


class Sensitivity(Contract):
    """What moving one threshold does. Only settings that were trained are considered."""

    constraint: int
    kind: Literal["relax", "tighten"]
    threshold: float
    sentence: str
    setting_id: int | None = Field(description="relax: the setting that becomes the best.")
    settings: int = Field(description="relax: settings admitted; tighten: feasible settings that stay.")
    gains: list[Gain] = Field(default_factory=list)


class WeightRange(Contract):
    """Between which shares a weight may lie, the others in proportion, before another setting wins."""

    objective: int
    weight: float
    low: float
    high: float
    wins_below: int | None
    wins_above: int | None
    normalised_from: float
    normalised_to: float
    sentence: str


class Nearest(Contract):
    """Where nothing is feasible: a setting close to it, and the thresholds that would admit it."""

    setting_id: int
    violation: float
    sentence: str
    thresholds: list[float]


class Alarmed(Contract):
    """A setting whose claimed epsilon an audit refutes."""

    setting_id: int
    label: str
    alarm: str
    accepted: bool


class Feasibility(Contract):
    """The answer: sentences first, then the settings, then what each limit costs."""

    headline: str
    sentences: list[str]
    caption: str
    settings: int
    feasible: int
    infeasible: int
    unknown: int
    excluded: int
    winner: int | None
    met: list[SettingVerdict] = Field(description="Feasible settings, the best first, at most `limit`.")
    others: list[SettingVerdict] = Field(description="The rest, the nearest first, at most `limit`.")
    constraints: list[ConstraintFacts]
    sensitivity: list[Sensitivity]
    weights: list[WeightRange]
    nearest: list[Nearest]
    alarms: list[Alarmed] = Field(description="At most `limit`; each is left out unless it is accepted.")


Reason = Annotated[str, StringConstraints(min_length=1, max_length=4000, strip_whitespace=True)]


class Choice(Rule):
    """Somebody chooses a setting under a rule, and says why."""

    job_ids: list[str] = Field(min_length=1, max_length=50)
    setting_id: int = Field(ge=1, le=2**62)
    reason: Reason
    although: bool = Field(default=False, description="Choose it although it is not known to meet every constraint.")


class Withdrawal(Contract):
    """Why a choice no longer stands."""

    reason: Reason


class Frozen(Contract):
    """What was known of the setting when it was chosen; it never changes."""

    verdict: SettingVerdict
    constraints: list[str]
    headline: str
    caption: str
    settings: int
    feasible: int
    setting_hash: str
    data_hash: str | None
    engine_version: str


class Withdrawn(Contract):
    """By whom, when and why."""

    person: str
    at: datetime
    reason: str


class OperatingPoint(Contract):
    """A setting that somebody chose."""

    id: str
    job_ids: list[str]
    setting_id: int
    rule: Rule
    numbers: Frozen
    reason: str
    person: str
    created_at: datetime
    withdrawn: Withdrawn | None
