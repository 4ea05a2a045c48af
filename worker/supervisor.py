"""Supervises jobs: claims one, has a process work on it, watches the cancel flag, and goes on after a crash.

One `Supervisor` per worker. Its `execute` is called on a thread per job and returns when the job has ended, whichever
way; training itself happens in other processes, so that neither a crash nor a cancel can take the worker along.
"""

from __future__ import annotations

import contextlib
import os
import queue
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import TypeVar

from backend.errors import Conflict, StaleAttempt, StoreUnavailable
from backend.logs import get_logger
from backend.queue.problems import GaveUp, problem_details
from backend.queue.serving import GiveBack
from backend.settings import Settings
from backend.store import jobs, recovery
from backend.store.database import Database
from backend.store.tables import JobRow
from worker.child import SINGLE_THREADED, Ended, Failed, Kill, Ready, Run, Setup, Started
from worker.execute import cores

log = get_logger(__name__)

T = TypeVar("T")

#: Pause before a process that could not start, or keeps dying, is started again.
RESTART_SECONDS = 2.0


@dataclass
class Handle:
    """An attempt at work in a process of its own."""

    token: int
    done: threading.Event = field(default_factory=threading.Event)
    exitcode: int | None = None
    pid: int | None = None


class Nursery:
    """The worker's end of `worker.child`: starts it, starts it again if it dies, and speaks with it."""

    def __init__(
        self,
        settings: Settings,
        *,
        module: str = "worker.measure",
        catalogue_module: str | None = "worker.catalogue",
        parallel: int | None = None,
        device: str = "cpu",
    ) -> None:
        # A GPU trains many runs as one program: a second process would only take memory from the first.
        parallel = parallel or (cores() if device == "cpu" else 1)
        self._setup = Setup(settings, module, catalogue_module, parallel, device)
        self._lock = threading.Lock()
        self._connection: Connection | None = None
        self._handles: dict[int, Handle] = {}
        self._tokens = 0
        self._stop = threading.Event()
        self._ready = threading.Event()
        self._catalogues: queue.SimpleQueue[str | Failed] = queue.SimpleQueue()
        # The kernel ends a process whose parent *thread* ends, so one thread starts it and lives as long as this.
        self._thread = threading.Thread(target=self._run, name="nursery", daemon=True)

    def start(self) -> None:
        """Begins to import, in the other process. Returns at once."""
        self._thread.start()

    def catalogue(self, timeout: float | None = None) -> str:
        """Waits for what the code can do, as JSON.

        Raises `RuntimeError` where it cannot be imported, `Conflict` where the machine lacks what was asked for.
        """
        answer = self._catalogues.get(timeout=timeout)
        if isinstance(answer, Failed):
            if answer.fix:
                raise Conflict(answer.reason, fix=answer.fix)
            raise RuntimeError(answer.reason)
        return answer

    def run(self, job_id: str, attempt: int) -> Handle:
        """Has a process work on this attempt. Waits while everything is being imported again."""
        while not self._stop.is_set():
            if not self._ready.wait(timeout=0.5):
                continue
            with self._lock:
                if self._connection is None:
                    continue
                self._tokens += 1
                handle = Handle(self._tokens)
                self._handles[handle.token] = handle
                try:
                    self._connection.send(Run(handle.token, job_id, attempt))
                except OSError:
                    del self._handles[handle.token]
                    continue
                return handle
        raise GiveBack

    def kill(self, handle: Handle) -> None:
        """Ends the attempt's processes and waits until they are gone."""
        with self._lock:
            if self._connection is not None and not handle.done.is_set():
                with contextlib.suppress(OSError):
                    self._connection.send(Kill(handle.token))
        handle.done.wait(timeout=10)

    def stop(self) -> None:
        """Ends the process and with it every attempt at work."""
        self._stop.set()
        with self._lock:
            if self._connection is not None:
                # Its end of the line goes dead: it kills what is running and leaves.
                _shut(self._connection)
        self._thread.join(timeout=10)

    def _run(self) -> None:
        while not self._stop.is_set():
            began = time.monotonic()
            ours, theirs = socket.socketpair()
            os.set_inheritable(theirs.fileno(), True)
            process = subprocess.Popen(
                [sys.executable, "-m", "worker.child", str(theirs.fileno()), str(os.getpid())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                env={**os.environ, **SINGLE_THREADED},
            )
            theirs.close()
            connection = Connection(ours.detach())
            try:
                connection.send(self._setup)
                self._listen(connection)
            except (EOFError, OSError):
                pass
            finally:
                self._ready.clear()
                with self._lock:
                    self._connection = None
                    orphans, self._handles = list(self._handles.values()), {}
                    connection.close()
                try:
                    code = process.wait(timeout=5)
                except subprocess.TimeoutExpired:
                    process.kill()
                    code = process.wait()
                for handle in orphans:
                    handle.exitcode = code
                    handle.done.set()
            if not self._stop.is_set():
                log.warning("the process that holds the training code ended; starting it again", exit=code)
                if time.monotonic() - began < 10:
                    self._stop.wait(RESTART_SECONDS)

    def _listen(self, connection: Connection) -> None:
        while True:
            message = connection.recv()
            if isinstance(message, Ready):
                with self._lock:
                    self._connection = connection
                self._ready.set()
                self._catalogues.put(message.catalogue or "")
            elif isinstance(message, Failed):
                self._catalogues.put(message)
            elif isinstance(message, Started):
                with self._lock:
                    handle = self._handles.get(message.token)
                if handle is not None:
                    handle.pid = message.pid
            elif isinstance(message, Ended):
                with self._lock:
                    handle = self._handles.pop(message.token, None)
                if handle is not None:
                    handle.exitcode = message.exitcode
                    handle.done.set()


class Supervisor:
    """Brings jobs to their end."""

    def __init__(
        self, database: Database, settings: Settings, nursery: Nursery, worker_id: str, stop: threading.Event
    ) -> None:
        self._database = database
        self._settings = settings
        self._nursery = nursery
        self._worker_id = worker_id
        self._stop = stop

    def execute(self, job_id: str) -> None:
        """Works on a job until it has ended. Raises `GiveBack` where the worker stops first."""
        while True:
            if self._stop.is_set():
                raise GiveBack
            attempt = self._claim(job_id)
            if attempt is None:
                return
            log.info("working on it", attempt=attempt)
            if self._watch(job_id, attempt):
                return

    def _claim(self, job_id: str) -> int | None:
        """The attempt's number, or None where there is nothing left to do."""

        def claim() -> int | None:
            with self._database.write() as session:
                attempt = jobs.claim(session, job_id, self._worker_id)
                if attempt is None:
                    return None
                attempts = recovery.fruitless_attempts(session, job_id)
                if attempts > self._settings.max_attempts:
                    jobs.finish(session, job_id, attempt, "failed", problem_details(GaveUp(attempts - 1)))
                    log.warning("given up", attempts=attempts - 1)
                    return None
                return attempt

        return self._patiently(claim)

    def _watch(self, job_id: str, attempt: int) -> bool:
        """True when the job has ended or is somebody else's; False when the attempt broke off and may be repeated."""
        handle = self._nursery.run(job_id, attempt)
        while not handle.done.wait(self._settings.poll_seconds):
            if self._stop.is_set():
                self._nursery.kill(handle)
                self._hand_back(job_id, attempt)
                raise GiveBack
            job = self._look(job_id)
            if job is None or job.attempt != attempt:
                log.info("deleted or taken over by another worker; stopping", attempt=attempt)
                self._nursery.kill(handle)
                return True
            if job.status != "running":
                # It ended itself, or somebody ended it: what is left of the process has a moment to leave.
                if not handle.done.wait(2.0):
                    self._nursery.kill(handle)
                return True
            if job.cancel_requested:
                self._nursery.kill(handle)
                self._cancelled(job_id, attempt)
                return True
        job = self._look(job_id)
        if job is None or job.attempt != attempt or job.status != "running":
            return True
        if job.cancel_requested:
            self._cancelled(job_id, attempt)
            return True
        log.warning("its process ended before the job did", attempt=attempt, exit=handle.exitcode)
        return False

    def _look(self, job_id: str) -> JobRow | None:
        def look() -> JobRow | None:
            with self._database.read() as session:
                return session.get(JobRow, job_id)

        return self._patiently(look)

    def _cancelled(self, job_id: str, attempt: int) -> None:
        def cancel() -> None:
            with self._database.write() as session:
                jobs.finish(session, job_id, attempt, "cancelled")

        try:
            self._patiently(cancel)
            log.info("cancelled")
        except StaleAttempt:
            pass

    def _hand_back(self, job_id: str, attempt: int) -> None:
        try:
            with self._database.write() as session:
                recovery.release(session, job_id, attempt, lost=False)
            log.info("handed back to the queue; it goes on when a worker starts")
        except StoreUnavailable as error:
            # The next worker under this id, or the reaper, finds it.
            log.warning("could not hand the job back", reason=error.detail)

    def _patiently(self, work: Callable[[], T]) -> T:
        """A job in hand is not dropped because the database is away for a while: it waits, and training goes on."""
        pause = 0.2
        while True:
            try:
                return work()
            except StoreUnavailable as error:
                if self._stop.is_set():
                    raise GiveBack from error
                log.warning("the database cannot be used; waiting", reason=error.detail)
                self._stop.wait(pause)
                pause = min(5.0, pause * 2)


def _shut(connection: Connection) -> None:
    """Ends a connection while another thread may be reading from it; that thread finds its end."""
    with socket.socket(fileno=os.dup(connection.fileno())) as line, contextlib.suppress(OSError):
        line.shutdown(socket.SHUT_RDWR)
