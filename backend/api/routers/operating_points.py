"""Operating points: which settings meet constraints, which is best, and what people chose."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query
from pydantic import Field

from backend.api.deps import ERRORS, ContextDep, NoFiltersDep, Paged, PersonDep, SessionDep
from backend.contracts.operating_points import (
    Choice,
    Feasibility,
    FigureQuestion,
    OperatingPoint,
    Question,
    Withdrawal,
)
from backend.contracts.public import Figure, Page, ProblemDetails
from backend.store import operating_points as store

router = APIRouter(prefix="/operating-points", tags=["operating-points"], responses=ERRORS)

PointId = Annotated[str, Path(max_length=64, description="Id of a choice.")]
CONFLICT: dict[int | str, dict[str, object]] = {
    409: {"model": ProblemDetails, "description": "The choice was withdrawn before."}
}


class PointFilters(Paged):
    """Which choices."""

    job_id: list[str] = Field(
        default_factory=list, max_length=50, description="Of settings that any of these jobs has runs of."
    )


@router.post("/evaluate", name="evaluate", summary="Which settings meet these constraints, and which is best")
def evaluate(_: NoFiltersDep, question: Question, session: SessionDep) -> Feasibility:
    """Reasons for the rest, how surely over seeds, and what moving each threshold does. Stores nothing."""
    from backend.api.services import operating_points

    return operating_points.evaluate(session, question)


@router.post("/figure", name="figure", summary="The same as a figure")
def figure(_: NoFiltersDep, question: FigureQuestion, session: SessionDep) -> Figure:
    """Settings against two metrics: feasible ones lit, infeasible regions shaded, the best ringed."""
    from backend.api.services import operating_points

    return operating_points.figure(session, question)


@router.post("", name="choose", status_code=201, summary="Choose a setting")
def choose(_: NoFiltersDep, choice: Choice, person: PersonDep, context: ContextDep) -> OperatingPoint:
    """Keeps who, when, why, the rule, and the numbers of this moment. A choice never changes."""
    from backend.api.services import operating_points

    with context.database.write() as session:
        return operating_points.choose(session, choice, person)


@router.get("", name="list_operating_points", summary="What was chosen, newest first")
def list_operating_points(filters: Annotated[PointFilters, Query()], session: SessionDep) -> Page[OperatingPoint]:
    """Withdrawn choices stay in the list and say so."""
    from backend.api.services import operating_points

    rows, following = store.page(session, job_ids=filters.job_id, limit=filters.limit, cursor=filters.cursor)
    return Page(items=operating_points.shown(session, rows), next=following)


@router.get("/{point_id}", name="get_operating_point", summary="One choice")
def get_operating_point(_: NoFiltersDep, point_id: PointId, session: SessionDep) -> OperatingPoint:
    """With the numbers that were seen when it was made."""
    from backend.api.services import operating_points

    return operating_points.shown(session, [store.get(session, point_id)])[0]


@router.post("/{point_id}/withdraw", name="withdraw", summary="Say that a choice no longer stands", responses=CONFLICT)
def withdraw(
    _: NoFiltersDep, point_id: PointId, withdrawal: Withdrawal, person: PersonDep, context: ContextDep
) -> OperatingPoint:
    """The choice stays, with who withdrew it, when and why."""
    from backend.api.services import operating_points

    with context.database.write() as session:
        row = store.withdraw(session, point_id, person=person, reason=withdrawal.reason)
        return operating_points.shown(session, [row])[0]
