"""A database of every released schema is upgraded to what this program works with, and keeps what is in it."""

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import inspect, text

from backend.contracts.results import Exposed, ExposedRecord, RunResult
from backend.queue.client import JobQueue
from backend.store import jobs, runs, schema
from backend.store.database import Database
from backend.store.tables import Base
from tests.backend import attempts

RELEASED = [one.revision for one in ScriptDirectory.from_config(schema._config()).walk_revisions()][::-1]


@pytest.fixture
def empty(tmp_path):
    database = Database(f"sqlite:///{tmp_path / 'old.sqlite'}")
    yield database
    database.engine.dispose()


def at(database, revision):
    config = schema._config()
    with database.engine.execution_options(equipoise_write=True).begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)


@pytest.mark.parametrize("revision", RELEASED)
def test_every_released_schema_is_upgraded_and_keeps_its_rows(empty, revision):
    at(empty, revision)
    with empty.write() as session:
        session.execute(text("INSERT INTO leases VALUES ('reaper', 'somebody', '2026-01-01 00:00:00')"))
    schema.upgrade(empty)
    assert schema.current(empty) == schema.head() == RELEASED[-1]
    assert set(inspect(empty.engine).get_table_names()) >= set(Base.metadata.tables)
    with empty.read() as session:
        assert session.execute(text("SELECT holder FROM leases")).scalars().all() == ["somebody"]
    with empty.engine.connect() as connection:
        found = compare_metadata(MigrationContext.configure(connection), Base.metadata)
    ours = [one for one in found if isinstance(one, tuple) and one[0] in ("add_table", "add_column", "remove_column")]
    assert ours == []


def test_exposed_records_are_written_and_read_with_a_run(database, tmp_path):
    job = attempts.submit(database, tmp_path, count=1)
    attempt = attempts.claim(database, job)
    with database.read() as session:
        (config,) = runs.pending(session, job)
    record = ExposedRecord(row=7, score=1.5, percentile=99.0, subgroups=["sex=Female"])
    told = [
        Exposed(attack="entropy", statement="It is not defined."),
        Exposed(attack="lira", models=9, records=[record]),
    ]
    with database.write() as session:
        runs.write_result(session, job, attempt, RunResult(key=config.key(), status="succeeded", exposed=told))
    with database.read() as session:
        assert runs.exposed(session, runs.get(session, config.key()).id) == told
    with database.write() as session:
        jobs.finish(session, job, attempt, "succeeded")


def test_the_job_engine_has_room_beside_our_tables(empty):
    schema.upgrade(empty)
    JobQueue(empty).prepare()
    assert "workflow_status" in inspect(empty.engine).get_table_names()
