"""What stands in for training in tests of attempts: the worker is given this module, and configurations hold orders."""

import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from backend.contracts.results import Measurement, RunResult
from backend.contracts.runs import Part, RunConfig, Setting
from backend.contracts.spec import JobSpec
from backend.errors import DataMissing
from backend.store import jobs, runs
from backend.store.database import Database
from backend.store.tables import JobRow
from worker.execute import Attempt
from worker.pool import Pool

MODULE = __name__


def plan(configs: Sequence[RunConfig], *, parallel: int = 2, device: str = "cpu") -> list[list[RunConfig]]:
    size = int(str(configs[0].setting.training.get("fleet", 1))) if configs else 1
    return [list(configs[start : start + size]) for start in range(0, len(configs), size)]


def measure_fleet(
    configs: Sequence[RunConfig],
    *,
    on_progress: Callable[[str, float], None],
    room: Any,
    device: str = "cpu",
    checkpoint_seconds: float = 5.0,
    **_: Any,
) -> Iterator[RunResult]:
    """What happens is written in the configuration."""
    (Path(str(configs[0].setting.training["marks"])) / "asked").write_text(f"{device} {checkpoint_seconds}")
    if needed := configs[0].setting.training.get("needed"):
        granted = room(needed, needed * len(configs))
        (Path(str(configs[0].setting.training["marks"])) / "granted").open("a").write(f"{granted}\n")
        if granted < needed:
            yield from (RunResult(key=config.key(), status="failed", message=f"{granted}") for config in configs)
            return
    for config in configs:
        yield measure_run(config, on_progress)


def measure_run(config: RunConfig, on_progress: Callable[[str, float], None]) -> RunResult:
    orders = config.setting.training
    marks = Path(str(orders["marks"]))
    with (marks / f"{config.seed}").open("a") as file:
        file.write(f"{os.getpid()}\n")
    begun = len((marks / f"{config.seed}").read_text().splitlines())
    if config.seed in orders.get("missing", []):  # type: ignore[operator]
        raise DataMissing("There is no data.", fix="Put it there.")
    if config.seed in orders.get("broken", []):  # type: ignore[operator]
        raise ValueError("a number was not\nwhat it should be")
    if config.seed in orders.get("killed", []):  # type: ignore[operator]
        os.kill(os.getpid(), signal.SIGKILL)
    if config.seed in orders.get("killed_once", []) and begun == 1:  # type: ignore[operator]
        os.kill(os.getpid(), signal.SIGKILL)
    if config.seed in orders.get("exits", []):  # type: ignore[operator]
        os._exit(7)
    if config.seed in orders.get("kills_all_once", []) and begun == 1:  # type: ignore[operator]
        os.killpg(os.getpgid(0), signal.SIGKILL)
    if config.seed in orders.get("kills_all", []):  # type: ignore[operator]
        os.killpg(os.getpgid(0), signal.SIGKILL)
    while (marks / "hold").exists() and config.seed in orders.get("held", []):  # type: ignore[operator]
        time.sleep(0.02)
    on_progress(config.key(), 0.5)
    time.sleep(float(str(orders.get("seconds", 0))))
    if orders.get("done_before_end"):
        on_progress(config.key(), 1.0)
        time.sleep(0.05)
    return RunResult(
        key=config.key(),
        status="diverged" if config.seed in orders.get("diverged", []) else "succeeded",  # type: ignore[operator]
        measurements=[Measurement(metric="accuracy", value=0.5, n=10), Measurement(metric="loss", value=0.1)],
        wall_seconds=0.01,
    )


def submit(database: Database, marks: Path, count: int = 4, **orders: Any) -> str:
    part = Part(name="thing", params={}, version="1")
    setting = Setting(
        dataset=part,
        data_hash=None,
        subgroups=[],
        model=part,
        method=part,
        training={"marks": str(marks), **orders},
        attacks=[],
        metrics_version="1",
        engine_version="1",
    )
    configs = [RunConfig(setting=setting, seed=seed) for seed in range(count)]
    spec = JobSpec.model_validate(
        {"dataset": {"name": "adult"}, "model": {"name": "mlp"}, "methods": [{"name": "sgd"}]}
    )
    with database.write() as session:
        job = jobs.create(session, spec, runs=count)
        runs.attach(session, job.id, configs)
    return job.id


def claim(database: Database, job_id: str) -> int:
    with database.write() as session:
        attempt = jobs.claim(session, job_id, "w")
    assert attempt is not None
    return attempt


def pool(parallel: int = 2, available: Callable[[], int] | None = None) -> Pool:
    def measure(fleet: Sequence[RunConfig], on_progress: Any, room: Any) -> Iterator[RunResult]:
        return measure_fleet(fleet, on_progress=on_progress, room=room)

    return Pool(measure, parallel, available=available, tick_seconds=0.02)


def attempt_at(database: Database, job_id: str) -> str | None:
    return Attempt(database, job_id, claim(database, job_id), pool(), plan).run()


def row(database: Database, job_id: str) -> JobRow:
    with database.read() as session:
        return jobs.get(session, job_id)


def statuses(database: Database, job_id: str) -> list[str]:
    with database.read() as session:
        page, _ = runs.page(session, job_id, limit=1000)
    return [run.status for run, _ in page]


def begun(marks: Path, seed: int) -> int:
    file = marks / f"{seed}"
    return len(file.read_text().splitlines()) if file.exists() else 0
