"""A database of every released schema is upgraded to what this program works with, and keeps what is in it."""

import json

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import func, inspect, select, text

from backend.contracts.results import Exposed, ExposedRecord, RunResult, Series
from backend.queue.client import JobQueue
from backend.store import jobs, runs, schema
from backend.store.database import Database
from backend.store.tables import Base, HistoryRow
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


def test_jobs_keep_their_runs_and_events_and_are_counted(empty):
    at(empty, "0002")
    moment = "2026-01-01 00:00:00"
    with empty.write() as session:
        for statement in (
            "INSERT INTO jobs (id, name, status, spec, dataset, model, methods, tags, priority, created_at, attempt, "
            f"submission, cancel_requested, progress) VALUES ('j', 'n', 'succeeded', '{{}}', 'd', 'm', '[]', '[]', 0, "
            f"'{moment}', 1, 0, 0, '{{}}')",
            "INSERT INTO settings (id, hash, dataset, model, method, params, config) VALUES "
            "(1, 'h', 'd', 'm', 'sgd', '{}', '{}')",
            "INSERT INTO runs (id, key, config_hash, setting_id, seed, status, engine, degenerate, created_at) VALUES "
            f"(1, 'k', 'c', 1, 0, 'succeeded', '', 0, '{moment}')",
            "INSERT INTO job_runs (job_id, run_id, position, reused) VALUES ('j', 1, 0, 0)",
            f"INSERT INTO job_events (job_id, type, data, created_at) VALUES ('j', 'status', '{{}}', '{moment}')",
        ):
            session.connection().exec_driver_sql(statement)
    schema.upgrade(empty)
    with empty.read() as session:
        assert session.execute(text("SELECT size, archived_at, submitter FROM jobs")).all() == [(1, None, None)]
        assert session.execute(text("SELECT count(*) FROM job_runs")).scalar() == 1
        assert session.execute(text("SELECT count(*) FROM job_events")).scalar() == 1
    config = schema._config()
    with empty.engine.execution_options(equipoise_write=True).begin() as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, "0002")
    with empty.read() as session:
        assert session.execute(text("SELECT count(*) FROM job_runs")).scalar() == 1


def test_settings_know_what_they_share_as_if_they_had_been_written_today(study, database, empty):
    names = ("hash", "dataset", "model", "method", "epsilon", "params", "config")
    at(empty, "0002")
    with database.read() as session:
        rows = session.execute(text(f"SELECT {', '.join(names)} FROM settings")).mappings().all()
        today = session.execute(text("SELECT hash, context, rest, version FROM settings ORDER BY hash")).all()
    as_text = [{n: v if n == "epsilon" or isinstance(v, str) else json.dumps(v) for n, v in r.items()} for r in rows]
    with empty.write() as session:
        places = ", ".join(f":{name}" for name in names)
        session.execute(text(f"INSERT INTO settings ({', '.join(names)}) VALUES ({places})"), as_text)
    schema.upgrade(empty)
    with empty.read() as session:
        assert session.execute(text("SELECT hash, context, rest, version FROM settings ORDER BY hash")).all() == today
    assert len({row[1] for row in today}) == 1 < len({row[2] for row in today}) < len(today)


def test_the_job_engine_has_room_beside_our_tables(empty, tmp_path):
    schema.upgrade(empty)
    JobQueue(empty).prepare()
    engine = set(inspect(empty.engine).get_table_names()) - set(Base.metadata.tables) - {"alembic_version"}
    assert "workflow_status" in engine
    # What the engine would have made on an empty database: a name of ours among them would have been left out above.
    alone = Database(f"sqlite:///{tmp_path / 'engine.sqlite'}")
    JobQueue(alone).prepare()
    assert set(inspect(alone.engine).get_table_names()) == engine
    alone.dispose()


def test_a_quantity_of_many_subgroups_is_one_row_and_comes_back_as_it_was(database, tmp_path):
    job = attempts.submit(database, tmp_path, count=1)
    attempt = attempts.claim(database, job)
    with database.read() as session:
        (config,) = runs.pending(session, job)
    long = " & ".join(f"attribute {i}=a label of some length {i}" for i in range(6))
    told = [
        Series(name="bent", unit="share", steps=[0, 2], values=[0.5, None], groups={long: [None, 1.0], "b": [0.1, 2]}),
        Series(name="plain", steps=[1], values=[3.0]),
    ]
    with database.write() as session:
        runs.write_result(session, job, attempt, RunResult(key=config.key(), status="succeeded", history=told))
    with database.read() as session:
        row = runs.get(session, config.key()).id
        assert runs.history(session, row) == told
        assert list(runs.history(session, row)[0].groups) == [long, "b"]
        assert runs.histories_of(session, [row], ["bent"]) == [(row, told[0])]
        assert runs.history_names(session, [row]) == ["bent", "plain"]
        assert session.scalar(select(func.count()).select_from(HistoryRow)) == 2
