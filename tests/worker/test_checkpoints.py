"""A run that was broken off goes on where it was and ends with the same bits."""

from __future__ import annotations

import numpy as np
import pytest

from worker.testing import plain_methods, toy_table, toy_work
from worker.training import engine
from worker.training.checkpoints import FORMAT, Checkpoints, Snapshot
from worker.training.engine import Watch
from worker.training.fleet import cpu
from worker.training.fleet.cpu import FleetEngine
from worker.training.opacus_trainer import OpacusEngine

METHODS = plain_methods()
ENGINES = [FleetEngine(), OpacusEngine()]


class Killed(Exception):
    pass


def broken_off(folder, trainer, work, at):
    """Trains with a checkpoint at every look at the clock, and is killed at the first one after `at` of its steps."""

    def kill(key, share):
        if share > at:
            raise Killed

    with pytest.raises(Killed):
        list(trainer.train([work], Watch(kill, Checkpoints(folder, seconds=0))))


@pytest.fixture(autouse=True)
def _always_look(monkeypatch):
    monkeypatch.setattr(engine, "PROGRESS_SECONDS", 0)
    monkeypatch.setattr(cpu._Run, "stride", 7)


@pytest.mark.parametrize("trainer", ENGINES, ids=lambda e: e.name)
@pytest.mark.parametrize("method", METHODS, ids=lambda m: m.name)
@pytest.mark.parametrize(
    "training",
    [{"momentum": 0.9, "schedule": "cosine"}, {"optimizer": "adam"}, {"optimizer": "adamw", "weight_decay": 0.01}],
    ids=["momentum", "adam", "adamw"],
)
def test_a_resumed_run_ends_with_the_same_bits(tmp_path, trainer, method, training):
    work = toy_work(method, table=toy_table(600), epochs=6, batch_size=12, learning_rate=0.02, **training)
    (whole,) = trainer.train([work])
    broken_off(tmp_path, trainer, work, 0.4)
    kept = Checkpoints(tmp_path).load(work.key, whole.engine)
    assert 0 < kept.step < work.schedule.steps
    assert kept.step % work.schedule.steps_per_epoch, "in the middle of an epoch"
    steps = []
    (resumed,) = trainer.train([work], Watch(lambda key, share: steps.append(share), Checkpoints(tmp_path)))
    assert steps[0] > kept.step / work.schedule.steps
    assert np.array_equal(resumed.logits(work.train), whole.logits(work.train))
    assert resumed.history == whole.history
    assert resumed.seconds > kept.seconds


def test_noise_of_the_operating_system_goes_on_too(tmp_path):
    work = toy_work(METHODS[0], epochs=6, batch_size=12)
    broken_off(tmp_path, FleetEngine(), work, 0.5)
    (resumed,) = FleetEngine().train([work], Watch(None, Checkpoints(tmp_path)))
    assert resumed.diverged is None


@pytest.mark.parametrize("damage", [b"", b"PK\x03\x04 not an archive", None])
def test_a_damaged_checkpoint_counts_as_absent(tmp_path, damage):
    work = toy_work(METHODS[0], epochs=6, batch_size=12)
    (whole,) = FleetEngine().train([work])
    broken_off(tmp_path, FleetEngine(), work, 0.5)
    (path,) = tmp_path.glob("*.npz")
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2] if damage is None else damage)
    with pytest.warns(UserWarning, match="damaged checkpoint"):
        (again,) = FleetEngine().train([work], Watch(None, Checkpoints(tmp_path)))
    assert np.array_equal(again.logits(work.train), whole.logits(work.train))


def test_a_checkpoint_of_another_engine_format_or_run_is_left_aside(tmp_path, monkeypatch):
    kept = Checkpoints(tmp_path)
    kept.save("a", "one", Snapshot(3, 1.5, {"weights": np.arange(3.0)}, {"state": {"threshold": 0.1}}))
    found = kept.load("a", "one")
    assert (found.step, found.seconds, found.facts) == (3, 1.5, {"state": {"threshold": 0.1}})
    assert np.array_equal(found.arrays["weights"], np.arange(3.0))
    assert kept.load("a", "other") is None
    assert kept.load("b", "one") is None
    monkeypatch.setattr("worker.training.checkpoints.FORMAT", FORMAT + 1)
    assert kept.load("a", "one") is None


def test_nothing_is_left_behind(tmp_path, monkeypatch):
    kept = Checkpoints(tmp_path / "new")
    kept.save("a", "one", Snapshot(1, 0.1, {}))
    kept.save("a", "one", Snapshot(2, 0.1, {}))
    assert [p.name for p in (tmp_path / "new").iterdir()] == ["a.npz"]
    kept.discard("a")
    kept.discard("a")
    assert not list((tmp_path / "new").iterdir())
    kept.save("b", "one", Snapshot(1, 0.1, {}))
    kept.tidy()
    assert len(list((tmp_path / "new").iterdir())) == 1
    monkeypatch.setattr("worker.training.checkpoints.STALE_SECONDS", -1.0)
    kept.tidy()
    assert not list((tmp_path / "new").iterdir())


def test_a_folder_that_cannot_be_written_costs_the_checkpoint_and_not_the_run(tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("")
    work = toy_work(METHODS[0], epochs=2)
    with pytest.warns(UserWarning, match="No checkpoint"):
        (trained,) = FleetEngine().train([work], Watch(None, Checkpoints(blocked / "inside", seconds=0)))
    assert trained.diverged is None
