"""The worker around an attempt: it starts the processes, watches, cancels, and goes on after a crash."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from backend.errors import Conflict
from backend.queue.serving import GiveBack
from backend.settings import Settings
from backend.store import jobs, runs, schema
from backend.store.database import Database
from tests.backend.attempts import MODULE, begun, claim, row, statuses, submit
from tests.e2e._server import alive, children, wait_for
from worker import execute
from worker.supervisor import Nursery, Supervisor


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


@pytest.fixture
def nursery(settings: Settings) -> Iterator[Nursery]:
    nursery = Nursery(settings, module=MODULE, catalogue_module=None, parallel=2)
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
        ended = execute.run_attempt(database, job_id, attempt, module=MODULE, cache_dir=tmp_path, parallel=1, **wanted)
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
        nursery = Nursery(settings, module=MODULE, catalogue_module=None, device="cuda:99")
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
