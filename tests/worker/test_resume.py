"""A run whose process is killed goes on from its checkpoint and ends with the bits of one that was left alone."""

import logging
import os
import signal
from pathlib import Path

import pytest

from backend.contracts.expansion import expand
from backend.contracts.results import RunResult
from backend.contracts.spec import JobSpec
from backend.logs import configure
from tests.e2e._server import alive
from worker.catalogue import build_catalogue
from worker.measure import measure_fleet, measure_run
from worker.pool import Pool, RunProgress

EPOCHS = 500


def configs():
    """Runs of a few seconds."""
    spec = JobSpec.model_validate(
        {
            "dataset": {"name": "adult", "params": {"limit": 20000}, "subgroups": ["sex"]},
            "model": {"name": "mlp", "params": {"hidden": [64, 64]}},
            "methods": [{"name": "soft_ada_clip", "params": {"epsilon": [2.0]}}],
            "training": {"epochs": EPOCHS, "batch_size": 256, "optimizer": "adam", "learning_rate": 0.001},
            "seeds": 1,
        }
    )
    return expand(spec, build_catalogue(), max_runs=10).configs


def what_was_measured(result):
    kept = [m for m in result.measurements if m.metric != "wall_seconds"]
    return result.status, kept, result.history, result.rocs


@pytest.fixture
def log_lines(capfd):
    """What is logged, on the real standard error, whatever another test in this process set up."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    configure("INFO")
    yield lambda: "".join(capfd.readouterr())
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.mark.slow
def test_a_killed_run_goes_on_with_the_same_bits(tmp_path, log_lines):
    (config,) = configs()

    def measure(fleet, on_progress, room):
        return measure_fleet(fleet, cache_dir=tmp_path, on_progress=on_progress, room=room, checkpoint_seconds=0.3)

    pool = Pool(measure, 1, tick_seconds=0.02)
    shares: dict[int, list[float]] = {}
    found, killed = [], None
    for event in pool.measure_many([[config]]):
        pid = pool._workers[0].process.pid if pool._workers else 0
        if isinstance(event, RunProgress):
            shares.setdefault(pid, []).append(event.share)
        elif isinstance(event, RunResult):
            found.append(event)
        if killed is None and list((tmp_path / "checkpoints").glob("*.npz")):
            os.kill(pid, signal.SIGKILL)
            killed = pid
    pool.close()
    (result,) = found
    assert not alive(killed)
    first, second = shares.values()
    assert 0 < max(first) < 1, "it was killed in mid-run"
    assert second[0] > 0.3 * max(first), "it did not start anew"
    assert "goes on from its checkpoint" in log_lines()
    assert what_was_measured(result) == what_was_measured(measure_run(config))
    # Whoever commits the result discards it, and not before.
    assert [path.stem for path in Path(tmp_path / "checkpoints").iterdir()] == [config.key()]
