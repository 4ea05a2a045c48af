"""Measurements as a CSV file that a spreadsheet opens without running anything."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator

from backend.store import measurements
from backend.store.database import Database

COLUMNS = (
    "run_id", "method", "seed", "epsilon", "metric", "subgroup", "split", "value", "n", "low", "high",
)  # fmt: skip

#: What makes a spreadsheet take a cell for a formula, full-width signs included (OWASP, CSV injection).
ACTIVE = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")

#: Rows fetched at a time.
PORTION = 5000


def inert(text: str) -> str:
    """A text that no spreadsheet takes for a formula: an apostrophe goes before what would begin one.

    >>> inert("=1+1"), inert("sex=Female")
    ("'=1+1", 'sex=Female')
    """
    return "'" + text if text.startswith(ACTIVE) else text


def write(rows: Iterable[Iterable[str | float | int | None]]) -> str:
    """Rows as CSV text. Texts are made inert; numbers stay numbers, so that -0.3 is not a text."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\r\n")
    for row in rows:
        writer.writerow([inert(cell) if isinstance(cell, str) else cell for cell in row])
    return buffer.getvalue()


def measurements_csv(database: Database, wanted: measurements.Filter) -> Iterator[str]:
    """The file in portions. Each is a short look at the database: a slow reader holds no connection."""
    yield write([COLUMNS])
    after: tuple[int, int] | None = None
    while True:
        with database.read() as session:
            rows, after = measurements.portion(session, wanted, limit=PORTION, after=after)
        if rows:
            yield write(rows)
        if after is None:
            return
