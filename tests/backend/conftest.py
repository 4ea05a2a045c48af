"""An application on an empty database, with a catalogue and a queue that only remembers."""

from __future__ import annotations

import shutil
import warnings
from typing import Any

import pytest
from sqlalchemy import func, select

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
    """A database file with the schema and nothing else: made once, copied for each test."""
    settings = Settings(data_dir=tmp_path_factory.mktemp("template"))
    database = Database(settings.url())
    schema.upgrade(database)
    database.dispose()
    return settings.data_dir / "equipoise.sqlite"


@pytest.fixture
def settings(tmp_path, migrated):
    shutil.copy(migrated, tmp_path / "equipoise.sqlite")
    return Settings(data_dir=tmp_path, poll_seconds=0.02)


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
