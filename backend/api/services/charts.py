"""From the store to curves and frontier: loads columns, settles what was left open, hands over to the analysis."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from pydantic import BaseModel, Field
from sqlalchemy.orm import Session

from backend.analysis import choice as choosing
from backend.analysis import findings
from backend.analysis.curves import (
    PARAMETER,
    Axis,
    Points,
    SettingSeries,
    build_curves,
    curve_points,
    point_labels,
    points_of,
    series_of,
)
from backend.analysis.labels import EPSILON, Words, is_family
from backend.analysis.plain import counted
from backend.analysis.table import Column, Flags, Floats, Ints, RunTable
from backend.api.services.tables import RunSet, catalogue_of, run_set, setting_info, words_of
from backend.contracts.catalogue import MetricInfo
from backend.contracts.public import Curves, Frontier, FrontierPoint
from backend.contracts.results import ALL, Problem, Split
from backend.contracts.validation import unknown_name
from backend.errors import InvalidRequest
from backend.store import jobs

__all__ = [
    "Loaded",
    "Request",
    "catalogue_of",
    "curves",
    "frontier",
    "load",
    "load_table",
    "run_set",
    "setting_info",
    "words_of",
]

AUTO, EVERY = "auto", "all"
LOSS = "loss"


class Request(BaseModel):
    """What is to be drawn of which jobs."""

    job_id: list[str]
    x: str = EPSILON
    y: str = "loss_gap"
    subgroup: str | None = None
    x_subgroup: str | None = None
    split: Split = "test"
    choose: str = AUTO
    as_of: datetime | None = None
    degenerate: bool = False
    #: Of these settings alone, all of which are drawn; empty: of all.
    settings: list[int] = Field(default_factory=list)


@dataclass(frozen=True)
class Loaded:
    """A chart's data: the runs that are drawn, both axes, and what was decided on the way."""

    table: RunTable
    x: Axis
    y: Axis
    words: Words
    choice: choosing.Choice | None
    chosen_by: MetricInfo | None
    loss: Column | None
    left_out: int
    runs: RunSet
    menu: Sequence[tuple[str, str, str]]
    column: Callable[[str, str, str], Column]


def attack_titles(session: Session) -> dict[str, str]:
    """Attacks of the newest catalogue."""
    catalogue = catalogue_of(session)
    return {} if catalogue is None else {p.name: p.title for p in catalogue.plugins if p.kind == "attack"}


def labels_of(table: RunTable, words: Words) -> dict[int, str]:
    """A name for every setting that tells it from the others of its method."""
    return point_labels(table, [setting for setting, _ in table.blocks()], words)


def load_table(session: Session, job_ids: Sequence[str], as_of: datetime | None = None) -> RunTable:
    """Runs of these jobs. Raises `NotFound` for a job that does not exist."""
    return run_set(session, job_ids, as_of).table


def load(session: Session, request: Request) -> Loaded:
    """Everything that a trade-off needs. Raises `InvalidRequest` for a metric that neither is known nor measured."""
    words = words_of(session)
    whole = run_set(session, request.job_id, request.as_of)
    menu = whole.series() if len(whole.table) else []
    subgroups: dict[str, list[str]] = {}
    for metric, subgroup, split in menu:
        if split == request.split:
            subgroups.setdefault(metric, []).append(subgroup)
    names = {"x": request.x, "y": request.y}
    _require_known({f: n for f, n in names.items() if not is_parameter(n)}, words, {metric for metric, _, _ in menu})
    order = _subgroup_order(session, request.job_id)
    y_subgroup = resolve_subgroup(request.subgroup, subgroups.get(request.y, []), order)
    x_wanted = request.x_subgroup if request.x_subgroup is not None else y_subgroup
    x_subgroup = resolve_subgroup(x_wanted, subgroups.get(request.x, []), order, lenient=request.x_subgroup is None)
    table, choice, by, mask = chosen(whole, request, words)

    def column(metric: str, subgroup: str, split: str) -> Column:
        if is_parameter(metric):
            return table.per_setting(parameter_values(table, metric))
        if mask is None:
            return whole.column(metric, subgroup, split)
        return whole.part(metric, subgroup, split, mask, (request.choose, tuple(request.settings)))

    x = Axis(axis_metric(table, request.x, words), x_subgroup, column(request.x, x_subgroup, request.split))
    y = Axis(axis_metric(table, request.y, words), y_subgroup, column(request.y, y_subgroup, request.split))
    loss = column(LOSS, ALL, request.split) if request.y != LOSS else None
    loss = None if loss is None or loss.empty else loss
    left_out = len(whole.table.starts) - len(table.starts)
    return Loaded(table, x, y, words, choice, by, loss, left_out, whole, menu, column)


def is_parameter(name: str) -> bool:
    """Whether a name is a flat parameter, such as training.learning_rate, and not a metric."""
    return "." in name


def parameter_values(table: RunTable, name: str) -> Floats:
    """A numeric parameter of each setting, `[settings]`; NaN where it is absent, no number, or left at its default."""
    found = [info.params.get(name) for info in table.ordered_infos]
    return np.array([v if _numeric(v) else np.nan for v in found], dtype=np.float64)


def _numeric(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def axis_metric(table: RunTable, name: str, words: Words) -> MetricInfo:
    """What an axis shows. A parameter is described as a metric without a better direction.

    Raises `InvalidRequest` for a parameter that no setting has as a number.
    """
    if not is_parameter(name):
        return words.metric(name)
    there = sorted({key for info in table.ordered_infos for key, value in info.params.items() if _numeric(value)})
    if len(table) and name not in there:
        problem = unknown_name("x", "numeric parameter", name, there)
        raise InvalidRequest(f"No setting has a number for {name!r}. {problem.fix}", problems=[problem])
    title = next((words.param(info, name) for info in table.ordered_infos if name in info.params), name)
    return MetricInfo(
        name=name.replace(".", "_"),
        title=title[:1].upper() + title[1:],
        explanation="A parameter of the settings.",
        family=PARAMETER,
        higher_is_better=None,
        kind="cost",
    )


def _require_known(named: dict[str, str], words: Words, measured: set[str]) -> None:
    known = measured | set(words.metrics) | {EPSILON}
    problems = [unknown_name(field, "metric", name, known) for field, name in named.items() if name not in known]
    if problems:
        first = problems[0]
        raise InvalidRequest(
            f"{first.field}: expected {first.expected}, got {first.got}. {first.fix}", problems=problems
        )


def _subgroup_order(session: Session, job_ids: Sequence[str]) -> list[str]:
    """Attributes and intersections in the order in which the jobs ask for them."""
    order: list[str] = []
    for job_id in job_ids:
        for choice in jobs.get(session, job_id).spec["dataset"].get("subgroups", []):
            name = choice if isinstance(choice, str) else " & ".join(choice)
            if name not in order:
                order.append(name)
    return order


def resolve_subgroup(wanted: str | None, there: Sequence[str], order: Sequence[str], *, lenient: bool = False) -> str:
    """The subgroup that is drawn.

    What was asked for if it has numbers. A gap has none for everybody, and an accuracy none for "by sex": then
    everybody, or the first attribute, is meant. A single subgroup is never replaced by another one unless `lenient`.
    """
    if wanted is not None and (wanted in there or not there):
        return wanted
    if wanted is None or wanted == ALL or is_family(wanted) or lenient:
        if ALL in there:
            return ALL
        ranked = sorted(there, key=lambda name: (order.index(name) if name in order else len(order), len(name), name))
        if ranked:
            return ranked[0]
    return wanted if wanted is not None else ALL


def chosen(
    whole: RunSet, request: Request, words: Words
) -> tuple[RunTable, choosing.Choice | None, MetricInfo | None, Flags | None]:
    """The runs that are drawn, how they were chosen and by which metric, and which of the set's runs they are.

    Whoever asks for many axes of the same settings waits for the choice once.
    """
    if request.settings:
        own = whole.table.only(request.settings)
        return whole.table.take(own), None, None, own
    if request.choose == EVERY or not len(whole.table):
        return whole.table, None, None, None

    def make() -> tuple[RunTable, choosing.Choice | None, MetricInfo | None, Flags | None]:
        choice, by = _choice(whole, request.choose, words)
        if choice is None:
            return whole.table, None, None, None
        mask = whole.table.only(choice.settings)
        return whole.table.take(mask), choice, by, mask

    # Without a choice nothing is kept that is not there already.
    return whole.keep(
        ("chosen", request.choose),
        make,
        lambda found: 100 + (0 if found[3] is None else 200 * len(found[0]) + len(found[3])),
    )


def choice_of(
    session: Session, request: Request, table: RunTable, words: Words
) -> tuple[choosing.Choice | None, MetricInfo | None]:
    """One setting per method and epsilon, if that was asked for or there are too many to draw; and by which metric."""
    _, choice, by, _ = chosen(run_set(session, request.job_id, request.as_of), request, words)
    return choice, by


def _choice(whole: RunSet, choose: str, words: Words) -> tuple[choosing.Choice | None, MetricInfo | None]:
    by = LOSS if choose == AUTO else choose
    if choose == AUTO and not choosing.crowded(whole.table):
        return None, None
    metric = words.metric(by)
    column = whole.column(by, ALL, "validation")
    if choose == AUTO:
        if column.empty:
            return None, None
        return choosing.choose(whole.table, column, higher_is_better=False), metric
    if metric.higher_is_better is None or column.empty:
        reason = "has no better direction" if not column.empty else "is not measured on the validation split"
        problem = Problem(
            field="choose",
            expected="`auto`, `all`, or a metric measured on the validation split that has a better direction",
            got=f"{by}, which {reason}",
            fix="Use `loss` or `accuracy`, for example.",
        )
        raise InvalidRequest(f"Settings cannot be chosen by {by!r}: it {reason}.", problems=[problem])
    return choosing.choose(whole.table, column, higher_is_better=metric.higher_is_better), metric


def best_of(whole: RunSet, mask: Flags, choose: str, words: Words) -> tuple[choosing.Choice | None, MetricInfo | None]:
    """Of the runs in the mask one setting per method and epsilon, for what can draw one only; and by which metric.

    By the validation loss where no metric was asked for. None where nothing is measured that it could go by.
    """
    if choose not in (AUTO, EVERY):
        # Says what is wrong with a metric that nothing can be chosen by.
        _choice(whole, choose, words)
    by = LOSS if choose in (AUTO, EVERY) else choose
    metric, column = words.metric(by), whole.column(by, ALL, "validation")
    own = Column(column.values[mask], column.n[mask])
    if own.empty:
        return None, None
    return choosing.choose(whole.table.take(mask), own, higher_is_better=bool(metric.higher_is_better)), metric


# --- answers ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Drawn:
    """What a trade-off shows: points, the curves that they form, their names, and what the data support."""

    points: Points
    series: list[SettingSeries]
    labels: Mapping[int, str]
    finding: findings.Finding
    caption: str


def drawn_of(loaded: Loaded, request: Request) -> Drawn:
    """The same from loaded data. Names do not depend on the axes: they are kept with the runs."""
    points = points_of(loaded.table, loaded.x, loaded.y, degenerate=request.degenerate)
    series, labels = names_of(loaded, request)
    finding = findings.tradeoff(points, series, loaded.x, loaded.y, loaded.loss, loaded.words)
    said = caption(loaded, request.split, points.y.seeds, finding.method)
    return Drawn(points, series, labels, finding, said)


def names_of(loaded: Loaded, request: Request) -> tuple[list[SettingSeries], Mapping[int, str]]:
    """The curves that the drawn settings form, and a name of each setting."""

    def make() -> tuple[Words, list[SettingSeries], Mapping[int, str]]:
        series = series_of(loaded.table, loaded.words, joined=loaded.choice is not None)
        return loaded.words, series, labels_of(loaded.table, loaded.words)

    def size(found: tuple[Words, list[SettingSeries], Mapping[int, str]]) -> int:
        return 300 * len(found[1]) + 200 * len(found[2])

    # A new catalogue may have other titles: words are part of the name under which this is kept.
    _, series, labels = loaded.runs.keep(
        ("names", request.choose, tuple(request.settings), id(loaded.words)), make, size
    )
    return series, labels


def curves(session: Session, request: Request) -> Curves:
    """Curves, finding and caption."""
    loaded = load(session, request)
    drawn = drawn_of(loaded, request)
    return Curves(
        x=request.x,
        y=request.y,
        subgroup=loaded.y.subgroup,
        split=request.split,
        x_subgroup=loaded.x.subgroup,
        curves=build_curves(drawn.points, drawn.series, loaded.x, loaded.y, drawn.labels),
        finding=drawn.finding.sentence,
        caption=drawn.caption,
    )


def frontier(session: Session, request: Request) -> Frontier:
    """Settings that no other beats. Raises `InvalidRequest` where a metric has no better direction."""
    loaded = load(session, request)
    problems = [
        Problem(
            field=field,
            expected="a metric of which lower or higher is better",
            got=axis.metric.name,
            fix="Choose another metric, such as loss.",
        )
        for field, axis in (("x", loaded.x), ("y", loaded.y))
        if axis.metric.higher_is_better is None
    ]
    if problems:
        raise InvalidRequest("A frontier needs two metrics that have a better direction.", problems=problems)
    points = points_of(loaded.table, loaded.x, loaded.y, degenerate=request.degenerate)
    _, labels = names_of(loaded, request)
    ill = 0 if request.degenerate else int(points.degenerate.sum())
    undefined = int((~points.drawable).sum())
    considered = int((points.drawable & (request.degenerate | ~points.degenerate)).sum())
    best = curve_points(points, loaded.x, loaded.y, labels, np.flatnonzero(points.on_frontier).tolist())
    best.sort(key=lambda p: ((p.x or 0.0) * (-1 if loaded.x.metric.higher_is_better else 1), p.setting_id))
    words = [caption(loaded, request.split, points.y.seeds, "")]
    if ill:
        words.append(f"{counted(ill, 'degenerate setting')} left out")
    if undefined:
        words.append(f"{counted(undefined, 'setting')} without both figures not considered")
    return Frontier(
        x=request.x,
        y=request.y,
        subgroup=loaded.y.subgroup,
        items=[FrontierPoint.model_validate(p.model_dump()) for p in best],
        considered=considered,
        degenerate_left_out=ill,
        caption="; ".join(words),
    )


def caption(loaded: Loaded, split: str, seeds: Sequence[int] | Ints, extra: str) -> str:
    """The line below a chart: data, n, seeds, interval, what was left out, how settings were chosen, the test."""
    table, words = loaded.table, loaded.words
    if not len(table):
        return "No results yet"
    datasets = sorted({words.dataset(name) for name in {info.dataset for info in table.ordered_infos}})
    parts = [f"{', '.join(datasets)}, {split} split"]
    n = loaded.y.column.n[loaded.y.column.n > 0]
    if len(n):
        smallest = "smallest subgroup n" if is_family(loaded.y.subgroup) else "n"
        low, high = int(n.min()), int(n.max())
        parts.append(f"{smallest} = {low:,}" if low == high else f"{smallest} = {low:,} to {high:,}")
    with_numbers = np.asarray(seeds, dtype=np.int64)
    with_numbers = with_numbers[with_numbers > 0]
    if len(with_numbers):
        low, high = int(with_numbers.min()), int(with_numbers.max())
        many = counted(low, "seed") if low == high else f"{low} to {high} seeds"
        interval = ", no interval" if high == 1 else ", mean with 95 % Student t interval"
        parts.append(many + interval)
    if loaded.choice is not None and loaded.chosen_by is not None:
        tried = f"of {loaded.choice.most}" if loaded.choice.even else f"of up to {loaded.choice.most}"
        parts.append(f"per method and ε the setting {tried} with the best validation {loaded.chosen_by.name}")
    diverged = int(table.diverged.sum())
    if diverged:
        parts.append(f"{counted(diverged, 'diverged run')} left out")
    ill = int(table.degenerate.sum())
    if ill:
        parts.append(f"{counted(ill, 'run')} of models that predict one class, marked ×")
    if extra:
        parts.append(extra)
    return "; ".join(parts)
