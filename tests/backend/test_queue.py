"""The queue: transactional, in order of priority, each job to one end; and the reaper of gone workers."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import text, update

from backend.contracts.runs import Part, RunConfig, Setting
from backend.contracts.spec import JobSpec
from backend.errors import Conflict, StaleAttempt
from backend.queue import JobQueue, Reaper
from backend.queue.lock import WorkerLock
from backend.queue.serving import GiveBack, serve
from backend.settings import Settings
from backend.store import jobs, recovery, runs, schema, workers
from backend.store.database import Database
from backend.store.tables import JobRow, WorkerRow
from tests.e2e._server import wait_for


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path, max_attempts=3, poll_seconds=0.05)


@pytest.fixture
def database(settings: Settings) -> Iterator[Database]:
    database = Database(settings.url())
    schema.upgrade(database)
    yield database
    database.dispose()


@pytest.fixture
def queue(database: Database) -> Iterator[JobQueue]:
    queue = JobQueue(database)
    queue.prepare()
    yield queue
    queue.close()


def spec(**changes: object) -> JobSpec:
    return JobSpec.model_validate(
        {"dataset": {"name": "adult"}, "model": {"name": "mlp"}, "methods": [{"name": "sgd"}], **changes}
    )


def configs(count: int) -> list[RunConfig]:
    part = Part(name="thing", params={}, version="1")
    setting = Setting(
        dataset=part,
        data_hash=None,
        subgroups=[],
        model=part,
        method=part,
        training={},
        attacks=[],
        metrics_version="1",
        engine_version="1",
    )
    return [RunConfig(setting=setting, seed=seed) for seed in range(count)]


def submit(database: Database, queue: JobQueue, priority: int = 0, count: int = 2) -> str:
    with database.write() as session:
        job = jobs.create(session, spec(priority=priority), runs=count)
        runs.attach(session, job.id, configs(count))
        queue.enqueue(session, job.id, 0, priority)
    return job.id


def place(queue: JobQueue, job_id: str, submission: int = 0) -> str | None:
    entry = queue.entries([(job_id, submission)]).get((job_id, submission))
    return entry.place if entry else None


def job_row(database: Database, job_id: str) -> JobRow:
    with database.read() as session:
        return jobs.get(session, job_id)


def register(database: Database, worker_id: str, *, gone: bool = False) -> None:
    with database.write() as session:
        workers.register(session, worker_id, host="h", pid=1, device="cpu", queues=["cpu"], catalogue=None)
        session.flush()
        if gone:
            long_ago = workers.database_now(session) - timedelta(days=1)
            session.execute(update(WorkerRow).where(WorkerRow.id == worker_id).values(heartbeat_at=long_ago))


def claim(database: Database, job_id: str, worker_id: str) -> int:
    with database.write() as session:
        attempt = jobs.claim(session, job_id, worker_id)
        assert attempt is not None
        return attempt


@contextmanager
def serving(
    database: Database, execute: object, executor_id: str = "w", concurrency: int = 1
) -> Iterator[threading.Event]:
    stop = threading.Event()
    thread = threading.Thread(
        target=serve,
        args=(database, execute),
        kwargs={
            "executor_id": executor_id,
            "queues": ["cpu"],
            "concurrency": concurrency,
            "poll_seconds": 0.05,
            "stop": stop,
        },
    )
    thread.start()
    try:
        yield stop
    finally:
        stop.set()
        thread.join(timeout=60)
        assert not thread.is_alive()


def taken_by(database: Database, queue: JobQueue, worker_id: str, job_id: str) -> None:
    """As the engine's rows look when a worker was killed with the job in hand."""
    with database.write() as session:
        session.execute(
            text("UPDATE workflow_status SET status = 'PENDING', executor_id = :worker WHERE workflow_uuid = :id"),
            {"worker": worker_id, "id": f"{job_id}-0"},
        )
    assert place(queue, job_id) == "taken"


class TestEnqueue:
    def test_rolled_back_leaves_nothing(self, database: Database, queue: JobQueue) -> None:
        class Abandoned(Exception):
            pass

        job_id = ""
        with pytest.raises(Abandoned), database.write() as session:  # noqa: PT012
            job_id = jobs.create(session, spec(), runs=0).id
            queue.enqueue(session, job_id, 0)
            raise Abandoned
        assert place(queue, job_id) is None
        with database.read() as session:
            assert session.get(JobRow, job_id) is None

    def test_twice_is_once(self, database: Database, queue: JobQueue) -> None:
        job_id = submit(database, queue)
        with database.write() as session:
            queue.enqueue(session, job_id, 0)
        with database.read() as session:
            assert session.execute(text("SELECT count(*) FROM workflow_status")).scalar() == 1

    def test_only_the_id_is_handed_over(self, database: Database, queue: JobQueue) -> None:
        job_id = submit(database, queue)
        with database.read() as session:
            (inputs,) = session.execute(text("SELECT inputs FROM workflow_input")).scalars()
        assert json.loads(inputs)["positionalArgs"] == [job_id]

    def test_prepare_from_many_sides_at_once(self, settings: Settings) -> None:
        failures: list[BaseException] = []

        def prepare() -> None:
            try:
                database = Database(settings.url())
                schema.upgrade(database)
                queue = JobQueue(database)
                queue.prepare()
                queue.close()
                database.dispose()
            except Exception as error:  # noqa: BLE001
                failures.append(error)

        threads = [threading.Thread(target=prepare) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not failures

    def test_cancelled_before_start_never_starts(self, database: Database, queue: JobQueue) -> None:
        cancelled, other = submit(database, queue, priority=10), submit(database, queue)
        with database.write() as session:
            jobs.request_cancel(session, cancelled)
        queue.cancel(cancelled, 0)
        seen: list[str] = []
        with serving(database, seen.append):
            wait_for(lambda: place(queue, other) == "ended")
        assert seen == [other]
        assert job_row(database, cancelled).status == "cancelled"

    def test_cancel_leaves_a_running_one_to_its_worker(self, database: Database, queue: JobQueue) -> None:
        job_id = submit(database, queue)
        taken_by(database, queue, "w", job_id)
        queue.cancel(job_id, 0)
        assert place(queue, job_id) == "taken"


class TestServe:
    def test_priorities_then_age(self, database: Database, queue: JobQueue) -> None:
        low, first, second, high = (submit(database, queue, priority) for priority in (-5, 0, 0, 50))
        seen: list[str] = []
        with serving(database, seen.append):
            wait_for(lambda: len(seen) == 4)
        assert seen == [high, first, second, low]

    def test_no_more_than_concurrency_at_a_time(self, database: Database, queue: JobQueue) -> None:
        for _ in range(5):
            submit(database, queue)
        lock, now, most, done = threading.Lock(), 0, 0, 0
        pause = threading.Event()

        def execute(job_id: str) -> None:
            nonlocal now, most, done
            with lock:
                now += 1
                most = max(most, now)
            pause.wait(0.1)
            with lock:
                now -= 1
                done += 1

        with serving(database, execute, concurrency=2):
            wait_for(lambda: done == 5)
        assert most == 2

    def test_what_is_given_back_waits_for_the_next_worker(self, database: Database, queue: JobQueue) -> None:
        job_id = submit(database, queue)
        began = threading.Event()

        with serving(database, lambda job_id: hold(began, stop)) as stop:
            wait_for(began.is_set)
        assert place(queue, job_id) == "waiting"
        seen: list[str] = []
        with serving(database, seen.append, executor_id="another"):
            wait_for(lambda: seen)
            wait_for(lambda: place(queue, job_id) == "ended")
        assert seen == [job_id]

    def test_takes_up_what_its_predecessor_left(self, database: Database, queue: JobQueue) -> None:
        job_id = submit(database, queue)
        taken_by(database, queue, "w", job_id)
        seen: list[str] = []
        with serving(database, seen.append, executor_id="w"):
            wait_for(lambda: seen == [job_id])

    def test_leaves_what_another_holds(self, database: Database, queue: JobQueue) -> None:
        held, free = submit(database, queue), submit(database, queue)
        taken_by(database, queue, "somebody", held)
        seen: list[str] = []
        with serving(database, seen.append, executor_id="w"):
            wait_for(lambda: place(queue, free) == "ended")
        assert seen == [free]

    def test_a_broken_execution_does_not_stop_the_others(self, database: Database, queue: JobQueue) -> None:
        bad, good = submit(database, queue, priority=1), submit(database, queue)
        seen: list[str] = []

        def execute(job_id: str) -> None:
            if job_id == bad:
                raise RuntimeError("broken")
            seen.append(job_id)

        with serving(database, execute):
            wait_for(lambda: seen == [good])


def hold(began: threading.Event, stop: threading.Event) -> None:
    began.set()
    stop.wait(60)
    raise GiveBack


class TestFence:
    def test_a_stale_attempt_changes_nothing(self, database: Database, queue: JobQueue) -> None:
        job_id = submit(database, queue)
        first = claim(database, job_id, "old")
        second = claim(database, job_id, "new")
        assert second == first + 1
        with pytest.raises(StaleAttempt), database.write() as session:
            jobs.finish(session, job_id, first, "failed")
        assert job_row(database, job_id).status == "running"
        with database.write() as session:
            assert not recovery.release(session, job_id, first, lost=True)
        with database.write() as session:
            jobs.finish(session, job_id, second, "succeeded")
        assert job_row(database, job_id).status == "succeeded"

    def test_a_job_ends_once(self, database: Database, queue: JobQueue) -> None:
        job_id = submit(database, queue)
        attempt = claim(database, job_id, "w")
        with database.write() as session:
            jobs.finish(session, job_id, attempt, "succeeded")
        with pytest.raises(StaleAttempt), database.write() as session:
            jobs.finish(session, job_id, attempt, "failed")
        with database.write() as session:
            assert jobs.claim(session, job_id, "w") is None
        with database.read() as session:
            ends = [e for e in jobs.events_since(session, job_id, 0) if e.data.get("status") == "succeeded"]
        assert len(ends) == 1

    def test_a_released_attempt_writes_no_more(self, database: Database, queue: JobQueue) -> None:
        job_id = submit(database, queue)
        attempt = claim(database, job_id, "w")
        with database.write() as session:
            assert recovery.release(session, job_id, attempt, lost=False)
        assert job_row(database, job_id).status == "queued"
        with pytest.raises(StaleAttempt), database.write() as session:
            jobs.fence(session, job_id, attempt)

    def test_retry_is_a_new_submission(self, database: Database, queue: JobQueue) -> None:
        job_id = submit(database, queue)
        with database.write() as session:
            jobs.request_cancel(session, job_id)
        queue.cancel(job_id, 0)
        with database.write() as session:
            row = jobs.requeue(session, job_id, spec(), runs=2)
            queue.enqueue(session, job_id, row.submission)
        seen: list[str] = []
        with serving(database, seen.append):
            wait_for(lambda: seen == [job_id])


class TestReaper:
    def reaper(self, database: Database, queue: JobQueue, settings: Settings) -> Reaper:
        return Reaper(database, queue, settings)

    def test_resumes_the_job_of_a_gone_worker(self, database: Database, queue: JobQueue, settings: Settings) -> None:
        job_id = submit(database, queue)
        register(database, "gone", gone=True)
        claim(database, job_id, "gone")
        taken_by(database, queue, "gone", job_id)
        assert self.reaper(database, queue, settings).look() == [job_id]
        assert place(queue, job_id) == "waiting"
        assert queue.entries([(job_id, 0)])[job_id, 0].queue == "cpu"
        assert job_row(database, job_id).status == "queued"
        seen: list[str] = []
        with serving(database, seen.append):
            wait_for(lambda: seen == [job_id])

    def test_leaves_the_jobs_of_present_workers(self, database: Database, queue: JobQueue, settings: Settings) -> None:
        job_id = submit(database, queue)
        register(database, "here")
        claim(database, job_id, "here")
        taken_by(database, queue, "here", job_id)
        reaper = self.reaper(database, queue, settings)
        assert reaper.look() == []
        assert reaper.look() == []
        assert job_row(database, job_id).status == "running"

    def test_resumes_what_was_taken_but_never_claimed(
        self, database: Database, queue: JobQueue, settings: Settings
    ) -> None:
        job_id = submit(database, queue)
        taken_by(database, queue, "never-registered", job_id)
        assert self.reaper(database, queue, settings).look() == [job_id]
        assert place(queue, job_id) == "waiting"

    def test_gives_up_after_too_many_attempts(self, database: Database, queue: JobQueue, settings: Settings) -> None:
        job_id = submit(database, queue)
        register(database, "gone", gone=True)
        reaper = self.reaper(database, queue, settings)
        for _ in range(settings.max_attempts):
            assert job_row(database, job_id).status == "queued"
            claim(database, job_id, "gone")
            taken_by(database, queue, "gone", job_id)
            assert reaper.look() == [job_id] or job_row(database, job_id).status == "failed"
        row = job_row(database, job_id)
        assert row.status == "failed"
        assert row.problem is not None
        assert "3 times" in row.problem["detail"]
        assert row.problem["type"] == "/problems/gave-up"

    def test_a_job_that_gets_further_is_not_given_up(self, database: Database, queue: JobQueue) -> None:
        job_id = submit(database, queue)
        for _ in range(4):
            attempt = claim(database, job_id, "w")
            with database.write() as session:
                jobs.add_event(session, job_id, "run", {"run_id": "x", "status": "succeeded"})
                recovery.release(session, job_id, attempt, lost=True)
        with database.write() as session:
            assert recovery.fruitless_attempts(session, job_id) == 0
            jobs.claim(session, job_id, "w")
            assert recovery.fruitless_attempts(session, job_id) == 1

    def test_stopping_in_order_does_not_count(self, database: Database, queue: JobQueue) -> None:
        job_id = submit(database, queue)
        for _ in range(4):
            attempt = claim(database, job_id, "w")
            with database.write() as session:
                recovery.release(session, job_id, attempt, lost=False)
        with database.write() as session:
            assert recovery.fruitless_attempts(session, job_id) == 0

    def test_a_cancelled_job_of_a_gone_worker_ends(
        self, database: Database, queue: JobQueue, settings: Settings
    ) -> None:
        job_id = submit(database, queue)
        register(database, "gone", gone=True)
        claim(database, job_id, "gone")
        taken_by(database, queue, "gone", job_id)
        with database.write() as session:
            jobs.request_cancel(session, job_id)
        self.reaper(database, queue, settings).look()
        assert job_row(database, job_id).status == "cancelled"

    def test_submits_anew_what_nobody_works_on(self, database: Database, queue: JobQueue, settings: Settings) -> None:
        job_id = submit(database, queue)
        with database.write() as session:
            session.execute(text("UPDATE workflow_status SET status = 'ERROR'"))
        reaper = self.reaper(database, queue, settings)
        assert reaper.look() == []
        assert reaper.look() == [job_id]
        assert job_row(database, job_id).submission == 1
        assert place(queue, job_id, 1) == "waiting"
        assert reaper.look() == []

    def test_submits_anew_on_the_queue_that_it_was_on(
        self, database: Database, queue: JobQueue, settings: Settings
    ) -> None:
        job_id = submit(database, queue)
        with database.write() as session:
            session.execute(text("UPDATE workflow_status SET status = 'ERROR', queue_name = 'gpu'"))
        reaper = self.reaper(database, queue, settings)
        reaper.look()
        assert reaper.look() == [job_id]
        assert queue.entries([(job_id, 1)])[job_id, 1].queue == "gpu"

    def test_one_at_a_time(self, database: Database, queue: JobQueue, settings: Settings) -> None:
        job_id = submit(database, queue)
        taken_by(database, queue, "gone", job_id)
        first, second = (self.reaper(database, queue, settings) for _ in range(2))
        assert first.look() == [job_id]
        taken_by(database, queue, "gone", job_id)
        assert second.look() == []
        assert first.look() == [job_id]


def test_two_workers_cannot_share_an_id(tmp_path: Path) -> None:
    with WorkerLock(tmp_path, "local"):
        with pytest.raises(Conflict, match="already works on") as caught:
            WorkerLock(tmp_path, "local").acquire()
        assert "--data-dir" in caught.value.fix
        WorkerLock(tmp_path, "other").acquire()
    with WorkerLock(tmp_path, "local"):
        pass
