"""One engine per process, and the two kinds of transaction: `read` and `write`."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, create_engine, event, make_url
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from backend.errors import StoreUnavailable

#: Seconds that a write waits for another one on SQLite.
BUSY_SECONDS = 15.0


class Database:
    """Sessions on one database. `write` is all or nothing; on SQLite writers queue from their first statement."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.engine = make_engine(url)
        #: `Session.info["kept"]` of sessions that read: where layers above keep what they have read. What a session
        #: that writes sees may never be committed.
        self.kept: dict[str, Any] = {}

    @property
    def kind(self) -> str:
        """`sqlite` or `postgresql`."""
        return self.engine.dialect.name

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A session for reading: one consistent snapshot, nothing is kept."""
        shared = {"kept": self.kept}
        with self._translated(), Session(self.engine, expire_on_commit=False, info=shared) as session:
            yield session

    @contextmanager
    def write(self) -> Iterator[Session]:
        """A session that commits at the end or, on any error, leaves nothing behind."""
        engine = self.engine.execution_options(equipoise_write=True)
        with self._translated(), Session(engine, expire_on_commit=False) as session, session.begin():
            yield session

    def dispose(self) -> None:
        """Closes all connections."""
        self.engine.dispose()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except OperationalError as error:
            raise StoreUnavailable(_explain(error), fix="Nothing was written; try again.") from error


def make_engine(url: str) -> Engine:
    """An engine set up as everything here expects: SQLite in WAL mode with foreign keys, Postgres with pre-ping."""
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        if parsed.database and parsed.database != ":memory:":
            Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
        engine = create_engine(url, connect_args={"timeout": BUSY_SECONDS, "check_same_thread": False})
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        return engine
    return create_engine(url, pool_pre_ping=True, pool_size=10, max_overflow=20)


def _prepare_sqlite(connection: sqlite3.Connection, _record: Any) -> None:
    # The driver's own transaction handling would begin lazily and deferred; `_begin_sqlite` does it instead.
    connection.isolation_level = None
    for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON", "temp_store=MEMORY"):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Any) -> None:
    # A deferred transaction that turns into a write can fail with "database is locked" at once; an immediate one waits.
    write = connection.get_execution_options().get("equipoise_write", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")


def _explain(error: OperationalError) -> str:
    text = str(error.orig).lower()
    if "full" in text or "no space" in text:
        return "The disk that holds the database is full."
    if "locked" in text or "busy" in text:
        return f"The database stayed locked by another process for {BUSY_SECONDS:.0f} s."
    if "readonly" in text or "read-only" in text:
        return "The database can only be read by this user."
    return f"The database did not answer: {str(error.orig).strip().splitlines()[0]}."
