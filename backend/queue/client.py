"""The API's side of the queue: puts jobs on, takes them off, executes nothing."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from sqlalchemy.orm import Session

from backend.logs import get_logger
from backend.queue.names import APPLICATION, DEFAULT_QUEUE, VERSION, WORKFLOW, engine_priority, workflow_id
from backend.store.database import Database

if TYPE_CHECKING:
    from dbos import DBOSClient

log = get_logger(__name__)

#: waiting: on the queue; taken: a worker has it; ended: finished, failed or cancelled in the engine's eyes.
Place = Literal["waiting", "taken", "ended"]

_PLACES: dict[str, Place] = {"ENQUEUED": "waiting", "DELAYED": "waiting", "PENDING": "taken"}


@dataclass(frozen=True)
class Entry:
    """What the engine knows of one submission of a job."""

    place: Place
    queue: str | None
    worker_id: str | None


class JobQueue:
    """Puts jobs on the queue in the caller's own transaction. One per process; safe to share between threads."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = threading.Lock()
        self._client: DBOSClient | None = None

    def prepare(self) -> None:
        """Creates or upgrades the engine's tables. Safe to call at any time, from several processes at once."""
        from dbos import DBOS

        quiet()
        DBOS.migrate(self._database.url)
        self._engine()

    def enqueue(
        self, session: Session, job_id: str, submission: int, priority: int = 0, queue: str = DEFAULT_QUEUE
    ) -> None:
        """Puts a job on a queue within `session`'s transaction: both are kept, or neither.

        The engine is handed the job's id and nothing else. The same submission put twice is on the queue once.
        """
        client = self._engine()
        client.enqueue_in_transaction(
            session.connection(),
            {
                "workflow_name": WORKFLOW,
                "queue_name": queue,
                "workflow_id": workflow_id(job_id, submission),
                "app_version": VERSION,
                "application_name": APPLICATION,
                "priority": engine_priority(priority),
            },
            job_id,
        )

    def cancel(self, job_id: str, submission: int) -> None:
        """Takes a waiting job off its queue. One that a worker has stops by the job's own cancel flag.

        Call it after the transaction that set the flag has ended: it writes on a connection of its own.
        """
        entry = self.entries([(job_id, submission)]).get((job_id, submission))
        if entry is not None and entry.place == "waiting":
            # Taken meanwhile? Then the worker's claim finds the flag and ends the job just the same.
            self._engine().cancel_workflow(workflow_id(job_id, submission))

    def resume(self, job_id: str, submission: int) -> None:
        """Puts a job that a worker had taken back on its queue; does nothing to one that has ended."""
        entry = self.entries([(job_id, submission)]).get((job_id, submission))
        if entry is not None:
            # Without a queue the engine would use an internal one that knows no limits.
            self._engine().resume_workflow(workflow_id(job_id, submission), queue_name=entry.queue or DEFAULT_QUEUE)

    def limit(self, queue: str, concurrency: int, poll_seconds: float) -> None:
        """Declares a queue: how many of its jobs one worker runs at a time, and how often it looks for one.

        The engine keeps this in the database, for all workers of the queue: the last to start decides.
        """
        client = self._engine()
        known = client.retrieve_queue(queue)
        # Its cached fields: the accessors of the same names ask the database again, each.
        if known is not None and (known._worker_concurrency, known._polling_interval_sec) == (
            concurrency,
            poll_seconds,
        ):
            return
        if known is not None:
            log.info("queue limits changed for all its workers", queue=queue, concurrency=concurrency)
        client.register_queue(
            queue, worker_concurrency=concurrency, polling_interval_sec=poll_seconds, on_conflict="always_update"
        )

    def entries(self, submissions: Sequence[tuple[str, int]]) -> dict[tuple[str, int], Entry]:
        """What the engine knows of these (job id, submission) pairs; one that it does not know is left out."""
        if not submissions:
            return {}
        by_id = {workflow_id(*submission): submission for submission in submissions}
        found = self._engine().list_workflows(workflow_ids=list(by_id), load_input=False, load_output=False)
        return {
            by_id[workflow.workflow_id]: Entry(
                place=_PLACES.get(workflow.status, "ended"), queue=workflow.queue_name, worker_id=workflow.executor_id
            )
            for workflow in found
        }

    def close(self) -> None:
        """Closes the engine's connections."""
        with self._lock:
            if self._client is not None:
                self._client.destroy()
                self._client = None

    def _engine(self) -> DBOSClient:
        with self._lock:
            if self._client is None:
                from dbos import DBOSClient, DBOSPortableJSONSerializer

                quiet()
                self._client = DBOSClient(
                    # JSON: by default the engine pickles, and whoever could write to the database could run code.
                    serializer=DBOSPortableJSONSerializer(),
                    system_database_url=self._database.url,
                    application_name=APPLICATION,
                    system_database_pool_size=3,
                    lazy=True,
                    retry_connection_errors=False,
                )
            return self._client


def quiet() -> None:
    """The engine logs through ours, and only what is wrong."""
    logger = logging.getLogger("dbos")
    if not logger.handlers:
        # It adds a console handler of its own to a logger that has none.
        logger.addHandler(logging.NullHandler())
    logger.propagate = True
    if logger.level == logging.NOTSET:
        logger.setLevel(logging.ERROR)
