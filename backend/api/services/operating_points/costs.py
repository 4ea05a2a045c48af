"""What limits cost: the nearest relaxation, free tightening, room of weights, least violating settings."""

from __future__ import annotations

import numpy as np

from backend.analysis import operating_point as points
from backend.analysis import operating_words as texts
from backend.analysis.labels import lower_first
from backend.analysis.plain import counted, finite
from backend.analysis.table import Floats
from backend.api.services.operating_points.work import Work
from backend.contracts.operating_points import (
    ConstraintFacts,
    Gain,
    Histogram,
    Nearest,
    Sensitivity,
    WeightRange,
)

BINS = 24
#: Settings shown where nothing is feasible.
NEAREST = 3


def facts_of(work: Work, j: int) -> ConstraintFacts:
    """What limit `j` does by itself: how many fail it, and how its numbers lie."""
    term, verdicts = work.terms[j], work.verdicts
    values = term.effective[np.isfinite(term.effective)]
    low, high = (float(values.min()), float(values.max())) if len(values) else (None, None)
    counts, edges = np.histogram(values, bins=BINS) if len(values) else (np.zeros(0, dtype=np.int64), np.zeros(0))
    failing = int((verdicts.shortfall[:, j] > 0).sum())
    alone = len(points.only_failing(verdicts, j))
    unknown = int(np.isnan(verdicts.shortfall[:, j]).sum())
    title = texts.what(work.words, term.metric, term.constraint.subgroup, term.constraint.groups)
    said = f"{counted(failing, 'setting')} fail it" if failing != 1 else "1 setting fails it"
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


def sensitivity_of(work: Work) -> list[Sensitivity]:
    """For each limit the nearest relaxation that changes the answer, and how far it can be tightened for nothing."""
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
            admits = f"admits {counted(relaxed.admitted, 'setting')}"
            if told:
                said = f"Relax {lower_first(name)} to {to} and "
                said += (
                    f"gain {told[0]} with {own}" if gains[0].difference > 0 else f"{own} becomes the best: {told[0]}"
                )
                said += "".join(f"; {one}" for one in told[1:])
                if all(one.low is not None and one.high is not None and one.low <= 0 <= one.high for one in gains):
                    said += ". All of that is within the noise over seeds"
            else:
                said = f"Relax {lower_first(name)} to {to}: {admits}, the nearest is {own}"
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
                low=finite(difference.low[s]),
                high=finite(difference.high[s]),
                pairs=int(difference.n[s]),
            )
        )
        leads = not told and difference.mean[s] > 0
        told.append(texts.gain_text(metric, name, difference, s, first=leads))
    return gains, told


def weights_of(work: Work) -> list[WeightRange]:
    """How far each weight can move before another setting wins; none where objectives stand in order."""
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


def nearest_to(work: Work, violation: Floats) -> list[Nearest]:
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
