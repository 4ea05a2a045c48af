"""A setting that somebody chose: stored with the numbers of the moment, listed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from sqlalchemy.orm import Session

from backend.analysis import operating_point as points
from backend.analysis import operating_words as texts
from backend.api.services.operating_points.answer import caption_of, chance_of_means, headline, reasons, verdict_of
from backend.api.services.operating_points.work import prepare
from backend.contracts.operating_points import (
    Choice,
    Frozen,
    OperatingPoint,
    Question,
    Rule,
    Withdrawn,
)
from backend.contracts.results import Problem
from backend.errors import InvalidRequest, NotFound
from backend.store import operating_points as store
from backend.store import people
from backend.store.tables import OperatingPointRow, SettingRow


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
    likely = float(chance_of_means(work, np.array([s], dtype=np.int64))[0])
    frozen = Frozen(
        verdict=verdict_of(work, s, likely, s in set(work.ranking.ties.tolist())),
        constraints=[texts.constraint_text(work.words, t.constraint) for t in work.terms],
        headline=headline(work),
        caption=caption_of(work),
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
