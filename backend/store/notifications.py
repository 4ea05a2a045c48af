"""What people are told, in the page and by what leaves it."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import ColumnElement, func, or_, select, update
from sqlalchemy.orm import Session

from backend.store._sql import decode_positions, encode_cursor, now
from backend.store.tables import NotificationRow, PersonRow

#: Longest text that is kept: the reason of a failure can be long.
LONGEST = 1000


def add(session: Session, person_id: int | None, kind: str, text: str, href: str) -> NotificationRow:
    """Tells a person, or without one everybody, where to look and why."""
    whole = " ".join(text.split())
    short = whole if len(whole) <= LONGEST else whole[: LONGEST - 1] + "…"
    row = NotificationRow(person_id=person_id, kind=kind, text=short, href=href, created_at=now(), passed_on=False)
    session.add(row)
    session.flush()
    return row


def told(session: Session, kind: str, href: str) -> bool:
    """Whether anybody was told of this before."""
    query = select(NotificationRow.id).where(NotificationRow.kind == kind, NotificationRow.href == href).limit(1)
    return session.scalar(query) is not None


def _concerns(person_id: int | None) -> ColumnElement[bool]:
    everybody = NotificationRow.person_id.is_(None)
    return everybody if person_id is None else or_(everybody, NotificationRow.person_id == person_id)


def page(
    session: Session, person_id: int | None, *, limit: int, cursor: str | None = None
) -> tuple[list[NotificationRow], str | None]:
    """What a person was told, and everybody was, newest first; without a person only the latter."""
    query = select(NotificationRow).where(_concerns(person_id))
    if cursor:
        (before,) = decode_positions(cursor, 1)
        query = query.where(NotificationRow.id < before)
    rows = list(session.scalars(query.order_by(NotificationRow.id.desc()).limit(limit + 1)))
    following = encode_cursor(rows[limit - 1].id) if len(rows) > limit else None
    return rows[:limit], following


def unseen(session: Session, person_id: int | None, seen: int) -> int:
    """How many of those are newer than the newest one that was seen."""
    query = select(func.count()).select_from(NotificationRow)
    return int(session.scalar(query.where(_concerns(person_id), NotificationRow.id > seen)) or 0)


def newest(session: Session) -> int:
    """Id of the newest one, 0 where there is none."""
    return int(session.scalar(select(func.max(NotificationRow.id))) or 0)


def see(session: Session, person_id: int, newest: int) -> int:
    """The person has seen all up to this one; what was seen stays seen. Answers the newest one seen."""
    session.execute(
        update(PersonRow)
        .where(PersonRow.id == person_id, PersonRow.seen_notification < newest)
        .values(seen_notification=newest)
    )
    return int(session.scalar(select(PersonRow.seen_notification).where(PersonRow.id == person_id)) or 0)


def waiting(session: Session, limit: int) -> list[tuple[NotificationRow, PersonRow | None]]:
    """Those whose deliveries are not in the outbox yet, oldest first, each with whom it concerns."""
    query = (
        select(NotificationRow, PersonRow)
        .outerjoin(PersonRow, PersonRow.id == NotificationRow.person_id)
        .where(NotificationRow.passed_on.is_(False))
        .order_by(NotificationRow.id)
        .limit(limit)
    )
    return [(row[0], row[1]) for row in session.execute(query)]


def pass_on(session: Session, ids: Sequence[int]) -> None:
    """Their deliveries are in the outbox now: in the same transaction."""
    session.execute(update(NotificationRow).where(NotificationRow.id.in_(ids)).values(passed_on=True))
