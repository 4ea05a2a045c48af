"""Trains fleets of runs in parallel, one process per core, and goes on where a process dies.

`Pool` is one way to measure many runs; whatever yields the same (see `Measurer`) can stand in its place.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Protocol

from backend.contracts.results import RunResult
from backend.contracts.runs import RunConfig
from backend.errors import EquipoiseError, JobFailed, StaleAttempt
from backend.logs import get_logger
from worker.memory import Account, Room

log = get_logger(__name__)

#: How often a run is started by itself, when the process that trains it is killed from outside.
STARTS_PER_RUN = 2

#: Called with a run's key and the share of it that is done.
OnProgress = Callable[[str, float], None]
#: Trains and evaluates runs, yielding each result as soon as it is known; called in a process of its own.
MeasureFleet = Callable[[Sequence[RunConfig], OnProgress, Room], Iterable[RunResult]]
Fleets = Sequence[Sequence[RunConfig]]

NO_MEMORY = (
    "There was not enough memory to train this run. Use smaller batches, a smaller model or fewer runs at a time."
)


@dataclass(frozen=True)
class RunProgress:
    """How far a run in training is, from 0 to 1."""

    key: str
    share: float


class Measurer(Protocol):
    """Turns configurations into results, in any order, each as soon as it is known.

    `measure_many` takes fleets, runs that may be trained together, and yields exactly one `RunResult` per
    configuration, and `RunProgress` in between as it likes: at least a few times a second something, even if it is
    None, so that the caller can look after other things. It raises `JobFailed` where no run of the job can be trained
    here. The caller may stop iterating at any time; `close` then ends whatever is still at work.
    """

    #: How many runs are trained at a time.
    parallel: int

    def measure_many(self, fleets: Fleets) -> Iterator[RunResult | RunProgress | None]:
        """See above."""
        ...

    def close(self) -> None:
        """Ends everything that is still at work."""
        ...


@dataclass(frozen=True)
class _Need:
    """A process asks for memory before it trains, see `memory.Room`."""

    least: int
    most: int


@dataclass(frozen=True)
class _Over:
    """A process is through with its fleet; `failure` says why runs are missing."""

    failure: str | None


@dataclass
class _Worker:
    process: BaseProcess
    pipe: Connection
    busy: bool = False
    #: Runs of its fleet whose results are not here yet.
    left: dict[str, RunConfig] = field(default_factory=dict)


class Pool:
    """A `Measurer` of forked processes, each of which takes one fleet after the other.

    It must be made and used in a process with a single thread that has not computed anything with torch yet: what is
    forked inherits memory, but no threads. A `JobFailed` ends the job. Where a fleet breaks off, by an error or because
    its process died, the results that are here stay, and the other runs are tried again in halves until the run that
    is at fault is alone; its error is its result. A process that was killed was most likely too large: from then on
    there is one less.

    `available` says how much memory of the host may be used; None leaves everybody to take what they want.
    """

    def __init__(
        self,
        measure: MeasureFleet,
        parallel: int,
        *,
        available: Callable[[], int] | None = None,
        tick_seconds: float = 0.2,
    ) -> None:
        self.parallel = max(1, parallel)
        self._measure = measure
        self._account = Account(available) if available is not None else None
        self._tick = tick_seconds
        self._workers: list[_Worker] = []
        self._todo: deque[list[RunConfig]] = deque()
        #: How often a process died that trained this run alone.
        self._deaths: dict[str, int] = {}

    def measure_many(self, fleets: Fleets) -> Iterator[RunResult | RunProgress | None]:
        """Trains `fleets` in order, `parallel` at a time."""
        self._todo = deque(list(fleet) for fleet in fleets if fleet)
        while self._todo or any(worker.busy for worker in self._workers):
            self._hand_out()
            by_pipe = {worker.pipe: worker for worker in self._workers}
            ready = wait(list(by_pipe), timeout=self._tick)
            if not ready:
                yield None
            for pipe in ready:
                worker = by_pipe[pipe]  # type: ignore[index]
                try:
                    answer = worker.pipe.recv()
                except (EOFError, OSError):
                    yield from self._bury(worker)
                    continue
                if isinstance(answer, EquipoiseError):
                    raise answer
                if isinstance(answer, RunProgress):
                    yield answer
                elif isinstance(answer, RunResult):
                    if worker.left.pop(answer.key, None) is not None:
                        yield answer
                elif isinstance(answer, _Need):
                    self._grant(worker, answer)
                elif isinstance(answer, _Over):
                    yield from self._over(worker, answer)

    def close(self) -> None:
        """Kills the processes."""
        for worker in self._workers:
            worker.process.kill()
        for worker in list(self._workers):
            self._remove(worker)

    def _hand_out(self) -> None:
        idle = [worker for worker in self._workers if not worker.busy]
        for worker in idle[: max(0, len(self._workers) - self.parallel)]:
            worker.process.kill()
            self._remove(worker)
        while self._todo and sum(worker.busy for worker in self._workers) < self.parallel:
            worker = next((worker for worker in self._workers if not worker.busy), None) or self._fork()
            fleet = self._todo.popleft()
            worker.busy, worker.left = True, {config.key(): config for config in fleet}
            try:
                worker.pipe.send(fleet)
            except OSError:
                # It died while it had nothing to do: the loop finds it.
                log.warning("a training process is gone", exit=worker.process.exitcode)
                worker.busy, worker.left = False, {}
                self._todo.appendleft(fleet)
                self._remove(worker)

    def _grant(self, worker: _Worker, need: _Need) -> None:
        if self._account is None:
            worker.pipe.send(need.most)
            return
        granted = self._account.ask(id(worker), need.least, need.most, self.parallel)
        if granted is not None:
            worker.pipe.send(granted)
            return
        self._todo.appendleft(list(worker.left.values()))
        worker.process.kill()
        self._remove(worker)
        self.parallel = max(1, sum(other.busy for other in self._workers))
        log.warning("memory does for fewer runs at a time", parallel=self.parallel, needed=need.least)

    def _over(self, worker: _Worker, answer: _Over) -> Iterator[RunResult]:
        left = list(worker.left.values())
        worker.busy, worker.left = False, {}
        if self._account is not None:
            self._account.release(id(worker))
        if answer.failure is not None:
            # What an error leaves behind, such as memory still held or a GPU's broken context, goes with the process.
            worker.process.kill()
            self._remove(worker)
        if len(left) == 1:
            yield _failed(left[0], answer.failure or "It ended without a result. The worker's log has the details.")
        else:
            self._again(left)

    def _bury(self, worker: _Worker) -> Iterator[RunResult]:
        left = list(worker.left.values())
        self._remove(worker)
        code = worker.process.exitcode
        log.warning("a training process ended unexpectedly", exit=code, runs=[config.key() for config in left])
        if code == -signal.SIGKILL and self.parallel > 1:
            self.parallel -= 1
            log.warning("it was killed, most likely for want of memory: one process less", parallel=self.parallel)
        if len(left) == 1:
            key = left[0].key()
            self._deaths[key] = self._deaths.get(key, 0) + 1
            if self._deaths[key] >= STARTS_PER_RUN:
                yield _killed(left[0], code)
                return
        self._again(left)

    def _again(self, left: list[RunConfig]) -> None:
        middle = (len(left) + 1) // 2
        self._todo.extendleft(half for half in (left[middle:], left[:middle]) if half)

    def _fork(self) -> _Worker:
        # The default on Linux, named because everything here depends on it: memory is shared, start takes milliseconds.
        context = get_context("fork")
        ours, theirs = context.Pipe()
        inherited = [worker.pipe for worker in self._workers]
        process = context.Process(target=_work, args=(theirs, [ours, *inherited], self._measure), daemon=True)
        process.start()
        theirs.close()
        self._workers.append(_Worker(process, ours))
        return self._workers[-1]

    def _remove(self, worker: _Worker) -> None:
        worker.process.join(timeout=5)
        worker.pipe.close()
        self._workers.remove(worker)
        if self._account is not None:
            self._account.release(id(worker))


def _work(pipe: Connection, close: Sequence[Connection], measure: MeasureFleet) -> None:
    """The forked process: one fleet after the other until its parent is gone."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    die_with_parent(os.getppid())
    for other in close:
        # Held open here, a pipe's end would not be noticed over there.
        other.close()

    def room(least: int, most: int) -> int:
        pipe.send(_Need(least, most))
        return int(pipe.recv())

    while True:
        try:
            fleet = pipe.recv()
            pipe.send(_guarded(fleet, measure, pipe, room))
        except (EOFError, OSError):
            return


def _guarded(fleet: Sequence[RunConfig], measure: MeasureFleet, pipe: Connection, room: Room) -> _Over | EquipoiseError:
    try:
        for result in measure(fleet, lambda key, share: pipe.send(RunProgress(key, share)), room):
            pipe.send(result)
    except (JobFailed, StaleAttempt) as error:
        return error
    except Exception as error:
        if _out_of_memory(error):
            log.warning("memory gave out", runs=len(fleet), reason=str(error))
            return _Over(NO_MEMORY)
        log.exception("runs failed", runs=[config.key() for config in fleet])
        return _Over(unexpected(error))
    return _Over(None)


def _out_of_memory(error: Exception) -> bool:
    """Python's, numpy's and torch's ways to say so; without importing torch for it."""
    named = isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"
    return named or (isinstance(error, RuntimeError) and "can't allocate memory" in str(error))


def unexpected(error: BaseException) -> str:
    """A sentence for people about an error that nobody foresaw. The trace belongs in the log."""
    said = str(error).strip().splitlines()
    what = f"{type(error).__name__}: {said[0][:200]}" if said else type(error).__name__
    return f"An unexpected error ended it ({what}). The worker's log has the details."


def _killed(config: RunConfig, exitcode: int | None) -> RunResult:
    by = f"signal {-exitcode}" if exitcode is not None and exitcode < 0 else f"exit code {exitcode}"
    return _failed(
        config,
        f"The process that trained this run was ended from outside {STARTS_PER_RUN} times ({by}), most likely "
        "for want of memory. Use smaller batches, a smaller model or fewer runs at a time.",
    )


def _failed(config: RunConfig, message: str) -> RunResult:
    return RunResult(key=config.key(), status="failed", message=message)


def die_with_parent(parent: int, signum: int = signal.SIGKILL) -> None:
    """Has the kernel end this process when the thread that forked it ends (Linux). Elsewhere closed pipes do it."""
    if sys.platform == "linux":
        pr_set_pdeathsig = 1
        ctypes.CDLL(None, use_errno=True).prctl(pr_set_pdeathsig, int(signum), 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)
