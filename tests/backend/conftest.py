"""An application on an empty database, with a catalogue and a queue that only remembers."""

from __future__ import annotations

import os
import secrets
import shutil
import warnings
from typing import Any

import hypothesis
import pytest
from sqlalchemy import create_engine, func, make_url, select

from backend import logs
from backend.main import create_app
from backend.settings import Settings
from backend.store import schema, workers
from backend.store.database import Database
from backend.store.tables import Base
from tests.backend import synthetic

with warnings.catch_warnings():
    # It asks for the successor of httpx, which nothing else here needs.
    warnings.simplefilter("ignore")
    from fastapi.testclient import TestClient

#: A server on which the tests run instead of SQLite, if somebody names one.
POSTGRES = os.environ.get("EQUIPOISE_TEST_POSTGRES", "")

# Deadlines measure how busy the machine is.
hypothesis.settings.register_profile("equipoise", deadline=None)
hypothesis.settings.load_profile("equipoise")


class Remembering:
    """A queue that executes nothing."""

    def __init__(self) -> None:
        self.enqueued: list[tuple[str, int, int]] = []
        self.cancelled: list[tuple[str, int]] = []

    def prepare(self) -> None: ...

    def enqueue(self, session: Any, job_id: str, submission: int, priority: int = 0, queue: str = "cpu") -> None:
        self.enqueued.append((job_id, submission, priority))

    def cancel(self, job_id: str, submission: int) -> None:
        self.cancelled.append((job_id, submission))

    def close(self) -> None: ...


@pytest.fixture(scope="session", autouse=True)
def _plain_log():
    """Stack traces of the errors that tests provoke are formatted in full colour otherwise, which takes seconds."""
    logs.configure("CRITICAL")


@pytest.fixture(scope="session")
def migrated(tmp_path_factory):
    """A database with the schema and nothing else: made once, copied for each test. Answers its URL.

    SQLite, or with EQUIPOISE_TEST_POSTGRES=postgresql://user@host/postgres databases on that server.
    """
    if POSTGRES:
        url = make_url(POSTGRES).set(drivername="postgresql+psycopg", database=f"template_{secrets.token_hex(4)}")
        _execute(f"CREATE DATABASE {url.database}")
    else:
        url = make_url(Settings(data_dir=tmp_path_factory.mktemp("template")).url())
    database = Database(url.render_as_string(hide_password=False))
    schema.upgrade(database)
    database.dispose()
    yield url
    if POSTGRES:
        _execute(f"DROP DATABASE {url.database}")


def _execute(command):
    engine = create_engine(make_url(POSTGRES).set(drivername="postgresql+psycopg"), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql(command)
    engine.dispose()


@pytest.fixture
def settings(tmp_path, migrated):
    if not POSTGRES:
        shutil.copy(migrated.database, tmp_path / "equipoise.sqlite")
        yield Settings(data_dir=tmp_path, poll_seconds=0.02)
        return
    name = f"test_{secrets.token_hex(6)}"
    _execute(f"CREATE DATABASE {name} TEMPLATE {migrated.database}")
    url = migrated.set(database=name).render_as_string(hide_password=False)
    yield Settings(data_dir=tmp_path, database_url=url, poll_seconds=0.02)
    _execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def queue():
    return Remembering()


@pytest.fixture
def bare(settings, queue):
    """The application before any worker has started."""
    app = create_app(settings, queue=queue)
    with TestClient(app, base_url="http://localhost", raise_server_exceptions=False) as client:
        yield client


@pytest.fixture
def client(bare):
    """The application with a catalogue."""
    with bare.app.state.context.database.write() as session:
        workers.publish_catalogue(session, synthetic.catalogue())
    return bare


@pytest.fixture
def database(client):
    return client.app.state.context.database


@pytest.fixture
def stored(database):
    """How many rows each table holds, to see that nothing was stored."""

    def count() -> dict[str, int]:
        with database.read() as session:
            return {
                name: session.scalar(select(func.count()).select_from(table)) or 0
                for name, table in Base.metadata.tables.items()
            }

    return count


@pytest.fixture
def study(client, database):
    """A finished study with made-up results: 7 settings, 3 seeds."""
    job = client.post("/api/jobs", json=synthetic.spec()).json()
    synthetic.measure(database, job["id"])
    return job["id"]


@pytest.fixture
def shell(client, monkeypatch):
    """`equipoise ...` against the application, without a server."""
    import httpx
    from typer.testing import CliRunner

    from backend.cli import app
    from tests.backend.test_client import Through

    plain = httpx.Client
    here = {"transport": Through(client), "base_url": "http://localhost"}
    monkeypatch.setattr("backend.client.httpx.Client", lambda **how: plain(**(how | here)))
    return lambda *arguments: CliRunner().invoke(app, list(arguments))
