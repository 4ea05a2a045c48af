"""What SQLite and Postgres say differently."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Table, Text, cast, func
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from backend.contracts.results import Problem
from backend.errors import InvalidRequest

#: Rows per INSERT: SQLite allows 32,766 bound values.
CHUNK = 2000


def insert_ignore(session: Session, table: Table, rows: Sequence[dict[str, Any]]) -> None:
    """Inserts rows; those whose key exists already stay as they are."""
    insert = sqlite.insert if session.get_bind().dialect.name == "sqlite" else postgresql.insert
    for start in range(0, len(rows), CHUNK):
        session.execute(insert(table).on_conflict_do_nothing(), list(rows[start : start + CHUNK]))


def joined(session: Session, column: Any) -> Any:
    """All values of a column as one text, separated by commas; several in one statement have the same order.

    A value that is absent leaves no trace, so the column must not have any.
    """
    text = cast(column, Text)
    sqlite_ = session.get_bind().dialect.name == "sqlite"
    return func.group_concat(text, ",") if sqlite_ else func.string_agg(text, ",")


def now() -> datetime:
    """This moment, aware, UTC."""
    return datetime.now(UTC)


def encode_cursor(*values: Any) -> str:
    """An opaque page cursor."""
    text = json.dumps([v.isoformat() if isinstance(v, datetime) else v for v in values])
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def decode_cursor(cursor: str, length: int) -> list[Any]:
    """The values of a page cursor, each a text or a whole number; a malformed one is the caller's error."""
    try:
        values = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        if not isinstance(values, list) or len(values) != length or not all(map(_is_key, values)):
            raise ValueError
    except (ValueError, RecursionError) as error:
        raise malformed_cursor(cursor) from error
    return values


def decode_positions(cursor: str, length: int) -> list[int]:
    """The values of a cursor that is made of whole numbers."""
    values = decode_cursor(cursor, length)
    if not all(isinstance(value, int) for value in values):
        raise malformed_cursor(cursor)
    return values


def _is_key(value: Any) -> bool:
    if isinstance(value, bool):
        return False
    return isinstance(value, str) or (isinstance(value, int) and abs(value) < 2**62)


def malformed_cursor(cursor: str) -> InvalidRequest:
    """The error of a cursor that we did not make."""
    problem = Problem(
        field="cursor",
        expected="the `next` of an earlier page",
        got=cursor[:40],
        fix="Leave `cursor` out to start at the first page.",
    )
    return InvalidRequest("The page cursor is not one of ours.", problems=[problem])
