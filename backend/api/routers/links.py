"""Short links: a view of the page under a short address, frozen at the moment it was kept."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Path
from pydantic import Field, StringConstraints
from sqlalchemy import func, select

from backend.api.deps import ERRORS, ContextDep, MaybePersonDep, NoFiltersDep, SessionDep
from backend.contracts.base import Contract
from backend.contracts.results import FINISHED
from backend.store import links, people
from backend.store._sql import now
from backend.store.tables import JobRunRow, LinkRow, RunRow

router = APIRouter(prefix="/links", tags=["links"], responses=ERRORS)

#: Parameters of one view, and characters of each.
MANY, LONG = 60, 8000


class LinkCreate(Contract):
    """A view: the page's path and its search parameters."""

    path: str = Field(pattern=r"^/(explore|studies|runs|reviews|calculator|gaussian)(/[A-Za-z0-9_-]{1,64})?$")
    search: dict[
        Annotated[str, StringConstraints(pattern=r"^[a-z][A-Za-z0-9_]{0,39}$")],
        Annotated[str, StringConstraints(max_length=LONG)],
    ] = Field(default_factory=dict, max_length=MANY)


class Link(Contract):
    """A kept view."""

    id: str
    path: str
    search: dict[str, str]
    as_of: datetime = Field(description="Results that finished later are not part of the view.")
    person: str | None
    newer: int = Field(description="Runs of the view's studies that finished since.")


@router.post("", name="create_link", status_code=201, summary="Keep a view under a short address")
def create_link(_: NoFiltersDep, view: LinkCreate, person: MaybePersonDep, context: ContextDep) -> Link:
    """The page opens it at `/l/{id}`, with the results as they are now."""
    with context.database.write() as session:
        row = links.keep(session, view.path, dict(view.search), now(), person)
        return Link(id=row.id, path=row.path, search=row.search, as_of=row.as_of, person=person, newer=0)


@router.get("/{link_id}", name="get_link", summary="A kept view")
def get_link(
    link_id: Annotated[str, Path(max_length=16, description="Id of a link.")], _: NoFiltersDep, session: SessionDep
) -> Link:
    """With how many newer results there are."""
    row = links.get(session, link_id)
    jobs = [job for job in _jobs(row) if job]
    newer = 0
    if jobs:
        query = select(func.count(func.distinct(RunRow.id))).join(JobRunRow, JobRunRow.run_id == RunRow.id)
        query = query.where(JobRunRow.job_id.in_(jobs), RunRow.status.in_(FINISHED), RunRow.finished_at > row.as_of)
        newer = session.scalar(query) or 0
    name = people.names(session, {row.person_id}).get(row.person_id) if row.person_id is not None else None
    return Link(id=row.id, path=row.path, search=row.search, as_of=row.as_of, person=name, newer=newer)


def _jobs(row: LinkRow) -> list[str]:
    if row.path.startswith("/studies/"):
        return [row.path.rpartition("/")[2]]
    return str(row.search.get("jobs", "")).split(",")[:500]
