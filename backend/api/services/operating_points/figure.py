"""The settings against two metrics, feasible ones lit and infeasible regions shaded."""

from __future__ import annotations

import numpy as np
from sqlalchemy.orm import Session

from backend.analysis import operating_point as points
from backend.analysis.labels import EPSILON
from backend.analysis.operating_point import Statistics
from backend.analysis.operating_words import constraint_text
from backend.analysis.plain import counted, finite
from backend.api.services import charts
from backend.api.services.operating_points.answer import STATUS, caption_of, headline, reasons
from backend.api.services.operating_points.work import Columns, Work, feasible_order, prepare
from backend.contracts.operating_points import (
    FigureQuestion,
    Question,
)
from backend.contracts.public import Figure
from backend.contracts.results import ALL
from backend.contracts.validation import unknown_name
from backend.errors import InvalidRequest
from backend.figures.feasible import MOST_MARKS, MOST_TOLD, Axes, Edge, Mark, edge_text, feasible
from backend.figures.theme import THEMES


def figure(session: Session, question: FigureQuestion) -> Figure:
    """The settings against two metrics, with the infeasible regions shaded where a constraint is on an axis."""
    base = {name: getattr(question, name) for name in Question.model_fields}
    work = prepare(session, Question.model_validate(base))
    columns = Columns(work.runs)
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
    order = np.concatenate([feasible_order(work), rest]).astype(np.int64)
    drawable = np.isfinite(y.mean) & (np.isfinite(x.mean) if question.x != EPSILON else True)
    # What is not drawn is only counted; its reasons are never put into words.
    order = order[drawable[order]]
    told = Told(work)
    marks = [
        _mark(work, s, x, y, told if place >= MOST_TOLD else None, exact=question.x == EPSILON)
        for place, s in enumerate(order[: MOST_MARKS + 1].tolist())
    ]
    edges = []
    for term in work.terms:
        one = term.constraint
        for axis, name, subgroup in (("x", question.x, x_subgroup), ("y", question.y, y_subgroup)):
            same = one.metric == EPSILON or (one.subgroup == subgroup and one.split == question.split)
            if one.metric == name and same and one.groups == "one":
                text = edge_text(work.words, term.metric, upper=term.limit.upper, threshold=one.threshold)
                edges.append(Edge(axis, term.limit.upper, one.threshold, text))
    caption = caption_of(work)
    left = len(work.blocks) - len(order)
    if left:
        caption += f"; {counted(left, 'setting')} without both figures not drawn"
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


class Told:
    """Which constraints settings miss, in words without numbers: the same words for all that miss the same."""

    def __init__(self, work: Work) -> None:
        self._work = work
        self._failing, self._unknown = work.verdicts.shortfall > 0, np.isnan(work.verdicts.shortfall)
        self._said: dict[bytes, list[str]] = {}

    def of(self, s: int) -> list[str]:
        """Of the setting at place `s`."""
        failing, unknown = self._failing[s], self._unknown[s]
        key = failing.tobytes() + unknown.tobytes()
        if key not in self._said:
            texts = [constraint_text(self._work.words, term.constraint) for term in self._work.terms]
            self._said[key] = [
                f"{what}: {'; '.join(text for text, its in zip(texts, flags.tolist(), strict=True) if its)}"
                for what, flags in (("Misses", failing), ("Unknown", unknown))
                if flags.any()
            ]
        return [*self._work.why_excluded.get(s, []), *self._said[key]]


def _chance(work: Work, s: int) -> str:
    if not work.terms:
        return ""
    low, high = points.clopper_pearson(work.held[s : s + 1], work.tried[s : s + 1])
    return (
        f"All hold on {int(work.held[s])} of {int(work.tried[s])} seeds (95 %: {float(low[0]):.2f} to "
        f"{float(high[0]):.2f})"
    )


def _mark(work: Work, s: int, x: Statistics, y: Statistics, told: Told | None, *, exact: bool) -> Mark:
    """The mark of the setting at place `s`; `told`: with no more than which constraints it misses."""
    table = work.runs.table
    info = table.ordered_infos[s]
    ends = (None, None) if exact else (finite(x.low[s]), finite(x.high[s]))
    return Mark(
        setting=info.id,
        method=info.method,
        title=work.words.method(info.method),
        label=work.label(s),
        runs=table.keys[work.blocks.rows(s)],
        status=STATUS[int(work.verdicts.status[s])],
        reasons=reasons(work, s) if told is None else told.of(s),
        chance=_chance(work, s) if told is None else "",
        x=finite(x.mean[s]),
        x_ends=ends,
        y=float(y.mean[s]),
        y_ends=(finite(y.low[s]), finite(y.high[s])),
        seeds=int(y.n[s]),
        winner=s == work.ranking.winner,
    )
