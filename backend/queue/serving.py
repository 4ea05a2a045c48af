"""The worker's side of the queue: takes jobs off it and has each one supervised."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from backend.logs import about, get_logger
from backend.queue.client import JobQueue, quiet
from backend.queue.names import APPLICATION, VERSION, WORKFLOW, submission_of
from backend.store.database import Database

log = get_logger(__name__)


class GiveBack(Exception):
    """Raised by `execute`: this worker is stopping, the job belongs back on its queue."""


class _LeftOpen(BaseException):
    """Ends an execution without an outcome: the engine records one for any `Exception`, and none for this."""


def serve(
    database: Database,
    execute: Callable[[str], None],
    *,
    executor_id: str,
    queues: Sequence[str],
    concurrency: int,
    poll_seconds: float,
    stop: threading.Event,
    grace_seconds: float = 10.0,
) -> None:
    """Runs `execute(job_id)` for every job of `queues`, at most `concurrency` at a time, until `stop` is set.

    At start it takes up what this `executor_id` left behind. At the end no further job is taken, and the running
    ones get `grace_seconds` to return or raise `GiveBack`. One call per process at a time.
    """
    from dbos import DBOS, DBOSPortableJSONSerializer

    quiet()
    client = JobQueue(database)
    client.prepare()
    given_back: list[tuple[str, int]] = []
    at_work: set[str] = set()

    # Not a recorded step of the engine: its outcome would be replayed when the job is resumed. What makes a second
    # execution harmless is that `execute` claims the job and that every write is bound to the claim.
    @DBOS.workflow(name=WORKFLOW, max_recovery_attempts=None)  # type: ignore[untyped-decorator]
    def run_job(job_id: str) -> None:
        with about(job_id=job_id):
            at_work.add(job_id)
            try:
                execute(job_id)
            except GiveBack:
                given_back.append((job_id, submission_of(str(DBOS.workflow_id))))
                raise _LeftOpen from None
            except Exception:  # The reaper finds a job that ended here without an outcome.
                log.exception("supervising failed")
            finally:
                at_work.discard(job_id)

    DBOS(
        config={
            "name": APPLICATION,
            "system_database_url": database.url,
            "application_version": VERSION,
            "executor_id": executor_id,
            "log_level": "ERROR",
            "run_migrations": False,
            "serializer": DBOSPortableJSONSerializer(),
        }
    )
    DBOS.listen_queues(queues)
    for name in queues:
        client.limit(name, concurrency, poll_seconds)
    try:
        DBOS.launch()
        log.info("taking jobs", queues=list(queues), concurrency=concurrency, worker=executor_id)
        stop.wait()
        log.info("stopping")
    finally:
        # Stops taking jobs first, then waits for those that run.
        grace = max(1, round(grace_seconds)) if at_work else 0
        DBOS.destroy(destroy_registry=True, workflow_completion_timeout_sec=grace)
        # Not earlier, or this process would take them again. Killed before this, their place is as after a crash.
        for job_id, submission in given_back:
            client.resume(job_id, submission)
        client.close()
