"""People: who comments, chooses and decides. On a server without accounts a name is what the person said."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.errors import NotFound
from backend.store._sql import insert_ignore, now
from backend.store.tables import Base, PersonRow


def named(session: Session, name: str) -> PersonRow:
    """The person of that name, made on first use. Needs a session that writes."""
    insert_ignore(
        session, Base.metadata.tables["people"], [{"name": name, "created_at": now(), "seen_notification": 0}]
    )
    return session.scalars(select(PersonRow).where(PersonRow.name == name)).one()


def find(session: Session, name: str) -> PersonRow:
    """The person of that name, or `NotFound`."""
    row = session.scalar(select(PersonRow).where(PersonRow.name == name))
    if row is None:
        raise NotFound(f"Nobody here is called {name!r}.", fix="See the list of people.")
    return row


def everybody(session: Session) -> list[PersonRow]:
    """All people by name: what a mention can name."""
    return list(session.scalars(select(PersonRow).order_by(PersonRow.name)))


def names(session: Session, ids: set[int]) -> dict[int, str]:
    """Names by row id."""
    if not ids:
        return {}
    return {row.id: row.name for row in session.scalars(select(PersonRow).where(PersonRow.id.in_(ids)))}
