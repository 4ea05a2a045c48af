"""A worker process: says what it can train, takes jobs, and stops in order.

`python -m worker.main` is what `equipoise serve` starts beside the server; `equipoise worker` calls `run_worker`.
"""

from __future__ import annotations

import argparse
import os
import secrets
import signal
import socket
import sys
import threading
from collections.abc import Callable, Sequence

from sqlalchemy.exc import SQLAlchemyError

from backend.contracts.catalogue import Catalogue
from backend.errors import EquipoiseError
from backend.logs import configure, get_logger
from backend.queue.lock import WorkerLock
from backend.queue.names import EMBEDDED_WORKER
from backend.queue.serving import serve
from backend.settings import Settings
from backend.store import recovery, schema, workers
from backend.store.database import Database
from worker.memory import gpu_number
from worker.pool import die_with_parent
from worker.supervisor import Nursery, Supervisor

log = get_logger(__name__)

#: How long running jobs get to be stopped and handed back.
GRACE_SECONDS = 10.0


def run_worker(
    settings: Settings,
    device: str = "cpu",
    queues: Sequence[str] = ("cpu",),
    embedded: bool = False,
    *,
    concurrency: int = 1,
    parallel: int | None = None,
    stop: threading.Event | None = None,
    nursery: Nursery | None = None,
) -> None:
    """Works until `stop` is set or the process is told to end (SIGTERM, SIGINT).

    `embedded`: the one local worker of a data folder. It upgrades the database itself, has a fixed id, so that it
    takes up at once what its predecessor left behind, and holds a lock, so that there are never two. Otherwise the
    schema must be current and the id is unique. `concurrency` jobs are worked on at a time, each with `parallel`
    processes (by default one per core, on a GPU one).
    """
    gpu_number(device)
    stop = stop or threading.Event()
    _stop_on_signals(stop)
    worker_id = EMBEDDED_WORKER if embedded else f"{socket.gethostname()[:40]}-{os.getpid()}-{secrets.token_hex(3)}"
    data_dir = settings.data_dir.expanduser().resolve()
    lock = WorkerLock(data_dir, worker_id) if embedded else None
    if lock is not None:
        lock.acquire()
    database = Database(settings.url())
    nursery = nursery or Nursery(settings, parallel=parallel, device=device)
    announced = False
    heart: threading.Thread | None = None
    try:
        if embedded:
            schema.upgrade(database)
        else:
            schema.require_current(database)
        # While the training code is being imported elsewhere, the engine is imported and started here.
        nursery.start()
        if embedded:
            _take_up(database, worker_id)
        catalogue = _wait_for_catalogue(nursery, stop)
        if catalogue is None:
            return
        with database.write() as session:
            workers.publish_catalogue(session, catalogue)
            workers.register(
                session,
                worker_id,
                host=socket.gethostname(),
                pid=os.getpid(),
                device=device,
                queues=queues,
                catalogue=catalogue.version,
            )
        announced = True
        heart = threading.Thread(
            target=_beat, args=(database, worker_id, settings, stop), name="heartbeat", daemon=True
        )
        heart.start()
        serve(
            database,
            Supervisor(database, settings, nursery, worker_id, stop).execute,
            executor_id=worker_id,
            queues=queues,
            concurrency=concurrency,
            poll_seconds=settings.poll_seconds,
            stop=stop,
            grace_seconds=GRACE_SECONDS,
        )
    finally:
        stop.set()
        nursery.stop()
        if heart is not None:
            heart.join(timeout=5)
        if announced:
            _safely("could not say goodbye", lambda: _stopped(database, worker_id))
        database.dispose()
        if lock is not None:
            lock.release()
        log.info("worker stopped", worker=worker_id)


def _take_up(database: Database, worker_id: str) -> None:
    """Jobs that the predecessor under this id still held are waiting again; the engine hands them out at its start."""
    with database.write() as session:
        workers.stop(session, worker_id)
        for job in recovery.running_jobs_of(session, worker_id):
            log.warning("resuming a job whose worker was lost", job_id=job.id, attempt=job.attempt)
            recovery.release(session, job.id, job.attempt, lost=True)


def _wait_for_catalogue(nursery: Nursery, stop: threading.Event) -> Catalogue | None:
    import queue

    while not stop.is_set():
        try:
            text = nursery.catalogue(timeout=0.2)
        except queue.Empty:
            continue
        return Catalogue.model_validate_json(text)
    return None


def _beat(database: Database, worker_id: str, settings: Settings, stop: threading.Event) -> None:
    def beat() -> None:
        with database.write() as session:
            workers.heartbeat(session, worker_id)

    while not stop.wait(settings.heartbeat_seconds):
        _safely("missed a heartbeat", beat)


def _stopped(database: Database, worker_id: str) -> None:
    with database.write() as session:
        workers.stop(session, worker_id)


def _safely(complaint: str, work: Callable[[], None]) -> None:
    try:
        work()
    except (EquipoiseError, SQLAlchemyError) as error:
        log.warning(complaint, reason=str(error))


def _stop_on_signals(stop: threading.Event) -> None:
    if threading.current_thread() is not threading.main_thread():
        return
    for signum in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signum, lambda *_: stop.set())


def main(arguments: Sequence[str] | None = None) -> int:
    """The process that `equipoise serve` starts; settings come by the environment."""
    parser = argparse.ArgumentParser(prog="worker.main")
    parser.add_argument("--device", default="cpu", help="What to train on: cpu or cuda:N.")
    parser.add_argument("--queues", default="cpu")
    parser.add_argument("--concurrency", type=int, default=1)
    parser.add_argument("--processes", type=int, default=0, help="0 is one per core, on a GPU one.")
    parser.add_argument("--embedded", action="store_true")
    parser.add_argument("--parent", type=int, help="End in order when this process, which started it, ends.")
    options = parser.parse_args(arguments)
    if options.parent:
        die_with_parent(options.parent, signal.SIGTERM)
    settings = Settings()
    configure(settings.log_level, json=settings.log_json)
    try:
        run_worker(
            settings,
            options.device,
            [name.strip() for name in options.queues.split(",") if name.strip()],
            options.embedded,
            concurrency=options.concurrency,
            parallel=options.processes or None,
        )
    except EquipoiseError as error:
        log.error(error.sentence())
        return 2
    except RuntimeError as error:
        log.error("the training code cannot be loaded", reason=str(error))
        return 3
    return 0


def leave(code: int) -> None:
    """Ends the process even where the job engine left a thread waiting."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    leave(main())
