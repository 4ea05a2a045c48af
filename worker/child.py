"""The process that has imported everything, and forks one process per job.

Importing torch and the plugins takes seconds; forking from a process that has done so takes milliseconds, and the
memory is shared. So that forking is safe it computes nothing, keeps one thread and opens no connection: it imports,
forks, reports who ended, and kills when told to. CUDA is only ever initialised in processes below it. Every job's
process leads a process group of its own, so that one signal ends it with all that it started.

    worker  -- Run, Kill -->  this  -- Ready, Failed, Started, Ended -->  worker
    worker  --- if it dies, this dies --->  if this dies, the jobs' processes die
"""

from __future__ import annotations

import contextlib
import importlib
import os
import select
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

from backend.logs import about, configure, get_logger
from backend.settings import Settings
from backend.store.database import Database
from worker import memory
from worker.execute import run_attempt
from worker.pool import die_with_parent

log = get_logger(__name__)

#: Set before numpy and torch are imported: their thread pools would not survive the fork, and one process per core
#: leaves them nothing to do.
SINGLE_THREADED = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "NUMEXPR_NUM_THREADS": "1",
    "TOKENIZERS_PARALLELISM": "false",
}

#: Exit status of a job's process that has brought its attempt to an end, whatever the end was.
ENDED = 0


@dataclass(frozen=True)
class Setup:
    """What the process needs to know, as the first message."""

    settings: Settings
    module: str
    catalogue_module: str | None
    parallel: int
    device: str = "cpu"


@dataclass(frozen=True)
class Run:
    """Work on this attempt at a job."""

    token: int
    job_id: str
    attempt: int


@dataclass(frozen=True)
class Kill:
    """End that attempt's processes at once."""

    token: int


@dataclass(frozen=True)
class Ready:
    """Everything is imported. `catalogue` is what the code can do, as JSON."""

    catalogue: str | None


@dataclass(frozen=True)
class Failed:
    """It could not be imported, and why; with `fix`, the code is fine and the machine lacks something."""

    reason: str
    fix: str = ""


@dataclass(frozen=True)
class Started:
    """The attempt's process."""

    token: int
    pid: int


@dataclass(frozen=True)
class Ended:
    """The attempt's process is gone. Negative: by that signal."""

    token: int
    exitcode: int


def main() -> None:
    """`python -m worker.child DESCRIPTOR PARENT`: the descriptor is one end of a socket to the worker."""
    descriptor, parent = int(sys.argv[1]), int(sys.argv[2])
    die_with_parent(parent)
    # Ctrl-C in a terminal reaches every process there; it is the worker that decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    connection = Connection(descriptor)
    setup: Setup = connection.recv()
    configure(setup.settings.log_level, json=setup.settings.log_json)
    try:
        importlib.import_module(setup.module)
        catalogue = None
        if setup.catalogue_module is not None:
            _identify()
            _load_compiled_code()
            module = setup.catalogue_module
            catalogue = _in_a_fork(lambda: importlib.import_module(module).build_catalogue().model_dump_json())
        lacking = _in_a_fork(lambda: memory.lacking(setup.device)) if setup.device != "cpu" else ""
        _tidy(setup.settings)
    except Exception as error:
        log.exception("the training code cannot be loaded")
        connection.send(Failed(f"{type(error).__name__}: {error}"))
        sys.exit(1)
    if lacking:
        connection.send(Failed(lacking, fix="Start the worker with --device cpu, or with a GPU that is there."))
        sys.exit(1)
    connection.send(Ready(catalogue))
    _Nursery(connection, setup).run()


class _Nursery:
    """The loop: one thread, woken by a message or by a process that ended."""

    def __init__(self, connection: Connection, setup: Setup) -> None:
        self._connection = connection
        self._setup = setup
        self._pids: dict[int, int] = {}
        self._wake, wake = os.pipe()
        os.set_blocking(wake, False)
        os.set_blocking(self._wake, False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)

    def run(self) -> None:
        try:
            while True:
                ready, _, _ = select.select([self._connection.fileno(), self._wake], [], [])
                if self._wake in ready:
                    with contextlib.suppress(BlockingIOError):
                        os.read(self._wake, 4096)
                    self._reap()
                if self._connection.fileno() in ready:
                    message = self._connection.recv()
                    if isinstance(message, Run):
                        self._fork(message)
                    elif isinstance(message, Kill):
                        self._kill(message.token)
        except (EOFError, OSError):
            # The worker is gone, and nobody is left to answer to.
            for token in list(self._pids):
                self._kill(token)

    def _fork(self, order: Run) -> None:
        parent = os.getpid()
        pid = os.fork()
        if pid == 0:
            _become_job(lambda: self._connection.close(), order, self._setup, parent)
        with contextlib.suppress(OSError):
            # On both sides, because either may be first.
            os.setpgid(pid, pid)
        self._pids[order.token] = pid
        self._connection.send(Started(order.token, pid))

    def _kill(self, token: int) -> None:
        if token in self._pids:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._pids[token], signal.SIGKILL)

    def _reap(self) -> None:
        for token, pid in list(self._pids.items()):
            # First look, then kill what is left of the group, then let go: until then the number is nobody else's.
            if os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
                continue
            self._kill(token)
            _, status = os.waitpid(pid, 0)
            del self._pids[token]
            self._connection.send(Ended(token, os.waitstatus_to_exitcode(status)))


def _become_job(close: Callable[[], None], order: Run, setup: Setup, parent: int) -> None:
    """The forked process. It never returns."""
    code = 1
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        with contextlib.suppress(OSError):
            os.setpgid(0, 0)
        die_with_parent(parent)
        close()
        settings = setup.settings
        with about(job_id=order.job_id):
            run_attempt(
                Database(settings.url()),
                order.job_id,
                order.attempt,
                module=setup.module,
                cache_dir=Path(settings.cache_dir()),
                parallel=setup.parallel,
                device=setup.device,
                checkpoint_seconds=settings.checkpoint_seconds,
            )
        code = ENDED
    except Exception:
        log.exception("the attempt broke off", job_id=order.job_id, attempt=order.attempt)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _identify() -> None:
    """Imports every plugin and hashes the code, now: edited on disk later, this process still runs what it read."""
    from worker import registry

    registry.registry()
    registry.engine_version()


def _load_compiled_code() -> None:
    """Numba sets itself up at the first call, for a third of a second: once here, and not in every process."""
    from worker.training.streams import Purpose, shared_key, words

    words(shared_key(0), Purpose.SPLIT, 0, 1)


def _tidy(settings: Settings) -> None:
    """Checkpoints that nobody came back for."""
    from worker.training.checkpoints import Checkpoints

    with contextlib.suppress(OSError):
        Checkpoints(settings.cache_dir() / "checkpoints").tidy()


def _in_a_fork(work: Callable[[], str]) -> str:
    """What `work` answers, in a forked process: libraries start threads to read data, and CUDA does not survive a fork
    of the process that initialised it, so that this one must do neither.
    """
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            os.close(reading)
            with os.fdopen(writing, "w") as pipe:
                pipe.write(work())
            code = 0
        except Exception:
            log.exception("what the worker can do cannot be found out")
        finally:
            sys.stderr.flush()
            os._exit(code)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        text = pipe.read()
    _, status = os.waitpid(pid, 0)
    if os.waitstatus_to_exitcode(status) != 0:
        raise RuntimeError("what the worker can do cannot be found out; the lines above say why")
    return text


if __name__ == "__main__":
    # Under its importable name, so that messages are the same classes on both sides.
    from worker import child

    child.main()
