"""Trains runs in parallel, one process per core, each run alone.

`Pool` is one way to measure many runs; whatever yields the same (see `Measurer`) can stand in its place, such as an
engine that trains hundreds of runs as one program.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Protocol

from backend.contracts.results import RunResult
from backend.contracts.runs import RunConfig
from backend.errors import EquipoiseError, JobFailed, StaleAttempt
from backend.logs import get_logger

log = get_logger(__name__)

#: How often one run is started, when the process that trains it is killed from outside.
STARTS_PER_RUN = 2

#: Called with a run's key and the share of it that is done.
OnProgress = Callable[[str, float], None]
#: Trains and evaluates one run; called in a process of its own.
MeasureRun = Callable[[RunConfig, OnProgress], RunResult]


@dataclass(frozen=True)
class RunProgress:
    """How far a run in training is, from 0 to 1."""

    key: str
    share: float


class Measurer(Protocol):
    """Turns configurations into results, in any order, each as soon as it is known.

    `measure_many` yields exactly one `RunResult` per configuration, and `RunProgress` in between as it likes: at least
    a few times a second something, even if it is None, so that the caller can look after other things. It raises
    `JobFailed` where no run of the job can be trained here. The caller may stop iterating at any time; `close` then
    ends whatever is still at work.
    """

    #: How many runs are trained at a time.
    parallel: int

    def measure_many(self, configs: Sequence[RunConfig]) -> Iterator[RunResult | RunProgress | None]:
        """See above."""
        ...

    def close(self) -> None:
        """Ends everything that is still at work."""
        ...


@dataclass
class _Worker:
    process: BaseProcess
    pipe: Connection
    config: RunConfig | None = None
    starts: dict[str, int] = field(default_factory=dict)


class Pool:
    """A `Measurer` of forked processes.

    It must be made and used in a process with a single thread that has not computed anything with torch yet: what is
    forked inherits memory, but no threads. An error in a run is that run's result; a `JobFailed` ends the job.
    """

    def __init__(self, measure: MeasureRun, parallel: int, *, tick_seconds: float = 0.2) -> None:
        self.parallel = max(1, parallel)
        self._measure = measure
        self._tick = tick_seconds
        self._workers: list[_Worker] = []

    def measure_many(self, configs: Sequence[RunConfig]) -> Iterator[RunResult | RunProgress | None]:
        """Trains `configs` in order, `parallel` at a time."""
        todo = deque(configs)
        starts: dict[str, int] = {}
        busy = 0
        while todo or busy:
            while len(self._workers) < min(self.parallel, len(todo) + busy):
                self._workers.append(self._fork())
            for worker in self._workers:
                if worker.config is None and todo:
                    worker.config = todo.popleft()
                    key = worker.config.key()
                    starts[key] = starts.get(key, 0) + 1
                    worker.pipe.send(worker.config)
                    busy += 1
            by_pipe = {worker.pipe: worker for worker in self._workers}
            ready = wait(list(by_pipe), timeout=self._tick)
            if not ready:
                yield None
            for pipe in ready:
                worker = by_pipe[pipe]  # type: ignore[index]
                try:
                    answer = worker.pipe.recv()
                except (EOFError, OSError):
                    config = self._bury(worker)
                    if config is None:
                        continue
                    busy -= 1
                    if starts[config.key()] < STARTS_PER_RUN:
                        todo.appendleft(config)
                    else:
                        yield _killed(config, worker.process.exitcode)
                    continue
                if isinstance(answer, EquipoiseError):
                    raise answer
                if isinstance(answer, RunResult):
                    worker.config = None
                    busy -= 1
                yield answer

    def close(self) -> None:
        """Kills the processes."""
        for worker in self._workers:
            worker.process.kill()
        for worker in self._workers:
            worker.process.join(timeout=5)
            worker.pipe.close()
        self._workers.clear()

    def _fork(self) -> _Worker:
        # The default on Linux, named because everything here depends on it: memory is shared, start takes milliseconds.
        context = get_context("fork")
        ours, theirs = context.Pipe()
        inherited = [worker.pipe for worker in self._workers]
        process = context.Process(target=_work, args=(theirs, [ours, *inherited], self._measure), daemon=True)
        process.start()
        theirs.close()
        return _Worker(process, ours)

    def _bury(self, worker: _Worker) -> RunConfig | None:
        worker.process.join(timeout=5)
        worker.pipe.close()
        self._workers.remove(worker)
        log.warning(
            "a training process ended unexpectedly",
            exit=worker.process.exitcode,
            run=worker.config.key() if worker.config else None,
        )
        return worker.config


def _work(pipe: Connection, close: Sequence[Connection], measure: MeasureRun) -> None:
    """The forked process: one run after the other until its parent is gone."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    die_with_parent(os.getppid())
    for other in close:
        # Held open here, a pipe's end would not be noticed over there.
        other.close()
    while True:
        try:
            config = pipe.recv()
        except (EOFError, OSError):
            return
        answer = _guarded(config, measure, pipe)
        try:
            pipe.send(answer)
        except OSError:
            return


def _guarded(config: RunConfig, measure: MeasureRun, pipe: Connection) -> RunResult | EquipoiseError:
    key = config.key()
    try:
        return measure(config, lambda key, share: pipe.send(RunProgress(key, share)))
    except (JobFailed, StaleAttempt) as error:
        return error
    except MemoryError:
        return RunResult(
            key=key,
            status="failed",
            message="There was not enough memory to train this run. Use smaller batches, a smaller model or fewer "
            "runs at a time.",
        )
    except Exception as error:
        log.exception("run failed", run=key)
        return RunResult(key=key, status="failed", message=unexpected(error))


def unexpected(error: BaseException) -> str:
    """A sentence for people about an error that nobody foresaw. The trace belongs in the log."""
    said = str(error).strip().splitlines()
    what = f"{type(error).__name__}: {said[0][:200]}" if said else type(error).__name__
    return f"An unexpected error ended it ({what}). The worker's log has the details."


def _killed(config: RunConfig, exitcode: int | None) -> RunResult:
    by = f"signal {-exitcode}" if exitcode is not None and exitcode < 0 else f"exit code {exitcode}"
    return RunResult(
        key=config.key(),
        status="failed",
        message=f"The process that trained this run was ended from outside {STARTS_PER_RUN} times ({by}), most likely "
        "for want of memory. Use smaller batches, a smaller model or fewer runs at a time.",
    )


def die_with_parent(parent: int, signum: int = signal.SIGKILL) -> None:
    """Has the kernel end this process when the thread that forked it ends (Linux). Elsewhere closed pipes do it."""
    if sys.platform == "linux":
        pr_set_pdeathsig = 1
        ctypes.CDLL(None, use_errno=True).prctl(pr_set_pdeathsig, int(signum), 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)
