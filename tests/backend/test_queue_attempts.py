"""An attempt at a job: fleets in parallel, results one by one, and every way it can go wrong."""

import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from backend.contracts.results import RunResult
from backend.errors import StoreUnavailable
from backend.settings import Settings
from backend.store import jobs, recovery, runs, schema
from backend.store.database import Database
from tests.backend.attempts import attempt_at, begun, claim, plan, pool, row, statuses, submit
from tests.e2e._server import alive, wait_for
from worker import execute
from worker.execute import Attempt
from worker.pool import Pool, RunProgress


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path, max_attempts=2, poll_seconds=0.05)


@pytest.fixture
def database(settings: Settings) -> Iterator[Database]:
    database = Database(settings.url())
    schema.upgrade(database)
    yield database
    database.dispose()


@pytest.fixture
def marks(tmp_path: Path) -> Path:
    folder = tmp_path / "marks"
    folder.mkdir()
    return folder


class TestAttempt:
    def test_everything_is_measured_once(self, database: Database, marks: Path) -> None:
        job_id = submit(database, marks, count=7)
        assert attempt_at(database, job_id) == "succeeded"
        assert statuses(database, job_id) == ["succeeded"] * 7
        assert [begun(marks, seed) for seed in range(7)] == [1] * 7
        with database.read() as session:
            assert session.execute(text("SELECT count(*) FROM measurements")).scalar() == 14
            events = jobs.events_since(session, job_id, 0)
        assert sum(event.type == "run" for event in events) == 7
        progress = row(database, job_id).progress
        assert (progress["done"], progress["total"], progress["seconds_left"]) == (7, 7, None)

    def test_progress_is_a_sentence(self, database: Database, marks: Path) -> None:
        job_id = submit(database, marks, count=3)
        attempt_at(database, job_id)
        with database.read() as session:
            messages = [e.data["message"] for e in jobs.events_since(session, job_id, 0) if e.type == "progress"]
        assert messages[0] == "Preparing"
        assert any(str(message).startswith("Training 3 of 3") for message in messages)

    def test_results_of_another_job_are_used(self, database: Database, marks: Path) -> None:
        attempt_at(database, submit(database, marks))
        second = submit(database, marks)
        assert attempt_at(database, second) == "succeeded"
        assert [begun(marks, seed) for seed in range(4)] == [1] * 4

    def test_one_broken_run_does_not_take_the_others_along(self, database: Database, marks: Path) -> None:
        job_id = submit(database, marks, broken=[1], diverged=[2])
        assert attempt_at(database, job_id) == "succeeded"
        assert statuses(database, job_id) == ["succeeded", "failed", "diverged", "succeeded"]
        with database.read() as session:
            (message,) = runs.failures(session, job_id)
        assert "ValueError: a number was not" in message
        assert "Traceback" not in message
        assert "\n" not in message

    def test_nothing_but_broken_runs_is_a_failed_job(self, database: Database, marks: Path) -> None:
        job_id = submit(database, marks, count=2, broken=[0, 1])
        assert attempt_at(database, job_id) == "failed"
        problem = row(database, job_id).problem
        assert problem is not None
        assert "None of its 2 runs" in problem["detail"]

    def test_missing_data_fails_the_job_with_the_fix(self, database: Database, marks: Path) -> None:
        job_id = submit(database, marks, count=6, missing=[4])
        assert attempt_at(database, job_id) == "failed"
        problem = row(database, job_id).problem
        assert problem is not None
        assert problem["type"] == "/problems/data-missing"
        assert problem["detail"] == "There is no data. Put it there."
        assert set(problem) >= {"type", "title", "status", "detail", "problems"}
        # What was finished before stays, the rest is free again.
        assert set(statuses(database, job_id)) <= {"succeeded", "queued"}
        assert "succeeded" in statuses(database, job_id)

    def test_a_killed_training_process_is_tried_once_more(self, database: Database, marks: Path) -> None:
        job_id = submit(database, marks, killed=[1], killed_once=[2])
        assert attempt_at(database, job_id) == "succeeded"
        assert statuses(database, job_id) == ["succeeded", "failed", "succeeded", "succeeded"]
        assert (begun(marks, 1), begun(marks, 2)) == (2, 2)
        with database.read() as session:
            (message,) = runs.failures(session, job_id)
        assert "signal 9" in message
        assert "memory" in message

    def test_the_run_that_kills_its_process_does_not_take_its_fleet_along(
        self, database: Database, marks: Path
    ) -> None:
        job_id = submit(database, marks, count=5, fleet=5, killed=[2])
        assert attempt_at(database, job_id) == "succeeded"
        assert statuses(database, job_id) == ["succeeded", "succeeded", "failed", "succeeded", "succeeded"]
        # Those before it were through; it was tried in the fleet, in a half of what was left of that, and twice alone.
        assert [begun(marks, seed) for seed in range(5)] == [1, 1, 4, 1, 1]
        with database.read() as session:
            (message,) = runs.failures(session, job_id)
            assert session.execute(text("SELECT count(*) FROM measurements")).scalar() == 8
        assert "ended from outside 2 times (signal 9)" in message

    def test_an_error_in_a_fleet_is_that_of_one_run(self, database: Database, marks: Path) -> None:
        job_id = submit(database, marks, count=6, fleet=6, broken=[1, 4])
        assert attempt_at(database, job_id) == "succeeded"
        assert statuses(database, job_id) == ["succeeded", "failed", "succeeded", "succeeded", "failed", "succeeded"]
        assert [begun(marks, seed) for seed in (0, 2, 3, 5)] == [1] * 4
        # Whatever the error left behind is gone with its process.
        assert len(set((marks / "1").read_text().split())) == begun(marks, 1) > 1

    def test_what_was_kept_of_a_run_is_let_go_once_its_result_is_written(self, database: Database, marks: Path) -> None:
        job_id = submit(database, marks, broken=[1])
        settled: list[str] = []

        def settle(key: str) -> None:
            with database.read() as session:
                assert key not in [config.key() for config in runs.pending(session, job_id)]
            settled.append(key)

        Attempt(database, job_id, claim(database, job_id), pool(), plan, settle).run()
        assert len(set(settled)) == len(settled) == 4

    def test_a_stale_attempt_stops_without_a_word(self, database: Database, marks: Path) -> None:
        (marks / "hold").touch()
        job_id = submit(database, marks, count=4, held=[0, 1, 2, 3])
        outcome: list[str | None] = []
        old = claim(database, job_id)
        thread = threading.Thread(target=lambda: outcome.append(Attempt(database, job_id, old, pool(), plan).run()))
        thread.start()
        wait_for(lambda: begun(marks, 0))
        new = claim(database, job_id)
        (marks / "hold").unlink()
        thread.join(timeout=60)
        assert outcome == [None]
        assert statuses(database, job_id) == ["running"] * 4
        assert (row(database, job_id).status, row(database, job_id).attempt) == ("running", new)
        assert Attempt(database, job_id, new, pool(), plan).run() == "succeeded"

    def test_runs_of_another_job_are_waited_for(
        self, database: Database, marks: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(execute, "OTHERS_SECONDS", 0.05)
        other, job_id = submit(database, marks), submit(database, marks, count=5)
        theirs = claim(database, other)
        with database.write() as session:
            keys = [config.key() for config in runs.pending(session, other)]
            assert len(runs.claim(session, other, theirs, keys)) == 4
        outcome: list[str | None] = []
        thread = threading.Thread(target=lambda: outcome.append(attempt_at(database, job_id)))
        thread.start()
        wait_for(lambda: "another study" in row(database, job_id).progress["message"])
        assert statuses(database, job_id) == ["running"] * 4 + ["succeeded"]
        # The other one finishes a run, then vanishes: the rest is taken over.
        with database.write() as session:
            runs.write_result(session, other, theirs, RunResult(key=keys[0], status="succeeded"))
            recovery.release(session, other, theirs, lost=True)
        thread.join(timeout=60)
        assert outcome == ["succeeded"]
        assert [begun(marks, seed) for seed in range(5)] == [0, 1, 1, 1, 1]


class TestDatabaseTrouble:
    def full(self, database: Database, monkeypatch: pytest.MonkeyPatch, times: int) -> list[int]:
        """From now on, `times` inserts of measurements meet a full disk."""
        met: list[int] = []
        real = runs._series_ids

        def failing(session: Any, wanted: Any) -> Any:
            if len(met) < times:
                met.append(1)
                # Half of the run is written by now.
                raise OperationalError("INSERT", {}, sqlite3.OperationalError("database or disk is full"))
            return real(session, wanted)

        monkeypatch.setattr(runs, "_series_ids", failing)
        return met

    def test_a_full_disk_leaves_no_half_run_and_is_waited_for(
        self, database: Database, marks: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        job_id = submit(database, marks)
        met = self.full(database, monkeypatch, times=2)
        assert attempt_at(database, job_id) == "succeeded"
        assert len(met) == 2
        assert statuses(database, job_id) == ["succeeded"] * 4

    def test_a_disk_that_stays_full_ends_the_attempt_and_nothing_is_half_written(
        self, database: Database, marks: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(execute, "STORE_PATIENCE_SECONDS", 0.2)
        job_id = submit(database, marks)
        self.full(database, monkeypatch, times=1000)
        with pytest.raises(StoreUnavailable, match="full"):
            attempt_at(database, job_id)
        assert set(statuses(database, job_id)) == {"running"}
        with database.read() as session:
            for table in ("measurements", "histories", "rocs"):
                assert session.execute(text(f"SELECT count(*) FROM {table}")).scalar() == 0
        monkeypatch.undo()
        assert attempt_at(database, job_id) == "succeeded"

    def test_a_locked_database_is_waited_for(
        self, database: Database, marks: Path, monkeypatch: pytest.MonkeyPatch, settings: Settings
    ) -> None:
        monkeypatch.setattr("backend.store.database.BUSY_SECONDS", 0.1)
        impatient = Database(settings.url())
        job_id = submit(database, marks)
        attempt = claim(database, job_id)
        lock = sqlite3.connect(settings.data_dir / "equipoise.sqlite", isolation_level=None, check_same_thread=False)
        lock.execute("BEGIN IMMEDIATE")
        threading.Timer(1.0, lambda: lock.execute("ROLLBACK")).start()
        assert Attempt(impatient, job_id, attempt, pool(), plan).run() == "succeeded"
        impatient.dispose()
        lock.close()


class TestPool:
    def test_one_result_per_configuration_and_parts_in_between(self, marks: Path, database: Database) -> None:
        job_id = submit(database, marks, count=5)
        with database.read() as session:
            configs = runs.pending(session, job_id)
        trainers = pool(parallel=3)
        events = list(trainers.measure_many(plan(configs)))
        trainers.close()
        results = [event for event in events if isinstance(event, RunResult)]
        assert sorted(result.key for result in results) == sorted(config.key() for config in configs)
        assert any(isinstance(event, RunProgress) and event.share == 0.5 for event in events)

    def test_close_ends_what_is_at_work(self, marks: Path, database: Database) -> None:
        (marks / "hold").touch()
        job_id = submit(database, marks, count=2, held=[0, 1])
        with database.read() as session:
            configs = runs.pending(session, job_id)
        trainers = pool()
        events = trainers.measure_many(plan(configs))
        while not (begun(marks, 0) and begun(marks, 1)):
            next(events)
        pids = [int((marks / f"{seed}").read_text()) for seed in (0, 1)]
        trainers.close()
        assert not any(alive(pid) for pid in pids)

    def results(self, database: Database, trainers: Pool, job_id: str) -> list[RunResult]:
        with database.read() as session:
            configs = runs.pending(session, job_id)
        found = [e for e in trainers.measure_many(plan(configs)) if isinstance(e, RunResult)]
        assert sorted(result.key for result in found) == sorted(config.key() for config in configs)
        trainers.close()
        return found

    def test_one_process_less_after_one_was_killed(self, marks: Path, database: Database) -> None:
        trainers = pool(parallel=3)
        self.results(database, trainers, submit(database, marks, count=12, fleet=2, killed_once=[1, 5], seconds=0.02))
        assert trainers.parallel == 1
        # The one that is left trained the last fleet.
        assert len({(marks / f"{seed}").read_text() for seed in (10, 11)}) == 1

    def test_another_crash_is_not_for_want_of_memory(self, marks: Path, database: Database) -> None:
        trainers = pool()
        found = self.results(database, trainers, submit(database, marks, count=2, exits=[1]))
        assert trainers.parallel == 2
        assert ["exit code 7" in (result.message or "") for result in found if result.status == "failed"] == [True]

    def test_memory_is_shared_evenly(self, marks: Path, database: Database) -> None:
        trainers = pool(available=lambda: 1000)
        found = self.results(database, trainers, submit(database, marks, count=8, fleet=4, needed=200))
        assert {result.status for result in found} == {"succeeded"}
        assert set((marks / "granted").read_text().split()) == {"500"}
        assert trainers.parallel == 2

    def test_as_many_processes_as_memory_has_room_for(self, marks: Path, database: Database) -> None:
        trainers = pool(parallel=3, available=lambda: 1000)
        found = self.results(database, trainers, submit(database, marks, count=9, needed=450, seconds=0.05))
        assert {result.status for result in found} == {"succeeded"}
        assert trainers.parallel == 2

    def test_what_does_not_fit_alone_is_told_what_there_is(self, marks: Path, database: Database) -> None:
        trainers = pool(parallel=3, available=lambda: 1000)
        found = self.results(database, trainers, submit(database, marks, count=5, needed=1001))
        assert {(result.status, result.message) for result in found} == {("failed", "1000")}
