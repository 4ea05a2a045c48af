"""Creates and upgrades the schema, and refuses a database that this program does not understand."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util.exc import CommandError
from sqlalchemy import text

from backend.errors import SchemaTooNew, SchemaTooOld
from backend.store.database import Database

#: Any number that nobody else locks in this database.
_UPGRADE_LOCK = 4_711_002_118


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    return config


def current(database: Database) -> str | None:
    """Revision of the database, None for an empty one."""
    with database.engine.connect() as connection:
        return MigrationContext.configure(connection).get_current_revision()


def head() -> str:
    """Revision that this program works with."""
    revision = ScriptDirectory.from_config(_config()).get_current_head()
    assert revision is not None
    return revision


def upgrade(database: Database) -> None:
    """Brings the schema to `head`. A database made by a newer release is refused and left as it is."""
    revision = current(database)
    if revision == head():
        return
    if revision is not None:
        try:
            ScriptDirectory.from_config(_config()).get_revision(revision)
        except CommandError as error:
            raise SchemaTooNew(
                f"The database is at schema {revision!r}, which this release does not know.",
                fix="Install the release that made it, or newer.",
            ) from error
    config = _config()
    with database.engine.execution_options(equipoise_write=True).begin() as connection:
        if database.kind == "postgresql":
            # One at a time; on SQLite the transaction itself is. Whoever comes second finds nothing left to do.
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _UPGRADE_LOCK})
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def require_current(database: Database) -> None:
    """Refuses to work on a schema other than `head`."""
    revision = current(database)
    if revision != head():
        raise SchemaTooOld(
            f"The database is at schema {revision or 'none'}, this release needs {head()}.",
            fix="Run `equipoise migrate`.",
        )
