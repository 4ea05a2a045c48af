"""What people are told in the page."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.store._sql import now
from backend.store.tables import NotificationRow


def add(session: Session, person_id: int | None, kind: str, text: str, href: str) -> NotificationRow:
    """Tells a person, or without one everybody, where to look and why."""
    row = NotificationRow(person_id=person_id, kind=kind, text=text, href=href, created_at=now())
    session.add(row)
    session.flush()
    return row


def told(session: Session, kind: str, href: str) -> bool:
    """Whether anybody was told of this before."""
    query = select(NotificationRow.id).where(NotificationRow.kind == kind, NotificationRow.href == href).limit(1)
    return session.scalar(query) is not None
