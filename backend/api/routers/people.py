"""People: who can be mentioned, asked for a review, or answered."""

from __future__ import annotations

from fastapi import APIRouter
from pydantic import Field

from backend.api.deps import ERRORS, ContextDep, NoFiltersDep, PersonDep, SessionDep
from backend.contracts.base import Contract
from backend.contracts.public import Page
from backend.store import people

router = APIRouter(prefix="/people", tags=["people"], responses=ERRORS)


class Person(Contract):
    """Somebody by name."""

    name: str
    email: str | None = Field(default=None, description="Where mail to them goes, if they said so.")


class PersonUpdate(Contract):
    """What a person says of themselves."""

    email: str | None = Field(default=None, max_length=254, pattern=r"^[^@\s<>,;]+@[^@\s<>,;]+$")


@router.get("", name="list_people", summary="Everybody who ever acted here")
def list_people(_: NoFiltersDep, session: SessionDep) -> Page[Person]:
    """By name."""
    return Page(items=[Person(name=row.name, email=row.email) for row in people.everybody(session)])


@router.put("/me", name="update_me", summary="Say who you are")
def update_me(_: NoFiltersDep, person: PersonDep, update: PersonUpdate, context: ContextDep) -> Person:
    """Makes the person of the header known, so that others can mention them, and keeps their address."""
    with context.database.write() as session:
        row = people.named(session, person)
        row.email = update.email
        return Person(name=row.name, email=row.email)
