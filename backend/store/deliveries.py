"""The outbox: what still has to leave the server by webhook or mail, and what became of it.

A delivery is put here in the transaction that passes its notification on, and is due until it has arrived or is given
up. Whoever tries it first moves it into the future: nobody else tries it at the same time, and if that process ends
before it can say what happened, the delivery is tried again. So each arrives at least once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from backend.store._sql import decode_positions, encode_cursor, insert_ignore
from backend.store.tables import Base, DeliveryRow
from backend.store.workers import database_now

Channel = Literal["webhook", "email"]


@dataclass(frozen=True)
class Outgoing:
    """One message for one target."""

    notice_id: int
    channel: Channel
    target: str
    payload: dict[str, Any]


def put(session: Session, messages: Sequence[Outgoing]) -> None:
    """Adds deliveries, due at once; one that is there already stays as it is."""
    moment = database_now(session)
    rows = [{**vars(one), "attempts": 0, "next_at": moment, "created_at": moment} for one in messages]
    insert_ignore(session, Base.metadata.tables["deliveries"], rows)


def due(session: Session, limit: int) -> list[DeliveryRow]:
    """Those whose time has come, the one that waits longest first."""
    query = select(DeliveryRow).where(DeliveryRow.next_at <= database_now(session)).order_by(DeliveryRow.next_at)
    return list(session.scalars(query.limit(limit)))


def take(session: Session, row: DeliveryRow, seconds: float) -> bool:
    """Counts an attempt and has the next one wait; False where another process was faster."""
    moment = database_now(session)
    taken = session.execute(
        update(DeliveryRow)
        .where(DeliveryRow.id == row.id, DeliveryRow.attempts == row.attempts, DeliveryRow.next_at <= moment)
        .values(attempts=row.attempts + 1, next_at=moment + timedelta(seconds=seconds))
    )
    return bool(taken.rowcount)  # type: ignore[attr-defined]


def arrived(session: Session, delivery_id: int) -> None:
    """It is over: the other side took it."""
    session.execute(
        update(DeliveryRow)
        .where(DeliveryRow.id == delivery_id)
        .values(delivered_at=database_now(session), next_at=None, error=None)
    )


def failed(session: Session, delivery_id: int, error: str, *, again: bool) -> None:
    """It did not arrive, and is tried `again` at the time that `take` set, or never."""
    values: dict[str, Any] = {"error": error[:500]}
    if not again:
        values["next_at"] = None
    session.execute(update(DeliveryRow).where(DeliveryRow.id == delivery_id).values(**values))


def page(
    session: Session, *, limit: int, cursor: str | None = None, failing: bool = False
) -> tuple[list[DeliveryRow], str | None]:
    """Newest first; `failing`: only those whose last attempt failed."""
    query = select(DeliveryRow)
    if failing:
        query = query.where(DeliveryRow.error.is_not(None))
    if cursor:
        (before,) = decode_positions(cursor, 1)
        query = query.where(DeliveryRow.id < before)
    rows = list(session.scalars(query.order_by(DeliveryRow.id.desc()).limit(limit + 1)))
    following = encode_cursor(rows[limit - 1].id) if len(rows) > limit else None
    return rows[:limit], following


def failing(session: Session, since: datetime) -> int:
    """How many made since then have failed at their last attempt."""
    query = select(func.count()).select_from(DeliveryRow)
    return int(session.scalar(query.where(DeliveryRow.error.is_not(None), DeliveryRow.created_at >= since)) or 0)
