"""Removes what has served its time: deliveries that are over, notifications that were passed on, short links."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from backend.store.database import Database
from backend.store.tables import Base, DeliveryRow, LinkRow, NotificationRow

#: Rows that one transaction removes, so that nobody waits long for the write lock.
PORTION = 1000


def prune(database: Database, now: datetime, *, notices: float, links: float) -> dict[str, int]:
    """Removes rows older than so many days, 0 keeps all for ever; answers how many of each table went.

    A delivery goes once it arrived or was given up, a notification once it was passed on and has no delivery left. The
    newest notification stays whatever its age: SQLite would give its number away again, and those who remember what
    they have seen by number would miss another one.
    """
    gone: dict[str, int] = {}
    if notices:
        before = now - timedelta(days=notices)
        over = (DeliveryRow.next_at.is_(None), DeliveryRow.created_at < before)
        gone["deliveries"] = _portions(database, DeliveryRow, *over)
        told = (
            NotificationRow.passed_on,
            NotificationRow.created_at < before,
            NotificationRow.id < select(func.max(NotificationRow.id)).scalar_subquery(),
            ~select(DeliveryRow.id).where(DeliveryRow.notice_id == NotificationRow.id).exists(),
        )
        gone["notices"] = _portions(database, NotificationRow, *told)
    if links:
        gone["links"] = _portions(database, LinkRow, LinkRow.created_at < now - timedelta(days=links))
    return gone


def _portions(database: Database, table: type[Base], *conditions: Any) -> int:
    total = 0
    while True:
        with database.write() as session:
            count = _portion(session, table, conditions)
        total += count
        if count < PORTION:
            return total


def _portion(session: Session, table: Any, conditions: tuple[Any, ...]) -> int:
    ids = list(session.scalars(select(table.id).where(*conditions).order_by(table.id).limit(PORTION)))
    # Bound values have a limit; 1,000 are far below it.
    session.execute(delete(table).where(table.id.in_(ids)).execution_options(synchronize_session=False))
    return len(ids)
