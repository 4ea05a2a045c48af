"""Finds the jobs of workers that are gone, and has others go on with them.

The open-source engine recovers a worker's jobs when that same worker comes back. One that never does, because its
machine is gone, leaves them for ever: this looks after them. Every few seconds one process (it holds a lease)
compares three things: our job rows, the engine's entries, and which workers were heard of lately.

    engine's entry            job                        what is done
    taken by a gone worker    waiting or running         back on its queue, or failed past the limit of attempts
    waiting                   running, worker gone       shown as waiting, which it is
    ended or missing          waiting or running, and    submitted anew: an execution broke off between our row and
                              nobody works on it         the engine's

Whoever holds the lease also tidies up once an hour: notifications, deliveries and short links past their age go.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable
from datetime import datetime, timedelta

from sqlalchemy.exc import SQLAlchemyError

from backend.errors import EquipoiseError
from backend.logs import about, get_logger
from backend.queue.client import Entry, JobQueue
from backend.queue.names import DEFAULT_QUEUE
from backend.queue.problems import GaveUp, problem_details
from backend.settings import Settings
from backend.store import housekeeping, jobs, recovery, workers
from backend.store._sql import now
from backend.store.database import Database
from backend.store.tables import JobRow

log = get_logger(__name__)

_LEASE = "reaper"
#: Between two rounds of tidying up.
TIDY = timedelta(hours=1)


class Reaper:
    """Runs in the background of every API process; one of them at a time does the work."""

    def __init__(
        self,
        database: Database,
        queue: JobQueue,
        settings: Settings,
        *,
        every_seconds: float = 5.0,
        clock: Callable[[], datetime] = now,
    ) -> None:
        self._clock = clock
        self._tidied: datetime | None = None
        self._database = database
        self._queue = queue
        self._settings = settings
        self._every = every_seconds
        self._holder = secrets.token_hex(8)
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        #: (job, submission, attempt) seen without anybody working on it, last time.
        self._adrift: set[tuple[str, int, int]] = set()

    def start(self) -> None:
        """Begins looking, on a thread of its own."""
        self._thread = threading.Thread(target=self._run, name="reaper", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Ends the thread; another process takes the duty over once the lease has run out."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(timeout=10)
            self._thread = None

    def look(self) -> list[str]:
        """One round: answers the jobs that something was done about."""
        with self._database.write() as session:
            if not workers.acquire_lease(session, _LEASE, self._holder, seconds=6 * self._every):
                self._adrift.clear()
                return []
        self._tidy()
        with self._database.read() as session:
            active = recovery.active(session)
            if not active:
                return []
            present = {worker.id for worker in workers.online(session, self._settings.worker_timeout_seconds)}
        entries = self._queue.entries([(job.id, job.submission) for job in active])
        handled, adrift = [], set()
        for job in active:
            with about(job_id=job.id):
                entry = entries.get((job.id, job.submission))
                running_here = job.status == "running" and job.worker_id in present
                if entry is not None and entry.place == "taken":
                    if entry.worker_id not in present and not running_here:
                        self._take_back(job, entry)
                        handled.append(job.id)
                elif entry is not None and entry.place == "waiting":
                    if job.status == "running" and not running_here:
                        self._release(job)
                        handled.append(job.id)
                elif not running_here:
                    # A moment between two writes looks the same: only what stays so is adrift.
                    sighting = (job.id, job.submission, job.attempt)
                    if sighting in self._adrift:
                        self._submit_anew(job, entry)
                        handled.append(job.id)
                    else:
                        adrift.add(sighting)
        self._adrift = adrift
        return handled

    def _tidy(self) -> None:
        moment = self._clock()
        if self._tidied is not None and moment - self._tidied < TIDY:
            return
        self._tidied = moment
        settings = self._settings
        gone = housekeeping.prune(
            self._database, moment, notices=settings.keep_notices_days, links=settings.keep_links_days
        )
        if any(gone.values()):
            log.info("what was past its age is gone", **gone)

    def _take_back(self, job: JobRow, entry: Entry) -> None:
        if job.status == "running" and not self._may_go_on(job):
            return
        log.warning("its worker is gone; back on the queue", worker=entry.worker_id, attempt=job.attempt)
        # First the queue, then our row: broken off in between, the next round finds the job waiting there.
        self._queue.resume(job.id, job.submission)
        self._release(job)

    def _release(self, job: JobRow) -> None:
        with self._database.write() as session:
            recovery.release(session, job.id, job.attempt, lost=True)

    def _may_go_on(self, job: JobRow) -> bool:
        with self._database.write() as session:
            attempts = recovery.fruitless_attempts(session, job.id)
            if attempts < self._settings.max_attempts or job.cancel_requested:
                return True
            jobs.finish(session, job.id, job.attempt, "failed", problem_details(GaveUp(attempts)))
        log.warning("given up", attempts=attempts)
        return False

    def _submit_anew(self, job: JobRow, entry: Entry | None) -> None:
        # Only the engine knows which queue it was on; one whose entry is missing goes where most jobs go.
        queue = entry.queue if entry is not None and entry.queue else DEFAULT_QUEUE
        with self._database.write() as session:
            row = jobs.get(session, job.id)
            if (row.submission, row.attempt, row.status) != (job.submission, job.attempt, job.status):
                return
            if row.status == "running":
                recovery.release(session, row.id, row.attempt, lost=True)
            if row.status == "queued":
                row.submission += 1
                self._queue.enqueue(session, row.id, row.submission, row.priority, queue)
        log.warning("nobody worked on it; submitted anew", submission=row.submission)

    def _run(self) -> None:
        while not self._stop.wait(self._every):
            try:
                self.look()
            except (EquipoiseError, SQLAlchemyError) as error:
                log.warning("could not look after lost jobs; will try again", reason=str(error))
            except Exception:
                log.exception("looking after lost jobs failed; will try again")
