"""Operating points: chosen, listed, withdrawn. None is ever changed or deleted."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import select, tuple_, update
from sqlalchemy.orm import Session

from backend.errors import Conflict, NotFound
from backend.store import people
from backend.store._sql import decode_cursor, encode_cursor, malformed_cursor, now
from backend.store.tables import JobRunRow, OperatingPointRow, RunRow

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"


def add(
    session: Session,
    *,
    job_ids: Sequence[str],
    setting_id: int,
    rule: dict[str, Any],
    numbers: dict[str, Any],
    reason: str,
    person: str,
) -> OperatingPointRow:
    """Stores a choice."""
    row = OperatingPointRow(
        id="".join(secrets.choice(_ALPHABET) for _ in range(12)),
        job_ids=list(job_ids),
        setting_id=setting_id,
        rule=rule,
        numbers=numbers,
        reason=reason,
        person_id=people.named(session, person).id,
        created_at=now(),
    )
    session.add(row)
    session.flush()
    return row


def get(session: Session, point_id: str) -> OperatingPointRow:
    """The choice, or `NotFound`."""
    row = session.get(OperatingPointRow, point_id, populate_existing=True)
    if row is None:
        raise NotFound(f"There is no operating point {point_id!r}.", fix="See the list of operating points.")
    return row


def page(
    session: Session, *, job_ids: Sequence[str] = (), limit: int, cursor: str | None = None
) -> tuple[list[OperatingPointRow], str | None]:
    """Newest first; of some jobs: the choices of settings that these jobs have runs of."""
    query = select(OperatingPointRow).order_by(OperatingPointRow.created_at.desc(), OperatingPointRow.id.desc())
    if job_ids:
        own = select(JobRunRow.run_id).where(JobRunRow.job_id.in_(job_ids))
        query = query.where(OperatingPointRow.setting_id.in_(select(RunRow.setting_id).where(RunRow.id.in_(own))))
    if cursor:
        moment, last = decode_cursor(cursor, 2)
        try:
            at = datetime.fromisoformat(str(moment))
        except ValueError as error:
            raise malformed_cursor(cursor) from error
        query = query.where(tuple_(OperatingPointRow.created_at, OperatingPointRow.id) < (at, str(last)))
    rows = list(session.scalars(query.limit(limit + 1)))
    if len(rows) <= limit:
        return rows, None
    rows = rows[:limit]
    return rows, encode_cursor(rows[-1].created_at, rows[-1].id)


def withdraw(session: Session, point_id: str, *, person: str, reason: str) -> OperatingPointRow:
    """Says that a choice no longer stands. Raises `Conflict` if somebody said so before."""
    get(session, point_id)
    change = (
        update(OperatingPointRow)
        .where(OperatingPointRow.id == point_id, OperatingPointRow.withdrawn_at.is_(None))
        .values(withdrawn_at=now(), withdrawn_by=people.named(session, person).id, withdrawn_because=reason)
    )
    if session.connection().execute(change).rowcount == 0:
        raise Conflict("This choice was withdrawn before.", fix="Reload the list to see by whom.")
    return get(session, point_id)
