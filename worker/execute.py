"""One attempt at a job, in a process of its own: plan, train fleets, write each result as soon as it is there.

Everything written is bound to the attempt. Once another attempt owns the job, the next write raises `StaleAttempt`
and this one ends without a word.
"""

from __future__ import annotations

import importlib
import os
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeVar

from sqlalchemy.orm import Session

from backend.contracts.results import JobStatus, Progress, RunResult
from backend.contracts.runs import RunConfig
from backend.errors import EquipoiseError, JobFailed, StaleAttempt, StoreUnavailable
from backend.logs import get_logger
from backend.queue.problems import problem_details
from backend.store import jobs, runs
from backend.store.database import Database
from worker import memory
from worker.pool import Fleets, Measurer, OnProgress, Pool, RunProgress, unexpected

log = get_logger(__name__)

T = TypeVar("T")

#: At most this often is progress written.
PROGRESS_SECONDS = 0.5

#: How long an unusable database is waited for before the attempt is given up.
STORE_PATIENCE_SECONDS = 60.0

#: How often runs that another job trains are looked after.
OTHERS_SECONDS = 1.0


class Shadows(Protocol):
    """What attacks train besides the runs, see `worker.shadows` and `worker.plugins.Audit`."""

    def stages(self, configs: Sequence[RunConfig]) -> Sequence[tuple[Sequence[RunConfig], Sequence[RunConfig]]]:
        """These runs in the order in which to train them: pairs of shadows and the runs that need them."""
        ...

    def failed(self, config: RunConfig, message: str) -> None:
        """A shadow could not be trained, and its runs have to do without it."""
        ...

    def audits(self, config: RunConfig) -> int:
        """How many trainings the audits of a run take once it is trained."""
        ...


class Attempt:
    """Trains what is pending of a job.

    `measurer` does the training, `plan` says which runs together and in which order, and `settled` is told the key of
    each run whose result is in the database: what was kept to train it is of no more use. `shadows` says which shadow
    models have to be trained before which runs.
    """

    def __init__(
        self,
        database: Database,
        job_id: str,
        attempt: int,
        measurer: Measurer,
        plan: Callable[[Sequence[RunConfig]], Fleets] = lambda configs: [configs],
        settled: Callable[[str], None] = lambda key: None,
        shadows: Shadows | None = None,
    ) -> None:
        self._database = database
        self._job_id = job_id
        self._attempt = attempt
        self._measurer = measurer
        self._plan = plan
        self._settled = settled
        self._shadows = shadows
        self._total = 0
        self._done = 0
        self._reported = 0.0
        #: How far what is in training is: runs and shadow models, each until it has ended.
        self._shares: dict[str, float] = {}
        #: Trainings that each run takes, with those of its audits.
        self._costs: dict[str, int] = {}
        #: Trainings of what was claimed, runs and shadow models, that ended and that are to come; and since when.
        self._since, self._ended, self._ahead = 0.0, 0, 0
        #: Runs that were done when these were claimed.
        self._before = 0

    def run(self) -> JobStatus | None:
        """Everything until the job has ended; None where this attempt no longer owns it."""
        try:
            try:
                self._train()
                status, problem = self._verdict()
            except JobFailed as error:
                log.warning("job failed", reason=error.sentence())
                status, problem = "failed", problem_details(error)
            except (StaleAttempt, StoreUnavailable):
                raise
            except Exception as error:
                log.exception("job failed unexpectedly")
                status, problem = "failed", _unforeseen(error)
            finally:
                self._measurer.close()
            self._write(lambda session: jobs.finish(session, self._job_id, self._attempt, status, problem))
        except StaleAttempt:
            log.info("another attempt owns the job; stopping", attempt=self._attempt)
            return None
        log.info("job ended", status=status)
        return status

    def _train(self) -> None:
        with self._database.read() as session:
            counts = jobs.counts(session, [self._job_id]).get(self._job_id, {})
        self._total = counts.get("runs", 0)
        self._done = counts.get("finished", 0) + counts.get("failed", 0)
        self._report("Preparing", phase="preparing", force=True)
        while True:
            pending, held = self._claim()
            if not pending:
                return
            if held:
                self._measure(held)
            else:
                self._report(
                    f"Waiting for {_runs(len(pending))} that another study is training", phase="training", force=True
                )
                time.sleep(OTHERS_SECONDS)

    def _claim(self) -> tuple[Sequence[RunConfig], list[RunConfig]]:
        def take(session: Session) -> tuple[Sequence[RunConfig], list[RunConfig]]:
            pending = runs.pending(session, self._job_id)
            held = runs.claim(session, self._job_id, self._attempt, [config.key() for config in pending])
            return pending, [config for config in pending if config.key() in held]

        pending, held = self._write(take)
        # Runs that another job finished meanwhile count as done here.
        self._done = self._total - len(pending)
        return pending, held

    def _measure(self, configs: Sequence[RunConfig]) -> None:
        stages = [([], configs)] if self._shadows is None else self._shadows.stages(configs)
        self._costs = {c.key(): 1 + (self._shadows.audits(c) if self._shadows else 0) for c in configs}
        done, total = 0, sum(len(shadows) for shadows, _ in stages)
        self._before = self._done
        self._since, self._ended, self._ahead = time.monotonic(), 0, total + sum(self._costs.values())
        for shadows, some in stages:
            done = self._train_shadows(shadows, done, total)
            self._measure_runs(some)

    def _train_shadows(self, configs: Sequence[RunConfig], done: int, total: int) -> int:
        """Nothing of a shadow is written to the database; answers how many of `total` are now done."""
        by_key = {config.key(): config for config in configs}
        for event in self._measurer.measure_many(self._plan(configs)) if configs else ():
            if isinstance(event, RunResult):
                if event.status == "failed" and self._shadows is not None:
                    self._shadows.failed(by_key[event.key], event.message or "")
                self._settled(event.key)
                self._over(event.key)
                done += 1
            elif isinstance(event, RunProgress):
                self._shares[event.key] = event.share
            self._report(f"Training shadow models {min(total, done + 1):,} of {total:,}{self._about()}")
        return done

    def _over(self, key: str) -> None:
        """A run or a shadow model has ended."""
        self._shares.pop(key, None)
        cost = self._costs.get(key, 1)
        self._ended += cost
        self._ahead -= cost

    def _measure_runs(self, configs: Sequence[RunConfig]) -> None:
        fleets = self._plan(configs)
        for event in self._measurer.measure_many(fleets):
            if isinstance(event, RunResult):
                self._write(
                    lambda session, result=event: runs.write_result(  # type: ignore[misc]
                        session, self._job_id, self._attempt, result
                    )
                )
                self._settled(event.key)
                self._over(event.key)
                self._done += 1
            elif isinstance(event, RunProgress):
                self._shares[event.key] = event.share
            self._report(self._sentence(), force=self._done >= self._total)

    def _sentence(self) -> str:
        """What is done now: runs whose training is over and that are not done are being audited."""
        auditing = sum(share >= 1 and self._costs.get(key, 1) > 1 for key, share in self._shares.items())
        current = f"Training {min(self._total, self._done + 1)} of {self._total}"
        return current + (f", auditing {auditing}" if auditing else "") + self._about()

    def _about(self) -> str:
        seconds = self._seconds_left()
        return f", about {_duration(seconds)} left" if seconds is not None else ""

    def _seconds_left(self) -> float | None:
        """From how fast this attempt got on so far; shadow models, audits and parts of trainings count."""
        if not self._ended or not self._ahead:
            return None
        started = sum(self._shares.values())
        return (time.monotonic() - self._since) / (self._ended + started) * max(0.0, self._ahead - started)

    def _share(self) -> float | None:
        """Of all trainings, how many are done: a run counts one, and so does each of its audits' and every shadow."""
        if not self._ended and not self._ahead:
            return None
        started = min(float(self._ahead), sum(self._shares.values()))
        return (self._before + self._ended + started) / (self._before + self._ended + self._ahead)

    def _verdict(self) -> tuple[JobStatus, dict[str, Any] | None]:
        with self._database.read() as session:
            counts = jobs.counts(session, [self._job_id]).get(self._job_id, {})
            if counts.get("finished", 0) or not counts.get("failed", 0):
                return "succeeded", None
            reasons = runs.failures(session, self._job_id)
        reason = reasons[0] if reasons else "The worker's log has the details."
        return "failed", problem_details(
            JobFailed(f"None of its {_runs(counts['runs'])} could be trained. The first said: {reason}")
        )

    def _report(self, message: str, *, phase: Any = "training", force: bool = False) -> None:
        moment = time.monotonic()
        if not force and moment - self._reported < PROGRESS_SECONDS:
            return
        self._reported = moment
        progress = Progress(
            phase=phase,
            message=message,
            done=self._done,
            total=self._total,
            seconds_left=self._seconds_left(),
            share=self._share(),
        )
        self._write(lambda session: jobs.report_progress(session, self._job_id, self._attempt, progress))

    def _write(self, work: Callable[[Session], T]) -> T:
        """One transaction, tried again while the database is locked, full or away: all of it or nothing."""
        deadline = time.monotonic() + STORE_PATIENCE_SECONDS
        pause = 0.1
        while True:
            try:
                with self._database.write() as session:
                    return work(session)
            except StoreUnavailable as error:
                if time.monotonic() > deadline:
                    raise
                log.warning("the database cannot be used; waiting", reason=error.detail, seconds=round(pause, 1))
                time.sleep(pause)
                pause = min(5.0, pause * 2)


def run_attempt(
    database: Database,
    job_id: str,
    attempt: int,
    *,
    module: str,
    cache_dir: Path,
    parallel: int,
    device: str = "cpu",
    checkpoint_seconds: float = 5.0,
) -> JobStatus | None:
    """One attempt with `module`'s `plan` and `measure_fleet`, on `parallel` processes."""
    from worker.training.checkpoints import Checkpoints

    measuring = importlib.import_module(module)

    def measure(fleet: Sequence[RunConfig], on_progress: OnProgress, room: memory.Room) -> Iterator[RunResult]:
        _single_threaded()
        results: Iterator[RunResult] = measuring.measure_fleet(
            fleet,
            cache_dir=cache_dir,
            device=device,
            on_progress=on_progress,
            room=room,
            checkpoint_seconds=checkpoint_seconds,
        )
        return results

    def plan(configs: Sequence[RunConfig]) -> Fleets:
        fleets: Fleets = measuring.plan(configs, parallel=parallel, device=device)
        return fleets

    pool = Pool(measure, parallel, available=memory.available)
    discard = Checkpoints(cache_dir / "checkpoints").discard
    kept = getattr(measuring, "KeptShadows", None)
    return Attempt(database, job_id, attempt, pool, plan, discard, kept and kept(cache_dir)).run()


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _single_threaded() -> None:
    """Processes are as many as cores: threads of their own would fight over them."""
    import sys

    torch = sys.modules.get("torch")
    if torch is not None and torch.get_num_threads() != 1:
        torch.set_num_threads(1)


def _unforeseen(error: Exception) -> dict[str, Any]:
    return problem_details(EquipoiseError(unexpected(error), fix="Retry the study; every finished run is kept."))


def _runs(count: int) -> str:
    return "1 run" if count == 1 else f"{count:,} runs"


def _duration(seconds: float) -> str:
    """As people say it.

    >>> _duration(25), _duration(200), _duration(9000)
    ('25 s', '3 min', '2.5 h')
    """
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    return f"{round(seconds / 60)} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
