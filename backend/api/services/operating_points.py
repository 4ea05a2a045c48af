"""From the store to the operating point: columns, verdicts, the best setting, sentences; what people choose."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from sqlalchemy.orm import Session

from backend.analysis import alarms as rules
from backend.analysis import operating_point as points
from backend.analysis import operating_words as texts
from backend.analysis.labels import EPSILON, Words, lower_first
from backend.analysis.operating_point import Blocks, Contest, Goal, Limit, Ranking, Statistics, Verdicts
from backend.analysis.table import Floats, Ints
from backend.api.services import alarms, charts
from backend.api.services.tables import RunSet, run_set, words_of
from backend.contracts.catalogue import MetricInfo
from backend.contracts.operating_points import (
    Alarmed,
    Chance,
    Checked,
    Choice,
    Constraint,
    ConstraintFacts,
    Feasibility,
    FigureQuestion,
    Frozen,
    Gain,
    Histogram,
    Nearest,
    Objective,
    OperatingPoint,
    Question,
    Rule,
    Sensitivity,
    SettingVerdict,
    Status,
    WeightRange,
    Withdrawn,
)
from backend.contracts.public import Figure
from backend.contracts.results import ALL, Problem
from backend.contracts.spec import INTERSECTION
from backend.contracts.validation import unknown_name
from backend.errors import InvalidRequest, NotFound
from backend.figures.feasible import MOST_MARKS, Axes, Edge, Mark, edge_text, feasible
from backend.figures.theme import THEMES
from backend.store import operating_points as store
from backend.store import people
from backend.store.tables import OperatingPointRow, SettingRow

STATUS: tuple[Status, ...] = ("feasible", "infeasible", "unknown", "excluded")
BINS = 24
#: Settings beside the best that are tested against it.
RIVALS = 3
#: Settings shown where nothing is feasible.
NEAREST = 3


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


# --- loading ----------------------------------------------------------------------------------------------------------


class _Columns:
    """Columns of a set of runs by metric, subgroup and split, with the groups that attributes have."""

    def __init__(self, runs: RunSet) -> None:
        self.runs = runs
        self.there = runs.series() if len(runs.table) else []
        self.known = {metric for metric, _, _ in self.there}

    def one(self, metric: str, subgroup: str, split: str) -> Floats:
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
    columns = _Columns(runs)
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


def _term(one: Constraint, words: Words, columns: _Columns, blocks: Blocks) -> Term:
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


def _goal(one: Objective, metric: MetricInfo, columns: _Columns) -> Goal:
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


# --- the answer -------------------------------------------------------------------------------------------------------


def evaluate(session: Session, question: Question) -> Feasibility:
    """Which settings meet the constraints, which is best, and what each limit costs."""
    return answer(prepare(session, question))


def answer(work: Work) -> Feasibility:
    """The same from loaded data."""
    question, verdicts = work.question, work.verdicts
    limit = question.limit
    met = _feasible_order(work)
    violation = points.violation(verdicts)
    rest = np.flatnonzero(~verdicts.feasible)
    by_need = rest[np.lexsort((rest, np.where(np.isnan(violation[rest]), np.inf, violation[rest])))]
    listed = np.concatenate([met[:limit], by_need[:limit]]).astype(np.int64)
    likely = dict(zip(listed.tolist(), _bootstrap(work, listed).tolist(), strict=True))
    ties = set(work.ranking.ties.tolist())
    counts = [int((verdicts.status == code).sum()) for code in range(4)]
    nearest = _nearest(work, violation) if not counts[points.FEASIBLE] else []
    return Feasibility(
        headline=headline(work),
        sentences=_sentences(work, counts),
        caption=_caption(work),
        settings=len(work.blocks),
        feasible=counts[points.FEASIBLE],
        infeasible=counts[points.INFEASIBLE],
        unknown=counts[points.UNKNOWN],
        excluded=counts[points.EXCLUDED],
        winner=None if work.ranking.winner is None else int(work.ids[work.ranking.winner]),
        met=[_verdict(work, s, likely[s], s in ties) for s in met[:limit].tolist()],
        others=[_verdict(work, s, likely[s], False) for s in by_need[:limit].tolist()],
        constraints=[_facts(work, j) for j in range(len(work.terms))],
        sensitivity=_sensitivity(work),
        weights=_weights(work),
        nearest=nearest,
        alarms=[
            Alarmed(
                setting_id=int(work.ids[s]),
                label=work.label(s),
                alarm=said,
                accepted=int(work.ids[s]) in question.accept_alarms,
            )
            for s, said in list(work.alarmed.items())[:limit]
        ],
    )


def _feasible_order(work: Work) -> Ints:
    """The best first; what has no objective's number comes last."""
    feasible = np.flatnonzero(work.verdicts.feasible).astype(np.int64)
    ranked = work.ranking.order
    return np.concatenate([ranked, np.setdiff1d(feasible, ranked)]).astype(np.int64)


def _bootstrap(work: Work, settings: Ints) -> Floats:
    columns = [c for t in work.terms for c in t.columns]
    limits = [t.limit for t in work.terms for _ in t.columns]
    return points.bootstrap(columns, limits, work.blocks, settings)


def _number(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _check(work: Work, j: int, s: int) -> Checked:
    term = work.terms[j]
    found, which = term.at(s)
    short = float(work.verdicts.shortfall[s, j])
    value = float(term.effective[s])
    interval = not term.limit.exact
    return Checked(
        value=_number(value),
        unbounded=math.isinf(value),
        mean=_number(value if term.limit.exact else found.mean[s]),
        low=_number(found.low[s]) if interval else None,
        high=_number(found.high[s]) if interval else None,
        seeds=int(work.blocks.sizes[s]) if term.limit.exact else int(found.n[s]),
        group=term.groups[which] if len(term.groups) > 1 else None,
        holds=None if math.isnan(short) else short <= 0,
    )


def reasons(work: Work, s: int) -> list[str]:
    """Why a setting is not feasible: exclusions, what fails and by how much, what is unknown."""
    said = list(work.why_excluded.get(s, []))
    for j, term in enumerate(work.terms):
        short = float(work.verdicts.shortfall[s, j])
        if short <= 0:
            continue
        found, which = term.at(s)
        group = term.groups[which] if len(term.groups) > 1 else None
        miss = texts.Miss(
            term.constraint,
            float(term.effective[s]),
            float(found.mean[s]),
            short,
            group,
            int(found.n[s]),
            int(work.blocks.sizes[s]),
        )
        said.append(texts.reason(work.words, term.limit, miss))
    return said


def _verdict(work: Work, s: int, likely: float, tied: bool) -> SettingVerdict:
    table = work.runs.table
    info = table.ordered_infos[s]
    rows = work.blocks.rows(s)
    low, high = points.clopper_pearson(work.held[s : s + 1], work.tried[s : s + 1])
    means = [mean[s] for mean in work.contest.facts.means] if work.contest else []
    weighted = work.question.rule == "weighted" and work.goals
    return SettingVerdict(
        setting_id=info.id,
        label=work.label(s),
        method=info.method,
        epsilon=info.epsilon,
        params=dict(info.params),
        run_ids=list(table.keys[rows])[:50],
        seeds=int(work.blocks.sizes[s]),
        diverged=int(table.diverged[rows].sum()),
        status=STATUS[int(work.verdicts.status[s])],
        reasons=reasons(work, s),
        checks=[_check(work, j, s) for j in range(len(work.terms))],
        objectives=[_number(m) for m in means],
        score=_number(float(work.ranking.score[s])) if weighted else None,
        tied=tied,
        chance=Chance(
            held=int(work.held[s]),
            seeds=int(work.tried[s]),
            low=float(low[0]),
            high=float(high[0]),
            means=_number(likely),
        ),
        alarm=work.alarmed.get(s),
    )


# --- words ------------------------------------------------------------------------------------------------------------


def _constraints_text(work: Work) -> str:
    number = len(work.terms)
    return {1: "the constraint", 2: "both constraints"}.get(number, f"all {number} constraints")


def headline(work: Work) -> str:
    """The finding in one sentence."""
    settings, feasible = len(work.blocks), int(work.verdicts.feasible.sum())
    if not settings:
        return "No results yet"
    if (work.verdicts.status == points.EXCLUDED).all():
        return f"{'The only setting is' if settings == 1 else f'All {settings:,} settings are'} left out"
    if not feasible:
        short = points.violation(work.verdicts)
        some = np.flatnonzero(np.isfinite(short))
        if not len(some):
            return f"No setting is known to meet {_constraints_text(work)}"
        near = int(some[np.argmin(short[some])])
        return f"No setting meets {_constraints_text(work)}; the nearest is {work.label(near)}"
    counted = f"{feasible:,} of {settings:,} settings {'meets' if feasible == 1 else 'meet'} {_constraints_text(work)}"
    if not work.terms:
        counted = f"{feasible:,} of {settings:,} settings, no constraint yet"
    winner = work.ranking.winner
    if winner is None:
        return counted
    if work.question.rule == "weighted":
        return f"{counted}; best by the weighted objectives: {work.label(winner)}"
    first, metric = work.question.objectives[0], work.metrics[0]
    value = points.statistics(work.goals[0].values, work.blocks).mean[winner]
    name = texts.objective_text(work.words, first)
    if len(work.goals) > 1 and work.ranking.left[0] > 1:
        return f"{counted}; best by the {len(work.goals)} objectives in order: {work.label(winner)}"
    return f"{counted}; best in {name}: {work.label(winner)} ({texts.level(metric, float(value))})"


def _sentences(work: Work, counts: Sequence[int]) -> list[str]:
    said: list[str] = []
    winner = work.ranking.winner
    feasible = counts[points.FEASIBLE]
    if winner is not None:
        said += _rivals(work, winner)
        if work.terms:
            said.append(_chance_sentence(work, winner))
        unranked = feasible - len(work.ranking.order)
        if unranked:
            said.append(f"{_count(unranked, 'feasible setting')} without a number for every objective not ranked")
    if counts[points.UNKNOWN]:
        said.append(
            f"{_count(counts[points.UNKNOWN], 'setting')} unknown: something that a constraint needs was not measured"
        )
    if counts[points.EXCLUDED]:
        alarm = sum(s in work.alarmed for s in work.why_excluded)
        ill = counts[points.EXCLUDED] - alarm
        parts = [f"{_count(ill, 'degenerate or diverged setting')}"] if ill else []
        parts += [f"{_count(alarm, 'setting')} whose claimed ε an audit refutes"] if alarm else []
        said.append(f"Left out: {' and '.join(parts)}")
    return said


def _rivals(work: Work, winner: int) -> list[str]:
    order = work.ranking.order[1 : 1 + RIVALS].tolist()
    if not order:
        return []
    tied = set(work.ranking.ties.tolist())
    if work.question.rule == "weighted":
        values, name = points.run_score(work.goals, work.ranking.ranges), "the weighted score"
    else:
        values, name = work.goals[0].values, texts.objective_text(work.words, work.question.objectives[0])
    own = _by_seed(work, values, winner)
    rivals = []
    for s in order:
        theirs = _by_seed(work, values, s)
        both = sorted(set(own) & set(theirs))
        rivals.append(
            texts.Rival(work.label(s), np.array([own[k] for k in both]), np.array([theirs[k] for k in both]), s in tied)
        )
    return texts.rival_sentences(work.label(winner), name, rivals)


def _by_seed(work: Work, values: Floats, s: int) -> dict[int, float]:
    rows = work.blocks.rows(s)
    return dict(zip(work.blocks.seeds[rows].tolist(), values[rows].tolist(), strict=True))


def _chance_sentence(work: Work, s: int) -> str:
    held, tried = int(work.held[s]), int(work.tried[s])
    low, high = points.clopper_pearson(work.held[s : s + 1], work.tried[s : s + 1])
    said = (
        f"{work.label(s)} meets {_constraints_text(work)} on {held} of {tried} seeds: a new training of it would with "
        f"probability {float(low[0]):.2f} to {float(high[0]):.2f} (95 % Clopper-Pearson)"
    )
    likely = float(_bootstrap(work, np.array([s], dtype=np.int64))[0])
    if math.isnan(likely):
        return f"{said}; too few seeds to say how sure the means are"
    return f"{said}; its means meet them in {100 * likely:.0f} % of paired bootstrap resamples of the seeds"


def _caption(work: Work) -> str:
    table, words = work.runs.table, work.words
    if not len(table):
        return "No results yet"
    parts = [", ".join(sorted({words.dataset(info.dataset) for info in table.ordered_infos}))]
    splits = {t.constraint.split for t in work.terms} | {o.split for o in work.question.objectives}
    if splits:
        parts.append(f"{' and '.join(sorted(splits))} split")
    low, high = int(work.blocks.sizes.min()), int(work.blocks.sizes.max())
    parts.append(_count(low, "seed") if low == high else f"{low} to {high} seeds")
    parts += [texts.constraint_text(words, t.constraint) for t in work.terms]
    if any(t.constraint.judge == "sure" for t in work.terms):
        parts.append("intervals are 95 % Student t over seeds")
    ill = sum(s not in work.alarmed for s in work.why_excluded)
    if ill:
        parts.append(f"{_count(ill, 'degenerate or diverged setting')} left out")
    return "; ".join(parts)


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


# --- what limits cost -------------------------------------------------------------------------------------------------


def _facts(work: Work, j: int) -> ConstraintFacts:
    term, verdicts = work.terms[j], work.verdicts
    values = term.effective[np.isfinite(term.effective)]
    low, high = (float(values.min()), float(values.max())) if len(values) else (None, None)
    counts, edges = np.histogram(values, bins=BINS) if len(values) else (np.zeros(0, dtype=np.int64), np.zeros(0))
    failing = int((verdicts.shortfall[:, j] > 0).sum())
    alone = len(points.only_failing(verdicts, j))
    unknown = int(np.isnan(verdicts.shortfall[:, j]).sum())
    title = texts.what(work.words, term.metric, term.constraint.subgroup, term.constraint.groups)
    said = f"{_count(failing, 'setting')} fail it" if failing != 1 else "1 setting fails it"
    if alone:
        said += f", {alone:,} fail nothing else"
    if unknown == len(work.blocks) and unknown:
        said = f"Unknown for every setting: {lower_first(title)} was not measured on the {term.constraint.split} split"
    elif unknown:
        said += f"; unknown for {unknown:,}"
    return ConstraintFacts(
        title=title,
        unit=term.metric.unit,
        better=texts.better(term.metric),
        low=low,
        high=high,
        histogram=Histogram(edges=edges.tolist(), counts=counts.tolist()),
        failing=failing,
        only_failing=alone,
        unknown=unknown,
        sentence=said,
    )


def _sensitivity(work: Work) -> list[Sensitivity]:
    limits = [t.limit for t in work.terms]
    winner = work.ranking.winner
    contest = work.contest
    found = []
    for j, term in enumerate(work.terms):
        relaxed = points.relaxation(work.verdicts, limits, j, contest, work.ranking)
        name = texts.what(work.words, term.metric, term.constraint.subgroup, term.constraint.groups)
        if relaxed is not None:
            gains, told = _gains(work, relaxed.setting)
            to = texts.level(term.metric, relaxed.threshold)
            own = work.label(relaxed.setting)
            counted = f"admits {_count(relaxed.admitted, 'setting')}"
            if told:
                said = f"Relax {lower_first(name)} to {to} and "
                said += (
                    f"gain {told[0]} with {own}" if gains[0].difference > 0 else f"{own} becomes the best: {told[0]}"
                )
                said += "".join(f"; {one}" for one in told[1:])
                if all(one.low is not None and one.high is not None and one.low <= 0 <= one.high for one in gains):
                    said += ". All of that is within the noise over seeds"
            else:
                said = f"Relax {lower_first(name)} to {to}: {counted}, the nearest is {own}"
            found.append(
                Sensitivity(
                    constraint=j,
                    kind="relax",
                    threshold=relaxed.threshold,
                    sentence=said,
                    setting_id=int(work.ids[relaxed.setting]),
                    settings=relaxed.admitted,
                    gains=gains,
                )
            )
        tight = points.tightening(work.verdicts, limits, j, contest, work.ranking) if contest is not None else None
        if tight is not None:
            to = texts.level(term.metric, tight.threshold)
            said = f"Tighten {lower_first(name)} to {to}: that costs nothing, {work.label(winner or 0)} stays the best"
            left = f"{tight.left:,} of {int(work.verdicts.feasible.sum()):,} feasible settings stay"
            found.append(
                Sensitivity(
                    constraint=j,
                    kind="tighten",
                    threshold=tight.threshold,
                    sentence=f"{said}; {left}",
                    setting_id=None,
                    settings=tight.left,
                )
            )
    return found


def _gains(work: Work, s: int) -> tuple[list[Gain], list[str]]:
    """What setting `s` has over the winner in each objective, paired by seed."""
    winner = work.ranking.winner
    if winner is None:
        return [], []
    gains: list[Gain] = []
    told: list[str] = []
    for one, metric, goal in zip(work.question.objectives, work.metrics, work.goals, strict=True):
        values = goal.values if goal.higher else -goal.values
        difference = points.against(values, work.blocks, winner)
        if not np.isfinite(difference.mean[s]):
            continue
        name = texts.objective_text(work.words, one)
        gains.append(
            Gain(
                title=name,
                unit=metric.unit,
                difference=float(difference.mean[s]),
                low=_number(difference.low[s]),
                high=_number(difference.high[s]),
                pairs=int(difference.n[s]),
            )
        )
        leads = not told and difference.mean[s] > 0
        told.append(texts.gain_text(metric, name, difference, s, first=leads))
    return gains, told


def _weights(work: Work) -> list[WeightRange]:
    winner = work.ranking.winner
    if work.question.rule != "weighted" or winner is None or len(work.goals) < 2:
        return []
    normal, _, ranges, known = points.normalised(work.goals, work.blocks, work.verdicts.feasible)
    weights = points.shares(work.goals)
    answer = []
    for i, room in enumerate(points.weight_room(normal, weights, known, winner)):
        name = texts.objective_text(work.words, work.question.objectives[i])
        parts = []
        if room.wins_below is not None:
            parts.append(f"below {100 * room.low:.0f} % {work.label(room.wins_below)} wins")
        if room.wins_above is not None:
            parts.append(f"above {100 * room.high:.0f} % {work.label(room.wins_above)} wins")
        told = "; ".join(parts) or "no other setting wins whatever its weight"
        answer.append(
            WeightRange(
                objective=i,
                weight=float(weights[i]),
                low=room.low,
                high=room.high,
                wins_below=None if room.wins_below is None else int(work.ids[room.wins_below]),
                wins_above=None if room.wins_above is None else int(work.ids[room.wins_above]),
                normalised_from=ranges[i][0],
                normalised_to=ranges[i][1],
                sentence=f"Weight of {name}: {100 * weights[i]:.0f} %; {told}",
            )
        )
    return answer


def _nearest(work: Work, violation: Floats) -> list[Nearest]:
    """The least violating settings, and the thresholds that would admit each."""
    some = np.flatnonzero(np.isfinite(violation))
    found = []
    for s in some[np.argsort(violation[some], kind="stable")][:NEAREST].tolist():
        thresholds, moves = [], []
        for j, term in enumerate(work.terms):
            if work.verdicts.shortfall[s, j] > 0:
                to = points.outward(float(term.effective[s]), term.limit)
                thresholds.append(to)
                name = texts.what(work.words, term.metric, term.constraint.subgroup, term.constraint.groups)
                moves.append(f"{lower_first(name)} to {texts.level(term.metric, to)}")
            else:
                thresholds.append(term.constraint.threshold)
        sentence = f"{work.label(s)} is admitted by relaxing {' and '.join(moves)}"
        found.append(
            Nearest(
                setting_id=int(work.ids[s]), violation=float(violation[s]), sentence=sentence, thresholds=thresholds
            )
        )
    return found


# --- choices ----------------------------------------------------------------------------------------------------------


def choose(session: Session, choice: Choice, person: str) -> OperatingPoint:
    """Stores a choice with the numbers of this moment.

    Raises `InvalidRequest` for a setting that these jobs lack, or that is not feasible unless that is said.
    """
    rule = {name: getattr(choice, name) for name in Rule.model_fields}
    work = prepare(session, Question.model_validate({**rule, "job_ids": choice.job_ids}))
    at = np.flatnonzero(work.ids == choice.setting_id) if len(work.blocks) else np.zeros(0, dtype=np.int64)
    if not len(at):
        problem = Problem(
            field="setting_id",
            expected="a setting with results in these studies",
            got=str(choice.setting_id),
            fix="Take `setting_id` from an evaluation of the same studies.",
        )
        raise InvalidRequest("These studies have no such setting.", problems=[problem])
    s = int(at[0])
    if work.verdicts.status[s] != points.FEASIBLE and not choice.although:
        problem = Problem(
            field="although",
            expected="true, to choose a setting that is not known to meet every constraint",
            got="false",
            fix="Choose a feasible setting, change the constraints, or set `although` to true.",
        )
        raise InvalidRequest(f"{work.label(s)} is not feasible. {'; '.join(reasons(work, s))}.", problems=[problem])
    row = session.get(SettingRow, choice.setting_id)
    if row is None:
        raise NotFound(f"There is no setting {choice.setting_id}.", fix="It may have been deleted.")
    likely = float(_bootstrap(work, np.array([s], dtype=np.int64))[0])
    frozen = Frozen(
        verdict=_verdict(work, s, likely, s in set(work.ranking.ties.tolist())),
        constraints=[texts.constraint_text(work.words, t.constraint) for t in work.terms],
        headline=headline(work),
        caption=_caption(work),
        settings=len(work.blocks),
        feasible=int(work.verdicts.feasible.sum()),
        setting_hash=row.hash,
        data_hash=row.config.get("data_hash"),
        engine_version=str(row.config.get("engine_version", "")),
    )
    stored = store.add(
        session,
        job_ids=choice.job_ids,
        setting_id=choice.setting_id,
        rule=Rule.model_validate(rule).model_dump(mode="json"),
        numbers=frozen.model_dump(mode="json"),
        reason=choice.reason,
        person=person,
    )
    return shown(session, [stored])[0]


def shown(session: Session, rows: Sequence[OperatingPointRow]) -> list[OperatingPoint]:
    """Choices as the API gives them."""
    names = people.names(session, {r.person_id for r in rows} | {r.withdrawn_by for r in rows if r.withdrawn_by})
    return [
        OperatingPoint(
            id=row.id,
            job_ids=row.job_ids,
            setting_id=row.setting_id,
            rule=Rule.model_validate(row.rule),
            numbers=Frozen.model_validate(row.numbers),
            reason=row.reason,
            person=names[row.person_id],
            created_at=row.created_at,
            withdrawn=None
            if row.withdrawn_at is None
            else Withdrawn(
                person=names.get(row.withdrawn_by or 0, ""), at=row.withdrawn_at, reason=row.withdrawn_because or ""
            ),
        )
        for row in rows
    ]


# --- the figure -------------------------------------------------------------------------------------------------------


def figure(session: Session, question: FigureQuestion) -> Figure:
    """The settings against two metrics, with the infeasible regions shaded where a constraint is on an axis."""
    base = {name: getattr(question, name) for name in Question.model_fields}
    work = prepare(session, Question.model_validate(base))
    columns = _Columns(work.runs)
    known = columns.known | set(work.words.metrics) | {EPSILON}
    problems = [
        unknown_name(field, "metric", name, known)
        for field, name in (("x", question.x), ("y", question.y))
        if name not in known
    ]
    if problems:
        raise InvalidRequest(f"There is no metric {problems[0].got}. {problems[0].fix}", problems=problems)

    def placed(metric: str, wanted: str | None) -> tuple[str, Statistics]:
        there = [s for m, s, split in columns.there if m == metric and split == question.split]
        subgroup = ALL if metric == EPSILON else charts.resolve_subgroup(wanted, there, [], lenient=wanted is None)
        values = columns.one(metric, subgroup, question.split)
        return subgroup, points.statistics(np.where(np.isinf(values), np.nan, values), work.blocks)

    y_subgroup, y = placed(question.y, question.subgroup)
    x_subgroup, x = placed(question.x, question.x_subgroup if question.x_subgroup is not None else question.subgroup)
    axes = Axes(work.words.metric(question.x), x_subgroup, work.words.metric(question.y), y_subgroup)
    violation = points.violation(work.verdicts)
    rest = np.flatnonzero(~work.verdicts.feasible)
    rest = rest[np.lexsort((rest, np.where(np.isnan(violation[rest]), np.inf, violation[rest])))]
    order = np.concatenate([_feasible_order(work), rest]).astype(np.int64)
    drawable = np.isfinite(y.mean) & (np.isfinite(x.mean) if question.x != EPSILON else True)
    # What is not drawn is only counted; its reasons are never put into words.
    order = order[drawable[order]]
    marks = [_mark(work, s, x, y, exact=question.x == EPSILON) for s in order[: MOST_MARKS + 1].tolist()]
    edges = []
    for term in work.terms:
        one = term.constraint
        for axis, name, subgroup in (("x", question.x, x_subgroup), ("y", question.y, y_subgroup)):
            same = one.metric == EPSILON or (one.subgroup == subgroup and one.split == question.split)
            if one.metric == name and same and one.groups == "one":
                text = edge_text(work.words, term.metric, upper=term.limit.upper, threshold=one.threshold)
                edges.append(Edge(axis, term.limit.upper, one.threshold, text))
    caption = _caption(work)
    left = len(work.blocks) - len(order)
    if left:
        caption += f"; {_count(left, 'setting')} without both figures not drawn"
    return feasible(
        marks,
        edges,
        axes,
        work.words,
        THEMES[question.theme],
        title=headline(work),
        caption=caption,
        width=question.width,
    )


def _mark(work: Work, s: int, x: Statistics, y: Statistics, *, exact: bool) -> Mark:
    table = work.runs.table
    info = table.ordered_infos[s]
    low, high = points.clopper_pearson(work.held[s : s + 1], work.tried[s : s + 1])
    chance = (
        f"All hold on {int(work.held[s])} of {int(work.tried[s])} seeds (95 %: {float(low[0]):.2f} to "
        f"{float(high[0]):.2f})"
        if work.terms
        else ""
    )
    ends = (None, None) if exact else (_number(x.low[s]), _number(x.high[s]))
    return Mark(
        setting=info.id,
        method=info.method,
        title=work.words.method(info.method),
        label=work.label(s),
        runs=table.keys[work.blocks.rows(s)],
        status=STATUS[int(work.verdicts.status[s])],
        reasons=reasons(work, s),
        chance=chance,
        x=_number(x.mean[s]),
        x_ends=ends,
        y=float(y.mean[s]),
        y_ends=(_number(y.low[s]), _number(y.high[s])),
        seeds=int(y.n[s]),
        winner=s == work.ranking.winner,
    )
