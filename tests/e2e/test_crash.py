"""Kills parts of a running server in mid-job: nothing that was measured is lost, nothing is measured twice."""

import os
import signal
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from backend.store.database import Database
from tests.e2e._server import Server, alive, running, wait_for

pytestmark = pytest.mark.slow

SPEC: dict[str, Any] = {
    "name": "Crash test",
    "dataset": {"name": "adult", "subgroups": ["sex"]},
    "model": {"name": "mlp", "params": {"hidden": [8]}},
    "methods": [{"name": "sgd"}, {"name": "dp_sgd", "params": {"epsilon": [1.0, 2.0, 4.0, 8.0]}}],
    "training": {"epochs": 2, "batch_size": 512},
    "seeds": 4,
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One for all tests that leave it working."""
    with running(tmp_path_factory.mktemp("server")) as server:
        yield server


def check_every_run_once(server: Server, job_id: str) -> None:
    """Each run has one result with one set of measurements, and its end was announced once."""
    runs = server.runs(job_id)
    assert len(runs) == 20
    assert {run["status"] for run in runs} == {"succeeded"}
    database = Database(f"sqlite:///{server.data_dir / 'equipoise.sqlite'}")
    job = {"job": job_id}
    with database.read() as session:
        per_run = session.execute(
            text(
                "SELECT count(*) FROM measurements m JOIN job_runs j ON j.run_id = m.run_id WHERE j.job_id = :job "
                "GROUP BY m.run_id"
            ),
            job,
        ).scalars()
        assert len(counts := list(per_run)) == 20
        assert len(set(counts)) == 1
        events = session.execute(text("SELECT type, data FROM job_events WHERE job_id = :job"), job).all()
    database.dispose()
    announced = [data for kind, data in events if kind == "run"]
    assert len(announced) == 20
    assert max(Counter(announced).values()) == 1
    assert sum(kind == "status" and "succeeded" in data for kind, data in events) == 1


def begin(server: Server, learning_rate: float) -> str:
    """Submits and waits until some runs are finished and others are not. Another learning rate makes other runs."""
    training = {**SPEC["training"], "learning_rate": learning_rate}
    job_id: str = server.submit({**SPEC, "training": training})["id"]
    server.wait_until(job_id, lambda job: job["finished"] >= 2)
    return job_id


def ended(job: dict[str, Any]) -> bool:
    return job["status"] not in ("queued", "running")


def test_killed_training_process(server: Server) -> None:
    job_id = begin(server, 0.1)
    worker = server.worker_pid()
    (attempt,) = server.attempt_pids()
    os.kill(attempt, signal.SIGKILL)
    job = server.wait_until(job_id, ended)
    assert job["status"] == "succeeded", job["problem"]
    assert job["attempt"] == 2
    assert server.worker_pid() == worker
    check_every_run_once(server, job_id)


def test_cancelled_in_mid_job_then_retried(server: Server) -> None:
    job_id = begin(server, 0.11)
    attempts = server.attempt_pids()
    server.post(f"/api/jobs/{job_id}/cancel")
    job = server.wait_until(job_id, ended)
    assert job["status"] == "cancelled"
    wait_for(lambda: not any(alive(pid) for pid in attempts))
    assert 0 < job["finished"] < 20
    server.post(f"/api/jobs/{job_id}/retry")
    job = server.wait_until(job_id, ended)
    assert job["status"] == "succeeded", job["problem"]
    check_every_run_once(server, job_id)


def test_killed_worker(server: Server) -> None:
    job_id = begin(server, 0.12)
    worker, attempts = server.worker_pid(), server.attempt_pids()
    assert attempts
    os.kill(worker, signal.SIGKILL)
    # Nothing that it started outlives it.
    wait_for(lambda: not any(alive(pid) for pid in attempts))
    job = server.wait_until(job_id, ended)
    assert job["status"] == "succeeded", job["problem"]
    assert job["attempt"] >= 2
    assert server.worker_pid() != worker
    check_every_run_once(server, job_id)


def test_stopped_in_order_and_started_again(tmp_path: Path) -> None:
    with running(tmp_path) as server:
        job_id = begin(server, 0.1)
        worker, attempts = server.worker_pid(), server.attempt_pids()
    assert server.process.returncode == 0
    assert not any(alive(pid) for pid in (worker, *attempts))
    with running(tmp_path) as server:
        job = server.wait_until(job_id, ended)
        assert job["status"] == "succeeded", job["problem"]
        check_every_run_once(server, job_id)


#: The runs of two settings after 24 shadow models each.
SHADOWED: dict[str, Any] = {
    **SPEC,
    "methods": [{"name": "sgd"}, {"name": "dp_sgd", "params": {"epsilon": 2.0}}],
    "evaluation": {"attacks": [{"name": "lira", "params": {"shadow_models": 24}}]},
}


def begin_shadows(server: Server, epochs: int) -> tuple[str, dict[Path, int]]:
    """Submits and waits until some shadow models are trained and no run; their files with the time of each."""
    training = {"epochs": epochs, "batch_size": 64, "learning_rate": 0.05}
    job_id: str = server.submit({**SHADOWED, "training": training})["id"]
    before = set((server.data_dir / "cache" / "shadows").glob("*/*.npy"))

    def some() -> list[Path]:
        found = set((server.data_dir / "cache" / "shadows").glob("*/*.npy")) - before
        said = server.job(job_id)["progress"]["message"]
        return sorted(found) if len(found) >= 3 and said.startswith("Training shadow models") else []

    files: list[Path] = wait_for(some, server.explain)
    return job_id, {file: file.stat().st_mtime_ns for file in files}


def check_shadowed(server: Server, job_id: str, kept: dict[Path, int]) -> None:
    """Every run once with its attack; shadow models that were there are the same files, and none is missing."""
    runs = server.runs(job_id)
    assert [run["status"] for run in runs] == ["succeeded"] * 8
    with_attack = {
        m["run_id"] for m in server.get("/api/measurements", job_id=job_id, metric="lira_auc", subgroup="all")["items"]
    }
    assert with_attack == {run["id"] for run in runs}
    assert {file: file.stat().st_mtime_ns for file in kept} == kept
    folders = {file.parent for file in kept}
    assert all(len(list(folder.glob("*.npy"))) == 24 for folder in folders)
    database = Database(f"sqlite:///{server.data_dir / 'equipoise.sqlite'}")
    with database.read() as session:
        query = text("SELECT type, data FROM job_events WHERE job_id = :job")
        events = session.execute(query, {"job": job_id}).all()
    database.dispose()
    announced = [data for kind, data in events if kind == "run"]
    assert len(announced) == 8
    assert max(Counter(announced).values()) == 1


def test_worker_killed_while_shadow_models_are_trained(server: Server) -> None:
    job_id, kept = begin_shadows(server, epochs=60)
    worker, attempts = server.worker_pid(), server.attempt_pids()
    os.kill(worker, signal.SIGKILL)
    wait_for(lambda: not any(alive(pid) for pid in attempts))
    assert server.job(job_id)["finished"] == 0
    job = server.wait_until(job_id, ended)
    assert job["status"] == "succeeded", job["problem"]
    assert job["attempt"] >= 2
    check_shadowed(server, job_id, kept)


def test_cancelled_while_shadow_models_are_trained_then_retried(server: Server) -> None:
    job_id, kept = begin_shadows(server, epochs=61)
    attempts = server.attempt_pids()
    server.post(f"/api/jobs/{job_id}/cancel")
    job = server.wait_until(job_id, ended)
    assert (job["status"], job["finished"]) == ("cancelled", 0)
    # None is held any more: another study that asks for them may have them.
    assert {run["status"] for run in server.runs(job_id)} == {"queued"}
    wait_for(lambda: not any(alive(pid) for pid in attempts))
    server.post(f"/api/jobs/{job_id}/retry")
    job = server.wait_until(job_id, ended)
    assert job["status"] == "succeeded", job["problem"]
    check_shadowed(server, job_id, kept)


def test_a_killed_run_goes_on_where_it_was(tmp_path: Path) -> None:
    training = {"epochs": 400, "batch_size": 512, "learning_rate": 0.05}
    spec = {**SPEC, "methods": [{"name": "dp_sgd", "params": {"epsilon": [3.0]}}], "training": training, "seeds": 1}
    with running(tmp_path, environment={"EQUIPOISE_CHECKPOINT_SECONDS": "0.3"}) as server:
        folder = server.data_dir / "cache" / "checkpoints"
        job_id = server.submit(spec)["id"]
        wait_for(lambda: list(folder.glob("*.npz")), server.explain)
        assert server.job(job_id)["finished"] == 0
        (attempt,) = server.attempt_pids()
        os.kill(attempt, signal.SIGKILL)
        job = server.wait_until(job_id, ended)
        assert job["status"] == "succeeded", job["problem"]
        assert job["attempt"] == 2
        (run,) = server.runs(job_id)
        assert run["status"] == "succeeded"
        assert "goes on from its checkpoint" in server.log.read_text()
        # Its result is committed: nothing of it is kept.
        wait_for(lambda: not list(folder.iterdir()), server.explain)
