"""Which settings meet the constraints and which is best, in numbers and sentences."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from sqlalchemy.orm import Session

from backend.analysis import operating_point as points
from backend.analysis import operating_words as texts
from backend.analysis.plain import counted, finite
from backend.analysis.table import Floats, Ints
from backend.api.services.operating_points.costs import facts_of, nearest_to, sensitivity_of, weights_of
from backend.api.services.operating_points.work import Work, feasible_order, prepare
from backend.contracts.operating_points import (
    Alarmed,
    Chance,
    Checked,
    Feasibility,
    Question,
    SettingVerdict,
    Status,
)

STATUS: tuple[Status, ...] = ("feasible", "infeasible", "unknown", "excluded")
#: Settings beside the best that are tested against it.
RIVALS = 3


def evaluate(session: Session, question: Question) -> Feasibility:
    """Which settings meet the constraints, which is best, and what each limit costs."""
    return answer(prepare(session, question))


def answer(work: Work) -> Feasibility:
    """The same from loaded data."""
    question, verdicts = work.question, work.verdicts
    limit = question.limit
    met = feasible_order(work)
    violation = points.violation(verdicts)
    rest = np.flatnonzero(~verdicts.feasible)
    by_need = rest[np.lexsort((rest, np.where(np.isnan(violation[rest]), np.inf, violation[rest])))]
    listed = np.concatenate([met[:limit], by_need[:limit]]).astype(np.int64)
    likely = dict(zip(listed.tolist(), chance_of_means(work, listed).tolist(), strict=True))
    ties = set(work.ranking.ties.tolist())
    counts = [int((verdicts.status == code).sum()) for code in range(4)]
    nearest = nearest_to(work, violation) if not counts[points.FEASIBLE] else []
    return Feasibility(
        headline=headline(work),
        sentences=_sentences(work, counts),
        caption=caption_of(work),
        settings=len(work.blocks),
        feasible=counts[points.FEASIBLE],
        infeasible=counts[points.INFEASIBLE],
        unknown=counts[points.UNKNOWN],
        excluded=counts[points.EXCLUDED],
        winner=None if work.ranking.winner is None else int(work.ids[work.ranking.winner]),
        met=[verdict_of(work, s, likely[s], s in ties) for s in met[:limit].tolist()],
        others=[verdict_of(work, s, likely[s], False) for s in by_need[:limit].tolist()],
        constraints=[facts_of(work, j) for j in range(len(work.terms))],
        sensitivity=sensitivity_of(work),
        weights=weights_of(work),
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


def chance_of_means(work: Work, settings: Ints) -> Floats:
    """Share of paired resamples of the seeds in which the means of these settings meet all limits, `[settings]`."""
    columns = [c for t in work.terms for c in t.columns]
    limits = [t.limit for t in work.terms for _ in t.columns]
    return points.bootstrap(columns, limits, work.blocks, settings)


def _check(work: Work, j: int, s: int) -> Checked:
    term = work.terms[j]
    found, which = term.at(s)
    short = float(work.verdicts.shortfall[s, j])
    value = float(term.effective[s])
    interval = not term.limit.exact
    return Checked(
        value=finite(value),
        unbounded=math.isinf(value),
        mean=finite(value if term.limit.exact else found.mean[s]),
        low=finite(found.low[s]) if interval else None,
        high=finite(found.high[s]) if interval else None,
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


def verdict_of(work: Work, s: int, likely: float, tied: bool) -> SettingVerdict:
    """All that is said of the setting at place `s`."""
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
        objectives=[finite(m) for m in means],
        score=finite(float(work.ranking.score[s])) if weighted else None,
        tied=tied,
        chance=Chance(
            held=int(work.held[s]),
            seeds=int(work.tried[s]),
            low=float(low[0]),
            high=float(high[0]),
            means=finite(likely),
        ),
        alarm=work.alarmed.get(s),
    )


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
            said.append(f"{counted(unranked, 'feasible setting')} without a number for every objective not ranked")
    if counts[points.UNKNOWN]:
        said.append(
            f"{counted(counts[points.UNKNOWN], 'setting')} unknown: something that a constraint needs was not measured"
        )
    if counts[points.EXCLUDED]:
        alarm = sum(s in work.alarmed for s in work.why_excluded)
        ill = counts[points.EXCLUDED] - alarm
        parts = [f"{counted(ill, 'degenerate or diverged setting')}"] if ill else []
        parts += [f"{counted(alarm, 'setting')} whose claimed ε an audit refutes"] if alarm else []
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
    likely = float(chance_of_means(work, np.array([s], dtype=np.int64))[0])
    if math.isnan(likely):
        return f"{said}; too few seeds to say how sure the means are"
    return f"{said}; its means meet them in {100 * likely:.0f} % of paired bootstrap resamples of the seeds"


def caption_of(work: Work) -> str:
    """Data, split, seeds and what was left out, in one line."""
    table, words = work.runs.table, work.words
    if not len(table):
        return "No results yet"
    parts = [", ".join(sorted({words.dataset(info.dataset) for info in table.ordered_infos}))]
    splits = {t.constraint.split for t in work.terms} | {o.split for o in work.question.objectives}
    if splits:
        parts.append(f"{' and '.join(sorted(splits))} split")
    low, high = int(work.blocks.sizes.min()), int(work.blocks.sizes.max())
    parts.append(counted(low, "seed") if low == high else f"{low} to {high} seeds")
    parts += [texts.constraint_text(words, t.constraint) for t in work.terms]
    if any(t.constraint.judge == "sure" for t in work.terms):
        parts.append("intervals are 95 % Student t over seeds")
    ill = sum(s not in work.alarmed for s in work.why_excluded)
    if ill:
        parts.append(f"{counted(ill, 'degenerate or diverged setting')} left out")
    return "; ".join(parts)
