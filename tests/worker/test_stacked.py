"""Stacked models against the compiled engine, alone against among others, interrupted against whole."""

from __future__ import annotations

import math
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy import stats

from backend.contracts.training import Training
from worker.models.mlp import PLUGIN as MLP
from worker.models.mlp import MlpParams
from worker.privacy.accounting import Budget, Schedule
from worker.registry import registry
from worker.testing import toy_table, toy_work
from worker.training import engine, streams
from worker.training.checkpoints import Checkpoints
from worker.training.engine import Examples, Watch, Work
from worker.training.fleet import philox, stack, stack_data, stack_device, stack_plan, stacked
from worker.training.fleet import stack_steps as steps
from worker.training.fleet.stack import Stack
from worker.training.fleet.stack_plan import Course, Plan
from worker.training.fleet.stacked import StackedEngine
from worker.training.secure import HAS_NUMBA
from worker.training.streams import Purpose, Streams

FleetEngine: Any = None
if HAS_NUMBA:
    from worker.training.fleet.cpu import FleetEngine

METHODS = [one.plugin for one in registry().all("method")]
ADAPTIVE = ("adaptive_dp_sgd", "soft_ada_clip")
OPTIMIZERS = {
    "sgd": {"optimizer": "sgd", "weight_decay": 0.01},
    "momentum": {"optimizer": "sgd", "momentum": 0.9},
    "adam": {"optimizer": "adam"},
    "adamw": {"optimizer": "adamw", "weight_decay": 0.1},
}
HEADS = {"binary": ("binary", 2), "multiclass": ("multiclass", 5), "regression": ("regression", 1)}
CPU = torch.device("cpu")


def examples(rng, rows, numeric, categories, task, classes):
    """Random rows with numeric and one-hot columns."""
    x = rng.normal(size=(rows, numeric)).astype(np.float32)
    first = numeric + np.cumsum([0, *categories])[:-1]
    codes = [rng.integers(0, size, rows) + at for size, at in zip(categories, first, strict=True)]
    active = np.stack(codes, 1).astype(np.int32) if codes else np.zeros((rows, 0), np.int32)
    dense = np.zeros((rows, numeric + sum(categories)), np.float32)
    dense[:, :numeric] = x
    np.put_along_axis(dense, active.astype(np.int64), np.float32(1), axis=1)
    target = rng.normal(size=rows).astype(np.float32) if task == "regression" else rng.integers(0, classes, rows)
    return Examples(np.arange(rows), dense, x, active, target)


def work(
    *, seed=0, key=None, rows=200, batch=40, numeric=3, categories=(4, 5), hidden=(16,), activation="relu",
    head="binary", method="sgd", params=None, sigma=1.0, epochs=1, secure=False, statistic_std=2.0, **training,
):  # fmt: skip
    task, classes = HEADS[head]
    train = examples(np.random.default_rng(seed), rows, numeric, categories, task, classes)
    plugin = registry().find("method", method).plugin
    statistic = statistic_std if method in ADAPTIVE else None
    key = key or f"run-{seed}-{method}"
    return Work(
        key=key,
        streams=Streams.of(seed, key, secure=secure),
        task=task,
        inputs=train.features.shape[1],
        outputs=classes,
        model=MLP,
        model_params=MlpParams(hidden=list(hidden), activation=activation),
        method=plugin,
        method_params=plugin.Params(**(params or {})),
        training=Training(epochs=epochs, batch_size=batch, **training),
        schedule=Schedule.of(rows, batch, epochs),
        budget=Budget(1.0, 1e-5, "rdp", sigma, sigma, statistic) if plugin.private else None,
        train=train,
        validation=Examples(
            *(part[:50] for part in (train.rows, train.features, train.numeric, train.active, train.target))
        ),
    )


def trained(trainer, works, watch=engine.UNWATCHED):
    found = {result.key: result for result in trainer.train(works, watch)}
    assert found.keys() == {one.key for one in works}
    return found


def mixed(count=6, **common):
    """Different methods, seeds, rates, thresholds and noise; three share their rows with another."""
    works = []
    for run in range(count):
        method = METHODS[run % len(METHODS)].name
        name = {"dp_sgd": "clip", "sgd": None}.get(method, "threshold")
        params = {name: 0.3 * (1 + run % 3)} if name else {}
        settings_of = {"sigma": 0.2 + 0.1 * run, "learning_rate": 0.02 * (1 + run % 4), **common}
        works.append(work(seed=run, key=f"mixed-{run}", method=method, params=params, **settings_of))
    for run in range(3, count):
        twin = works[run - 3]
        shared = Streams(twin.streams.shared, works[run].streams.own, works[run].streams.secure)
        works[run] = replace(works[run], streams=shared, train=twin.train, validation=twin.validation)
    return works


def same_history(ours, theirs, **tolerance):
    assert len(ours) == len(theirs)
    for mine, other in zip(ours, theirs, strict=True):
        assert (mine.name, mine.unit, mine.steps) == (other.name, other.unit, other.steps)
        np.testing.assert_allclose(np.array(mine.values, float), np.array(other.values, float), **tolerance)


def same(ours, theirs, rows):
    """Bit for bit."""
    assert np.array_equal(ours.logits(rows), theirs.logits(rows), equal_nan=ours.diverged is not None)
    assert ours.history == theirs.history
    assert ours.diverged == theirs.diverged


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("activation", ["relu", "tanh", "gelu"])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_fifty_steps_of_a_mixed_stack_follow_the_compiled_engine(optimizer, activation, head):
    """Every method in one stack, without noise; seeds, rates and thresholds differ."""
    works = mixed(8, rows=400, epochs=5, hidden=(16, 8), activation=activation, head=head, sigma=0.0,
                  statistic_std=0.0, **OPTIMIZERS[optimizer])  # fmt: skip
    works = [
        replace(w, training=w.training.model_copy(update={"learning_rate": w.training.learning_rate / 40}))
        if optimizer.startswith("adam") else w for w in works
    ]  # fmt: skip
    assert works[0].schedule.steps == 50
    ours, theirs = trained(StackedEngine(), works), trained(FleetEngine(), works)
    for one in works:
        mine, other = ours[one.key], theirs[one.key]
        assert (mine.engine, mine.diverged) == ("fleet-torch", other.diverged)
        np.testing.assert_allclose(mine.logits(one.train), other.logits(one.train), rtol=1e-4, atol=1e-4)
        same_history(mine.history, other.history, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("draw_on_device", [False, True])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_noise_schedules_and_statistics_follow_the_compiled_engine(optimizer, draw_on_device):
    rate = 0.002 if optimizer.startswith("adam") else 0.02
    training = {"schedule": "cosine", "warmup": 0.2, "learning_rate": rate, **OPTIMIZERS[optimizer]}
    works = mixed(8, rows=400, epochs=3, **training)
    ours, theirs = trained(StackedEngine(draw_on_device=draw_on_device), works), trained(FleetEngine(), works)
    for one in works:
        mine, other = ours[one.key], theirs[one.key]
        np.testing.assert_allclose(mine.logits(one.train), other.logits(one.train), rtol=2e-4, atol=2e-4)
        same_history(mine.history, other.history, rtol=2e-3, atol=2e-3)


shapes = st.fixed_dictionaries(
    {
        "rows": st.integers(20, 120),
        "batch": st.integers(1, 130),
        "numeric": st.integers(0, 13),
        "categories": st.lists(st.integers(2, 9), max_size=3).map(tuple),
        "hidden": st.lists(st.integers(1, 70), max_size=3).map(tuple),
        "activation": st.sampled_from(["relu", "tanh", "gelu"]),
        "head": st.sampled_from(list(HEADS)),
        "secure": st.just(False),
    }
).filter(lambda shape: shape["numeric"] + len(shape["categories"]) > 0)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(shapes, st.sampled_from(list(OPTIMIZERS)), st.integers(2, 7))
def test_a_run_is_the_same_alone_and_among_others_and_follows_the_compiled_engine(shape, optimizer, count):
    works = mixed(count, **shape, learning_rate=1e-3, **OPTIMIZERS[optimizer])
    ours = trained(StackedEngine(), works)
    for one in works[:: max(1, count - 1)]:
        (alone,) = StackedEngine().train([one])
        same(ours[one.key], alone, one.train)
        (other,) = FleetEngine().train([one])
        scale = np.abs(other.logits(one.train)).max() + 1
        np.testing.assert_allclose(alone.logits(one.train), other.logits(one.train), rtol=1e-3, atol=1e-3 * scale)


def test_a_run_is_the_same_alone_and_among_fifty(monkeypatch):
    monkeypatch.setattr(stacked, "PROCESSOR_RUNS", 100)
    works = mixed(50, rows=150, batch=30, epochs=2, hidden=(17,))
    together = trained(StackedEngine(), works)
    for one in works[::7]:
        (alone,) = StackedEngine().train([one])
        same(together[one.key], alone, one.train)


def test_other_networks_are_refused_and_different_plans_become_several_stacks():
    class Convolution(type(MLP)):
        def build(self, params, inputs, outputs):
            return torch.nn.Sequential(torch.nn.Linear(inputs, 4), torch.nn.Softplus(), torch.nn.Linear(4, outputs))

    reason = StackedEngine().refuses(replace(work(), model=Convolution()))
    assert reason is not None
    assert "Softplus" in reason
    assert StackedEngine().refuses(work()) is None
    works = [
        work(seed=1, key="a"), work(seed=2, key="b", hidden=(4,)), work(seed=3, key="c", head="regression"),
        work(seed=4, key="d", optimizer="adam"), work(seed=5, key="e", epochs=2), work(seed=6, key="f", batch=90),
    ]  # fmt: skip
    ours, theirs = trained(StackedEngine(), works), trained(FleetEngine(), works)
    for one in works:
        np.testing.assert_allclose(ours[one.key].logits(one.train), theirs[one.key].logits(one.train), atol=1e-4)


def stack_of(works, **options):
    courses = [Course.begin(one, Plan.of(one)) for one in works]
    return Stack(courses, CPU, **{"draw_on_device": False, **options}), courses


def test_empty_batches_are_steps_and_every_row_may_be_in_every_batch():
    whole = work(rows=50, batch=50, hidden=())
    one, _ = stack_of([whole])
    one.advance(1)
    assert one.totals[0, steps_records()] == 50
    one.close()
    sparse = [work(seed=s, rows=2000, batch=1, key=str(s), method="dp_sgd", sigma=0.0) for s in range(3)]
    stack_, _ = stack_of(sparse)
    sizes = np.array([[len(w.streams.batch(s, 2000, w.schedule.sampling_rate)) for s in range(40)] for w in sparse])
    assert ((sizes == 0).any(0) & (sizes > 0).any(0)).any(), "some empty, some not, in one step"
    for step in range(40):
        before = stack_.weights.clone()
        stack_.advance(step + 1)
        moved = (stack_.weights != before).any(1).numpy()
        assert np.array_equal(moved, sizes[:, step] > 0)
    assert stack_.totals[:, steps_records()].tolist() == sizes.sum(1).tolist()
    stack_.close()


def steps_records():
    from worker.training.recorder import RECORDS

    return RECORDS


@pytest.mark.parametrize("draw_on_device", [False, True])
def test_noise_on_the_sum_has_the_stated_deviation_measured_from_outside(draw_on_device):
    """A step on an empty batch moves the weights by noise alone: sigma C / expected batch, times the learning rate."""
    works = [
        work(seed=s, key=str(s), rows=2000, batch=1, hidden=(64,), method="dp_sgd", params={"clip": 0.25 * (1 + s % 2)},
             sigma=3.0, learning_rate=1.0) for s in range(30)
    ]  # fmt: skip
    stack_, _ = stack_of(works, draw_on_device=draw_on_device)
    rate = works[0].schedule.sampling_rate
    moves = {}
    for step in range(8):
        before = stack_.weights.clone()
        stack_.advance(step + 1)
        moved = (before - stack_.weights).numpy()
        for run, one in enumerate(works):
            if len(one.streams.batch(step, 2000, rate)) == 0:
                layers = [moved[run, la.start : la.start + la.count] for la in stack_.plan.layers]
                moves[run, step] = np.concatenate(layers) / (3.0 * one.method_params.clip)
    stack_.close()
    noise = np.concatenate(list(moves.values())).astype(np.float64)
    n = len(noise)
    low, high = (math.sqrt(q / (n - 1)) for q in stats.chi2.ppf([1e-4, 1 - 1e-4], n - 1))
    assert len(moves) > 50
    assert low < noise.std(ddof=1) < high
    assert stats.kstest(noise[:50_000], "norm").pvalue > 1e-4
    rows = np.array(list(moves.values()))
    across = np.corrcoef(rows)[np.triu_indices(len(rows), 1)]
    assert np.abs(across).max() < 6.5 / math.sqrt(rows.shape[1])


def test_noise_of_the_operating_system_is_new_each_time():
    works = [work(seed=s, key=str(s), method="soft_ada_clip", secure=s < 2, sigma=2.0) for s in range(3)]
    first, second = trained(StackedEngine(), works), trained(StackedEngine(draw_on_device=True), works)
    changed = [not np.allclose(first[w.key].logits(w.train), second[w.key].logits(w.train), atol=1e-4) for w in works]
    assert changed == [True, True, False]
    drawn = stack_of(works[:1])
    assert drawn[0]._drawn is not None
    drawn[0].close()


def test_a_padded_record_adds_nothing_even_where_its_row_is_not_a_number():
    """Rows of another run in the stack are undefined: what stands beside them stays as it is."""
    bad = work(seed=1, key="bad", rows=100, batch=20, method="dp_sgd", epochs=2)
    bad.train.numeric[:] = np.nan
    good = work(seed=2, key="good", rows=100, batch=20, method="dp_sgd", epochs=2)
    both = trained(StackedEngine(), [bad, good])
    (alone,) = StackedEngine().train([good])
    same(both["good"], alone, good.train)
    assert "loss" in both["bad"].diverged
    assert "epoch 1 (step 1)" in both["bad"].diverged


@pytest.mark.parametrize("head", ["binary", "regression"])
def test_a_diverging_run_is_recorded_as_elsewhere_and_its_neighbours_do_not_notice(head):
    calm = [work(seed=s, key=f"calm-{s}", rows=300, epochs=4, head=head, learning_rate=0.01) for s in range(4)]
    wild = [
        work(seed=9, key="wild-0", rows=300, epochs=4, head="regression", learning_rate=100.0),
        work(seed=8, key="wild-1", rows=300, epochs=4, head="regression", learning_rate=1.5),
    ]
    alone = {w.key: next(StackedEngine().train([w])) for w in calm}
    elsewhere = trained(FleetEngine(), wild)
    together = trained(StackedEngine(), [wild[0], *calm, wild[1]])
    for one in wild:
        assert together[one.key].diverged is not None
        assert together[one.key].diverged == elsewhere[one.key].diverged
        assert len(together[one.key].history) == len(elsewhere[one.key].history)
        same_history(together[one.key].history, elsewhere[one.key].history, rtol=1e-2)
    for one in calm:
        same(together[one.key], alone[one.key], one.train)


def test_infinite_weights_are_told_at_the_end_of_the_epoch():
    """Noise far too large on the last step of an epoch: the loss of its batch was still a number."""
    one = work(key="w", rows=40, batch=40, method="dp_sgd", sigma=1e38, learning_rate=100.0)
    assert one.schedule.steps == 1
    ours, theirs = next(StackedEngine().train([one])), next(FleetEngine().train([one]))
    assert ours.diverged == theirs.diverged
    assert "weights" in ours.diverged


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
        stack_, _ = stack_of([one])
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


def test_the_memory_of_this_machine_is_known(tmp_path):
    assert stack_device.available(CPU) > 0
    assert stack_device._cgroup(tmp_path) is None
    (tmp_path / "memory.max").write_text("1000\n")
    (tmp_path / "memory.current").write_text("400\n")
    assert stack_device._cgroup(tmp_path) == 600
    (tmp_path / "memory.max").write_text("max\n")
    assert stack_device._cgroup(tmp_path) is None
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


KNOWN = [
    ("00000000 00000000 00000000 00000000", "00000000 00000000", "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
    ("ffffffff ffffffff ffffffff ffffffff", "ffffffff ffffffff", "408f276d 41c83b0e a20bc7c6 6d5451fd"),
    ("243f6a88 85a308d3 13198a2e 03707344", "a4093822 299f31d0", "d16cfe09 94fdcceb 5001e420 24126ea1"),
]


@pytest.mark.parametrize(("counter", "key", "answer"), KNOWN)
def test_known_answers_of_random123(counter, key, answer):
    numbers = [torch.tensor([int(word, 16)]) for word in f"{counter} {key}".split()]
    found = philox.philox4x32(tuple(numbers[:4]), *numbers[4:])
    assert " ".join(f"{int(word):08x}" for word in found) == answer


@settings(max_examples=40, deadline=None)
@given(st.lists(st.text(), min_size=1, max_size=4), st.integers(0, 2**32 - 1), st.integers(1, 3000))
def test_draws_are_those_of_the_compiled_loops(names, step, count):
    keys = [streams.own_key(name) for name in names]
    place = torch.tensor([step])
    words = philox.words(philox.keys_of(keys, CPU), Purpose.NOISE, place, count)
    normals = philox.normals(philox.keys_of(keys, CPU), Purpose.NOISE, place, count)
    for run, key in enumerate(keys):
        assert np.array_equal(words[run].numpy(), streams.words(key, Purpose.NOISE, step, count))
        expected = streams.normals(key, Purpose.NOISE, step, count)
        np.testing.assert_allclose(normals[run].numpy(), expected, atol=1e-6, rtol=0)


def test_many_normals_agree_within_1e_6():
    keys = [streams.own_key(str(run)) for run in range(20)]
    drawn = philox.normals(philox.keys_of(keys, CPU), Purpose.NOISE, torch.tensor([5]), 100_000).numpy()
    for run, key in enumerate(keys):
        assert np.abs(drawn[run] - streams.normals(key, Purpose.NOISE, 5, 100_000)).max() < 1e-6


def test_a_compiled_update_that_fails_or_differs_is_left_aside(monkeypatch, caplog):
    def plain(target, factor):
        target.mul_(factor)

    def fused(compiled):
        monkeypatch.setattr(torch, "compile", lambda function, **_: compiled)
        chosen = stack_device.Fused(plain, torch.device("cuda"))
        value = torch.ones(3)
        chosen(value, 2.0)
        assert value.tolist() == [2, 2, 2]
        return chosen._chosen

    assert fused(plain) is plain
    good = lambda target, factor: target.copy_(target * factor)  # noqa: E731
    assert fused(good) is good
    assert not caplog.records
    assert fused(lambda target, factor: target.zero_()) is plain
    assert "differs" in caplog.text

    def failing(target, factor):
        raise RuntimeError("no compiler")

    assert fused(failing) is plain
    assert "no compiler" in caplog.text

    def scarce(target, factor):
        raise torch.OutOfMemoryError("a test")

    with pytest.raises(torch.OutOfMemoryError):
        fused(scarce)


WITHOUT_NUMBA = """
import sys
sys.modules["numba"] = None
import numpy as np
from tests.worker.test_stacked import fleet_of_toys
from worker.training.secure import HAS_NUMBA, secure_normals
assert not HAS_NUMBA and "worker.training.fleet.cpu" not in sys.modules
assert abs(secure_normals(10_000).std() - 1) < 0.05
np.savez(sys.argv[1], **fleet_of_toys())
"""


def fleet_of_toys():
    works = [
        toy_work(method, table=toy_table(200), seed=seed, run_hash=f"{method.name}-{seed}", epochs=3)
        for method in METHODS for seed in range(2)
    ]  # fmt: skip
    return {result.key: result.logits(works[0].validation) for result in StackedEngine().train(works)}


def test_a_fleet_is_trained_without_numba_and_has_the_same_weights(tmp_path):
    script = [sys.executable, "-c", WITHOUT_NUMBA, str(tmp_path / "without.npz")]
    root = Path(__file__).parents[2]
    done = subprocess.run(script, cwd=root, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    without, ours = np.load(tmp_path / "without.npz"), fleet_of_toys()
    assert set(without.files) == set(ours)
    for key, logits in ours.items():
        np.testing.assert_allclose(without[key], logits, rtol=1e-5, atol=1e-5)
