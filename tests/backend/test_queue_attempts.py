"""An attempt at a job: runs in parallel, results one by one, and every way it can go wrong."""

import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from backend.contracts.results import Measurement, RunResult
from backend.contracts.runs import Part, RunConfig, Setting
from backend.contracts.spec import JobSpec
from backend.errors import Conflict, DataMissing, StoreUnavailable
from backend.queue.serving import GiveBack
from backend.settings import Settings
from backend.store import jobs, recovery, runs, schema
from backend.store.database import Database
from backend.store.tables import JobRow
from tests.e2e._server import alive, children, wait_for
from worker import execute
from worker.execute import Attempt
from worker.pool import Pool, RunProgress
from worker.supervisor import Nursery, Supervisor

# --- what stands in for training: the worker is given this module ----------------------------------------------------


def plan(configs: Sequence[RunConfig], *, parallel: int = 2, device: str = "cpu") -> list[list[RunConfig]]:
    size = int(str(configs[0].setting.training.get("fleet", 1))) if configs else 1
    return [list(configs[start : start + size]) for start in range(0, len(configs), size)]


def measure_fleet(
    configs: Sequence[RunConfig],
    *,
    on_progress: Callable[[str, float], None],
    room: Any,
    device: str = "cpu",
    checkpoint_seconds: float = 5.0,
    **_: Any,
) -> Iterator[RunResult]:
    """What happens is written in the configuration."""
    (Path(str(configs[0].setting.training["marks"])) / "asked").write_text(f"{device} {checkpoint_seconds}")
    if needed := configs[0].setting.training.get("needed"):
        granted = room(needed, needed * len(configs))
        (Path(str(configs[0].setting.training["marks"])) / "granted").open("a").write(f"{granted}\n")
        if granted < needed:
            yield from (RunResult(key=config.key(), status="failed", message=f"{granted}") for config in configs)
            return
    for config in configs:
        yield measure_run(config, on_progress)


def measure_run(config: RunConfig, on_progress: Callable[[str, float], None]) -> RunResult:
    orders = config.setting.training
    marks = Path(str(orders["marks"]))
    with (marks / f"{config.seed}").open("a") as file:
        file.write(f"{os.getpid()}\n")
    begun = len((marks / f"{config.seed}").read_text().splitlines())
    if config.seed in orders.get("missing", []):  # type: ignore[operator]
        raise DataMissing("There is no data.", fix="Put it there.")
    if config.seed in orders.get("broken", []):  # type: ignore[operator]
        raise ValueError("a number was not\nwhat it should be")
    if config.seed in orders.get("killed", []):  # type: ignore[operator]
        os.kill(os.getpid(), signal.SIGKILL)
    if config.seed in orders.get("killed_once", []) and begun == 1:  # type: ignore[operator]
        os.kill(os.getpid(), signal.SIGKILL)
    if config.seed in orders.get("exits", []):  # type: ignore[operator]
        os._exit(7)
    if config.seed in orders.get("kills_all_once", []) and begun == 1:  # type: ignore[operator]
        os.killpg(os.getpgid(0), signal.SIGKILL)
    if config.seed in orders.get("kills_all", []):  # type: ignore[operator]
        os.killpg(os.getpgid(0), signal.SIGKILL)
    while (marks / "hold").exists() and config.seed in orders.get("held", []):  # type: ignore[operator]
        time.sleep(0.02)
    on_progress(config.key(), 0.5)
    time.sleep(float(str(orders.get("seconds", 0))))
    return RunResult(
        key=config.key(),
        status="diverged" if config.seed in orders.get("diverged", []) else "succeeded",  # type: ignore[operator]
        measurements=[Measurement(metric="accuracy", value=0.5, n=10), Measurement(metric="loss", value=0.1)],
        wall_seconds=0.01,
    )


# ----------------------------------------------------------------------------------------------------------------------


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


def submit(database: Database, marks: Path, count: int = 4, **orders: Any) -> str:
    part = Part(name="thing", params={}, version="1")
    setting = Setting(
        dataset=part,
        data_hash=None,
        subgroups=[],
        model=part,
        method=part,
        training={"marks": str(marks), **orders},
        attacks=[],
        metrics_version="1",
        engine_version="1",
    )
    configs = [RunConfig(setting=setting, seed=seed) for seed in range(count)]
    spec = JobSpec.model_validate(
        {"dataset": {"name": "adult"}, "model": {"name": "mlp"}, "methods": [{"name": "sgd"}]}
    )
    with database.write() as session:
        job = jobs.create(session, spec, runs=count)
        runs.attach(session, job.id, configs)
    return job.id


def claim(database: Database, job_id: str) -> int:
    with database.write() as session:
        attempt = jobs.claim(session, job_id, "w")
    assert attempt is not None
    return attempt


def pool(parallel: int = 2, available: Callable[[], int] | None = None) -> Pool:
    def measure(fleet: Sequence[RunConfig], on_progress: Any, room: Any) -> Iterator[RunResult]:
        return measure_fleet(fleet, on_progress=on_progress, room=room)

    return Pool(measure, parallel, available=available, tick_seconds=0.02)


def attempt_at(database: Database, job_id: str) -> str | None:
    return Attempt(database, job_id, claim(database, job_id), pool(), plan).run()


def row(database: Database, job_id: str) -> JobRow:
    with database.read() as session:
        return jobs.get(session, job_id)


def statuses(database: Database, job_id: str) -> list[str]:
    with database.read() as session:
        page, _ = runs.page(session, job_id, limit=1000)
    return [run.status for run, _ in page]


def begun(marks: Path, seed: int) -> int:
    file = marks / f"{seed}"
    return len(file.read_text().splitlines()) if file.exists() else 0


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


@pytest.fixture
def nursery(settings: Settings) -> Iterator[Nursery]:
    nursery = Nursery(settings, module=__name__, catalogue_module=None, parallel=2)
    nursery.start()
    yield nursery
    nursery.stop()


class TestSupervisor:
    def supervisor(
        self, database: Database, settings: Settings, nursery: Nursery, stop: threading.Event | None = None
    ) -> Supervisor:
        return Supervisor(database, settings, nursery, "w", stop or threading.Event())

    def test_brings_a_job_to_its_end(
        self, database: Database, settings: Settings, nursery: Nursery, marks: Path
    ) -> None:
        job_id = submit(database, marks)
        self.supervisor(database, settings, nursery).execute(job_id)
        assert row(database, job_id).status == "succeeded"
        assert statuses(database, job_id) == ["succeeded"] * 4
        # Handed out again by mistake, it is left alone.
        self.supervisor(database, settings, nursery).execute(job_id)
        assert row(database, job_id).attempt == 1

    def test_goes_on_after_a_crash_of_the_whole_attempt(
        self, database: Database, settings: Settings, nursery: Nursery, marks: Path
    ) -> None:
        job_id = submit(database, marks, kills_all_once=[2])
        self.supervisor(database, settings, nursery).execute(job_id)
        assert row(database, job_id).status == "succeeded"
        assert row(database, job_id).attempt == 2
        assert statuses(database, job_id) == ["succeeded"] * 4

    def test_gives_up_what_takes_every_attempt_along(
        self, database: Database, settings: Settings, nursery: Nursery, marks: Path
    ) -> None:
        job_id = submit(database, marks, count=1, kills_all=[0])
        self.supervisor(database, settings, nursery).execute(job_id)
        assert row(database, job_id).status == "failed"
        problem = row(database, job_id).problem
        assert problem is not None
        assert problem["type"] == "/problems/gave-up"
        assert begun(marks, 0) == settings.max_attempts

    def test_cancel_ends_the_processes_and_the_job(
        self, database: Database, settings: Settings, nursery: Nursery, marks: Path
    ) -> None:
        (marks / "hold").touch()
        job_id = submit(database, marks, held=[1, 2, 3])
        thread = threading.Thread(target=self.supervisor(database, settings, nursery).execute, args=(job_id,))
        thread.start()
        wait_for(lambda: statuses(database, job_id)[0] == "succeeded" and begun(marks, 2))
        pids = [int((marks / f"{seed}").read_text()) for seed in (1, 2)]
        with database.write() as session:
            jobs.request_cancel(session, job_id)
        thread.join(timeout=60)
        assert row(database, job_id).status == "cancelled"
        wait_for(lambda: not any(alive(pid) for pid in pids))
        assert statuses(database, job_id) == ["succeeded", "queued", "queued", "queued"]

    def test_stopping_hands_the_job_back(
        self, database: Database, settings: Settings, nursery: Nursery, marks: Path
    ) -> None:
        (marks / "hold").touch()
        job_id = submit(database, marks, held=[1, 2, 3])
        stop, raised = threading.Event(), threading.Event()
        supervisor = self.supervisor(database, settings, nursery, stop)

        def work() -> None:
            try:
                supervisor.execute(job_id)
            except GiveBack:
                raised.set()

        thread = threading.Thread(target=work)
        thread.start()
        wait_for(lambda: statuses(database, job_id)[0] == "succeeded")
        stop.set()
        thread.join(timeout=60)
        assert raised.is_set()
        assert row(database, job_id).status == "queued"
        (marks / "hold").unlink()
        self.supervisor(database, settings, nursery).execute(job_id)
        assert row(database, job_id).status == "succeeded"
        assert begun(marks, 0) == 1

    def test_another_worker_taking_over_ends_the_attempt(
        self, database: Database, settings: Settings, nursery: Nursery, marks: Path
    ) -> None:
        (marks / "hold").touch()
        job_id = submit(database, marks, held=[0, 1, 2, 3])
        thread = threading.Thread(target=self.supervisor(database, settings, nursery).execute, args=(job_id,))
        thread.start()
        wait_for(lambda: begun(marks, 0))
        pid = int((marks / "0").read_text())
        attempt = claim(database, job_id)
        thread.join(timeout=60)
        wait_for(lambda: not alive(pid))
        assert (row(database, job_id).status, row(database, job_id).attempt) == ("running", attempt)

    def test_device_and_settings_reach_the_training(self, database: Database, marks: Path, tmp_path: Path) -> None:
        job_id = submit(database, marks)
        attempt = claim(database, job_id)
        wanted: dict[str, Any] = {"device": "cuda:0", "checkpoint_seconds": 0.5}
        kept = tmp_path / "checkpoints" / f"{self.first(database, job_id)}.npz"
        kept.parent.mkdir()
        kept.touch()
        ended = execute.run_attempt(
            database, job_id, attempt, module=__name__, cache_dir=tmp_path, parallel=1, **wanted
        )
        assert ended == "succeeded"
        assert (marks / "asked").read_text() == "cuda:0 0.5"
        assert not kept.exists()

    def first(self, database: Database, job_id: str) -> str:
        with database.read() as session:
            return runs.pending(session, job_id)[0].key()

    def test_a_gpu_trains_with_one_process_unless_told_otherwise(self, settings: Settings) -> None:
        assert Nursery(settings, device="cuda:0")._setup.parallel == 1
        assert Nursery(settings, device="cuda:0", parallel=3)._setup.parallel == 3
        assert Nursery(settings)._setup.parallel == execute.cores()

    def test_a_gpu_that_is_not_there_is_a_sentence(self, settings: Settings) -> None:
        nursery = Nursery(settings, module=__name__, catalogue_module=None, device="cuda:99")
        nursery.start()
        with pytest.raises(Conflict, match=r"cuda:99 asked for, this machine has \d+ GPUs?") as caught:
            nursery.catalogue(timeout=60)
        assert "--device cpu" in caught.value.fix
        nursery.stop()

    def test_a_device_that_nobody_knows_is_a_sentence(self, tmp_path: Path) -> None:
        arguments = [sys.executable, "-m", "worker.main", "--device", "tpu"]
        environment = {**os.environ, "EQUIPOISE_DATA_DIR": str(tmp_path)}
        done = subprocess.run(arguments, env=environment, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 2
        assert "Expected cpu or cuda:N, got 'tpu'" in done.stderr
        assert "Traceback" not in done.stderr

    def test_the_warm_process_is_replaced_when_it_dies(
        self, database: Database, settings: Settings, nursery: Nursery, marks: Path
    ) -> None:
        (marks / "hold").touch()
        job_id = submit(database, marks, count=2, held=[1])
        thread = threading.Thread(target=self.supervisor(database, settings, nursery).execute, args=(job_id,))
        thread.start()
        wait_for(lambda: begun(marks, 1))
        training = int((marks / "1").read_text())
        (warm,) = [pid for pid in children(os.getpid()) if children(pid)]
        os.kill(warm, signal.SIGKILL)
        wait_for(lambda: not alive(training))
        (marks / "hold").unlink()
        thread.join(timeout=100)
        assert row(database, job_id).status == "succeeded"
