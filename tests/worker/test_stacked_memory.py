"""Stacked models where memory gives out or training is interrupted: nothing changes, and everybody is told."""

from __future__ import annotations

import gc
import weakref
from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.worker.stacks import CPU, OPTIMIZERS, mixed, same, stack_of, trained, work
from worker.training import engine
from worker.training.checkpoints import Checkpoints
from worker.training.engine import Watch
from worker.training.fleet import stack, stack_data, stack_device, stack_plan, stacked
from worker.training.fleet import stack_steps as steps
from worker.training.fleet.stack import Stack
from worker.training.fleet.stacked import StackedEngine


@pytest.mark.parametrize("at", [0, 1, 17, 40])
def test_memory_that_gives_out_halves_the_stack_and_changes_nothing(monkeypatch, at):
    works = mixed(9, rows=200, batch=20, epochs=5, optimizer="adam")
    whole = trained(StackedEngine(), works)
    plain, sizes = steps.weighted_sum, []

    def scarce(plan, room, factors, sums):
        sizes.append(len(sums))
        if len(sums) > 3 and len(sizes) > at:
            raise torch.OutOfMemoryError("CUDA out of memory (a test)")
        plain(plan, room, factors, sums)

    monkeypatch.setattr(stack.steps, "weighted_sum", scarce)
    halved = trained(StackedEngine(), works)
    assert {9, 4, 5, 2, 3} <= set(sizes)
    for one in works:
        same(halved[one.key], whole[one.key], one.train)


def test_a_run_that_diverged_shortly_before_memory_gave_out_is_told_as_it_was(monkeypatch):
    """More steps than one between two looks: the run is broken, nobody has looked yet, and the stack is halved."""
    monkeypatch.setattr(stacked, "LOOK_SECONDS", 1e9)
    works = [work(seed=s, key=str(s), rows=400, batch=20, head="regression", epochs=5, learning_rate=(0.01, 1.5)[s % 2])
             for s in range(4)]  # fmt: skip
    whole = trained(StackedEngine(), works)
    step = int(whole["1"].diverged.split("(step ")[1].split(")")[0])
    assert 8 < step < 80
    plain, calls = steps.weighted_sum, []

    def scarce(plan, room, factors, sums):
        calls.append(1)
        if len(sums) == 4 and len(calls) > step + 2:
            raise torch.OutOfMemoryError("CUDA out of memory (a test)")
        plain(plan, room, factors, sums)

    monkeypatch.setattr(stack.steps, "weighted_sum", scarce)
    halved = trained(StackedEngine(), works)
    for one in works:
        same(halved[one.key], whole[one.key], one.train)


def test_memory_that_gives_out_at_the_end_of_an_epoch_loses_no_epoch(monkeypatch):
    works = mixed(5, rows=200, batch=20, epochs=3)
    plain = steps.predict

    def scarce(plan, weights, features):
        if len(weights) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory (a test)")
        return plain(plan, weights, features)

    works = [replace(one, validation=works[0].validation) for one in works]
    whole = trained(StackedEngine(), works)
    monkeypatch.setattr(stack.steps, "predict", scarce)
    halved = trained(StackedEngine(), works)
    for one in works:
        same(halved[one.key], whole[one.key], one.train)


def test_one_run_that_does_not_fit_says_so(monkeypatch):
    def scarce(*_):
        raise torch.OutOfMemoryError("CUDA out of memory (a test)")

    monkeypatch.setattr(stack_data.Rows, "__init__", scarce)
    with pytest.raises(MemoryError, match="does not fit into the memory of cpu"):
        list(StackedEngine().train(mixed(3)))


def test_a_stack_holds_what_fits_into_memory(monkeypatch):
    works = mixed(8)
    whole = trained(StackedEngine(), works)
    demand = StackedEngine().demand(works[0])
    sizes = []
    made = Stack.__init__
    monkeypatch.setattr(Stack, "__init__", lambda self, c, *a, **k: (sizes.append(len(c)), made(self, c, *a, **k))[1])
    monkeypatch.setattr(stack_device, "available", lambda device: 3 * (demand.shared + demand.per_run))
    less = trained(StackedEngine(), works)
    assert max(sizes) in (3, 4)
    assert sum(sizes) == 8
    for one in works:
        same(less[one.key], whole[one.key], one.train)


def test_the_estimate_is_not_below_what_is_allocated():
    for training in OPTIMIZERS.values():
        one = work(rows=2000, batch=300, hidden=(64, 64), method="dp_sgd", activation="gelu", **training)
        stack_ = stack_of([one])
        stack_.advance(1)
        seen, total = set(), 0
        for holder in (stack_, stack_._room, stack_._rows):
            for value in vars(holder).values():
                for tensor in value if isinstance(value, list) else [value]:
                    if isinstance(tensor, torch.Tensor) and tensor.untyped_storage().data_ptr() not in seen:
                        seen.add(tensor.untyped_storage().data_ptr())
                        total += tensor.untyped_storage().nbytes()
        stack_.close()
        demand = StackedEngine().demand(one)
        assert total <= demand.shared + demand.per_run <= 3 * total


def test_nothing_of_a_stack_is_left_when_its_results_are_there(monkeypatch):
    left = []
    made = Stack.__init__

    def watched(self, *arguments, **options):
        made(self, *arguments, **options)
        left.extend(weakref.ref(tensor) for tensor in (self.weights, self._sums, self._room.rows, self._rows.features))

    monkeypatch.setattr(Stack, "__init__", watched)
    gc.collect()
    gc.disable()
    try:
        for result in StackedEngine().train(mixed(4)):
            assert left
            assert all(reference() is None for reference in left), result.key
    finally:
        gc.enable()


def test_the_memory_of_this_machine_is_known():
    assert stack_device.available(CPU) > 0
    assert stack_device.out_of_memory(RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"))
    assert not stack_device.out_of_memory(RuntimeError("something else"))


def test_a_batch_larger_than_expected_makes_room(monkeypatch):
    works = mixed(4, rows=300, batch=100, epochs=2, learning_rate=0.01)
    roomy = trained(StackedEngine(), works)
    monkeypatch.setattr(stack_plan, "capacity", lambda work: 32)
    tight = trained(StackedEngine(), works)
    for one in works:
        np.testing.assert_allclose(tight[one.key].logits(one.train), roomy[one.key].logits(one.train), atol=1e-5)


class Killed(Exception):
    pass


@pytest.fixture
def _always_look(monkeypatch):
    monkeypatch.setattr(engine, "PROGRESS_SECONDS", 0)
    monkeypatch.setattr(stacked, "LOOK_STEPS", 7)


def broken_off(folder, works, at):
    def kill(key, share):
        if share > at:
            raise Killed

    with pytest.raises(Killed):
        list(StackedEngine().train(works, Watch(kill, Checkpoints(folder, seconds=0))))


@pytest.mark.usefixtures("_always_look")
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_resumed_fleet_ends_with_the_same_bits(tmp_path, optimizer):
    works = mixed(8, rows=120, batch=12, epochs=6, schedule="cosine", **OPTIMIZERS[optimizer])
    whole = trained(StackedEngine(), works)
    broken_off(tmp_path, works, 0.4)
    kept = Checkpoints(tmp_path).load(works[0].key, "fleet-torch")
    assert 0 < kept.step < works[0].schedule.steps
    assert Checkpoints(tmp_path).load(works[0].key, "fleet-cpu") is None
    shares = []
    # One has no checkpoint and two are at another step: three stacks.
    Checkpoints(tmp_path).discard(works[3].key)
    broken_off(tmp_path, works[5:7], 0.6)
    watch = Watch(lambda key, share: shares.append((key, share)), Checkpoints(tmp_path))
    again = trained(StackedEngine(), works, watch)
    assert dict(reversed(shares))[works[0].key] > kept.step / works[0].schedule.steps
    for one in works:
        same(again[one.key], whole[one.key], one.train)
    assert again[works[0].key].seconds > kept.seconds


@pytest.mark.usefixtures("_always_look")
def test_a_diverging_fleet_goes_on_after_an_interruption(tmp_path):
    calm = mixed(2, rows=120, batch=12, epochs=6, head="regression")
    wild = [work(seed=s, key=f"wild-{s}", rows=120, batch=12, epochs=6, head="regression", learning_rate=50.0)
            for s in range(3)]  # fmt: skip
    whole = trained(StackedEngine(), [*wild, *calm])
    broken_off(tmp_path, [*wild, *calm], 0.5)
    again = trained(StackedEngine(), [*wild, *calm], Watch(None, Checkpoints(tmp_path)))
    for one in calm:
        same(again[one.key], whole[one.key], one.train)
    assert all(again[one.key].diverged == whole[one.key].diverged is not None for one in wild)


@pytest.mark.usefixtures("_always_look")
def test_every_run_reports_and_what_the_report_raises_ends_the_training():
    works = mixed(5, rows=200, batch=20, epochs=3)
    seen = {}
    for result in StackedEngine().train(works, Watch(lambda key, share: seen.setdefault(key, []).append(share))):
        assert result.seconds > 0
    assert seen.keys() == {one.key for one in works}
    assert all(shares == sorted(shares) and 0 < shares[0] < shares[-1] <= 1 for shares in seen.values())

    def cancel(key, share):
        raise Killed

    with pytest.raises(Killed):
        list(StackedEngine().train(works, Watch(cancel)))
