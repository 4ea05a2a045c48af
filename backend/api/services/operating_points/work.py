"""What an answer is made of: columns from the store, judged by the constraints and ranked by the objectives."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from sqlalchemy.orm import Session

from backend.analysis import alarms as rules
from backend.analysis import operating_point as points
from backend.analysis.labels import EPSILON, Words
from backend.analysis.operating_point import Blocks, Contest, Goal, Limit, Ranking, Statistics, Verdicts
from backend.analysis.table import Floats, Ints
from backend.api.services import alarms, charts
from backend.api.services.tables import RunSet, run_set, words_of
from backend.contracts.catalogue import MetricInfo
from backend.contracts.operating_points import (
    Constraint,
    Objective,
    Question,
)
from backend.contracts.results import Problem
from backend.contracts.spec import INTERSECTION
from backend.contracts.validation import unknown_name
from backend.errors import InvalidRequest


@dataclass(frozen=True)
class Term:
    """One constraint with its numbers: per group `[runs]`, their effective values and statistics per setting."""

    constraint: Constraint
    metric: MetricInfo
    limit: Limit
    groups: list[str]
    columns: list[Floats]
    effective: Floats
    found: list[Statistics]
    binding: Ints

    def at(self, setting: int) -> tuple[Statistics, int]:
        """Statistics of the group that binds, and which it is."""
        which = int(self.binding[setting])
        return self.found[which], which


@dataclass(frozen=True)
class Work:
    """Everything that an answer is made of."""

    question: Question
    runs: RunSet
    words: Words
    blocks: Blocks
    terms: list[Term]
    verdicts: Verdicts
    why_excluded: dict[int, list[str]]
    alarmed: dict[int, str]
    goals: list[Goal]
    metrics: list[MetricInfo]
    contest: Contest | None
    ranking: Ranking
    held: Ints
    tried: Ints
    labels: dict[int, str]

    @property
    def ids(self) -> Ints:
        """Setting ids in the table's order."""
        return self.runs.table.setting_ids

    def label(self, setting: int) -> str:
        """Name of the setting at that place."""
        return self.labels[int(self.ids[setting])]


class Columns:
    """Columns of a set of runs by metric, subgroup and split, with the groups that attributes have."""

    def __init__(self, runs: RunSet) -> None:
        self.runs = runs
        self.there = runs.series() if len(runs.table) else []
        self.known = {metric for metric, _, _ in self.there}

    def one(self, metric: str, subgroup: str, split: str) -> Floats:
        """`[runs]`; NaN where there is no number."""
        if metric == EPSILON:
            values = self.runs.table.epsilon().values
            # What is not private has no bound at all.
            return np.where(np.isnan(values), np.inf, values)
        return self.runs.column(metric, subgroup, split).values

    def members(self, metric: str, family: str, split: str) -> list[str]:
        """Groups of an attribute, or of an intersection, that have a number."""
        wanted = set(family.split(INTERSECTION))
        found = {
            subgroup
            for name, subgroup, of in self.there
            if name == metric
            and of == split
            and "=" in subgroup
            and {part.partition("=")[0] for part in subgroup.split(INTERSECTION)} == wanted
        }
        return sorted(found)


def prepare(session: Session, question: Question) -> Work:
    """Loads and judges. Raises `InvalidRequest` for a metric that is neither known nor measured."""
    words = words_of(session)
    runs = run_set(session, question.job_ids, question.as_of)
    columns = Columns(runs)
    _check_names(question, words, columns.known)
    blocks = Blocks.of(runs.table)
    terms = [_term(one, words, columns, blocks) for one in question.constraints]
    why, alarmed = _excluded(session, question, runs, blocks)
    excluded = np.zeros(len(blocks), dtype=bool)
    excluded[list(why)] = True
    effective = np.stack([t.effective for t in terms], axis=1) if terms else np.zeros((len(blocks), 0))
    verdicts = points.judge(effective, [t.limit for t in terms], excluded)
    metrics = [words.metric(one.metric) for one in question.objectives]
    goals = [_goal(one, m, columns) for one, m in zip(question.objectives, metrics, strict=True)]
    contest = points.Contest(goals, blocks, by_weight=question.rule == "weighted") if goals and len(blocks) else None
    empty = np.zeros(0, dtype=np.int64)
    none = Ranking(empty, empty, (), np.full(len(blocks), np.nan))
    ranking = contest.rank(verdicts.feasible) if contest else none
    worst = [points.worst(t.columns, t.limit) for t in terms]
    held, tried = points.jointly(worst, [t.limit for t in terms], blocks)
    labels = runs.keep("labels", lambda: charts.labels_of(runs.table, words), lambda found: 150 * len(found))
    return Work(
        question,
        runs,
        words,
        blocks,
        terms,
        verdicts,
        why,
        alarmed,
        goals,
        metrics,
        contest,
        ranking,
        held,
        tried,
        labels,
    )


def _check_names(question: Question, words: Words, measured: set[str]) -> None:
    known = measured | set(words.metrics) | {EPSILON}
    named = [(f"constraints.{i}.metric", one.metric) for i, one in enumerate(question.constraints)]
    named += [(f"objectives.{i}.metric", one.metric) for i, one in enumerate(question.objectives)]
    problems = [unknown_name(field, "metric", name, known) for field, name in named if name not in known]
    for i, one in enumerate(question.objectives):
        if one.metric in known and one.higher is None and words.metric(one.metric).higher_is_better is None:
            problems.append(
                Problem(
                    field=f"objectives.{i}.higher",
                    expected="true or false, for a metric that has no better direction",
                    got=one.metric,
                    fix="Say whether higher is better here.",
                )
            )
    if problems:
        first = problems[0]
        raise InvalidRequest(
            f"{first.field}: expected {first.expected}, got {first.got}. {first.fix}", problems=problems
        )


def _term(one: Constraint, words: Words, columns: Columns, blocks: Blocks) -> Term:
    metric = words.metric(one.metric)
    exact = one.metric == EPSILON
    limit = Limit(one.operator == "<=", one.threshold, one.judge, one.share, exact)
    names = [one.subgroup]
    if one.groups != "one" and not exact:
        names = columns.members(one.metric, one.subgroup, one.split)
    values = [columns.one(one.metric, name, one.split) for name in names]
    if not values:
        names, values = [one.subgroup], [np.full(len(blocks.place), np.nan)]
    if one.groups == "worst" and len(values) > 1:
        # Per seed the group that binds; of these numbers the mean, not the worst of the groups' means.
        names, values = [one.subgroup], [points.worst(values, limit)]
    judged = [points.effective(v, blocks, limit) for v in values]
    table = np.stack([e for e, _ in judged])
    # The group whose number is worst; an unknown one outranks them all.
    cost = np.where(np.isnan(table), np.inf, table if limit.upper else -table)
    binding = cost.argmax(axis=0).astype(np.int64)
    return Term(one, metric, limit, names, values, points.worst(list(table), limit), [s for _, s in judged], binding)


def _goal(one: Objective, metric: MetricInfo, columns: Columns) -> Goal:
    higher = one.higher if one.higher is not None else bool(metric.higher_is_better)
    if one.groups == "worst" and one.metric != EPSILON:
        members = [columns.one(one.metric, g, one.split) for g in columns.members(one.metric, one.subgroup, one.split)]
        empty = np.full(len(columns.runs.table), np.nan)
        values = points.worst(members, Limit(not higher, 0.0)) if members else empty
    else:
        values = columns.one(one.metric, one.subgroup, one.split)
        values = np.where(np.isinf(values), np.nan, values)
    return Goal(values, higher, one.tolerance, one.weight, one.low, one.high)


def _excluded(
    session: Session, question: Question, runs: RunSet, blocks: Blocks
) -> tuple[dict[int, list[str]], dict[int, str]]:
    """Why settings are left out whatever their numbers, by place; and every alarm, accepted ones too."""
    table = runs.table
    why: dict[int, list[str]] = {}
    if not question.accept_degenerate and len(blocks):
        for flags, said in (
            (table.degenerate, "predicts one class for nearly everybody on {} of {} seeds: its figures mean nothing"),
            (table.diverged, "training diverged on {} of {} seeds"),
        ):
            counts = blocks.sums(flags.astype(np.float64)).astype(np.int64)
            for s in np.flatnonzero((counts > 0) & (2 * counts >= blocks.sizes)).tolist():
                text = said.format(int(counts[s]), int(blocks.sizes[s]))
                why.setdefault(s, []).append(f"Left out: {text}")
    refuted: dict[str, str] = {}
    for audits in alarms.audits_of(session, list(runs.job_ids)).values():
        for one in rules.refuted(audits):
            refuted.setdefault(one.run, rules.of_run(audits, one.run) or "")
    alarmed: dict[int, str] = {}
    if refuted:
        at = {key: i for i, key in enumerate(table.keys)}
        for run, said in refuted.items():
            if run in at:
                alarmed.setdefault(int(blocks.place[at[run]]), said)
        ids = table.setting_ids
        for s, said in alarmed.items():
            if int(ids[s]) not in question.accept_alarms:
                why.setdefault(s, []).append(f"Left out: {said}")
    return why, alarmed


def feasible_order(work: Work) -> Ints:
    """The best first; what has no objective's number comes last."""
    feasible = np.flatnonzero(work.verdicts.feasible).astype(np.int64)
    ranked = work.ranking.order
    return np.concatenate([ranked, np.setdiff1d(feasible, ranked)]).astype(np.int64)
