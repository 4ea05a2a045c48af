"""Stacked models against the compiled engine, and a run alone against the same run among others."""

from __future__ import annotations

import math
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy import stats

from tests.worker.stacks import (
    HEADS,
    OPTIMIZERS,
    fleet_of_toys,
    mixed,
    same,
    same_history,
    stack_of,
    trained,
    work,
)
from worker.models.mlp import PLUGIN as MLP
from worker.training.fleet import stacked
from worker.training.fleet.cpu import FleetEngine
from worker.training.fleet.stacked import StackedEngine
from worker.training.recorder import RECORDS


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
        def build(self, params, inputs, outputs, domain):
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


def test_empty_batches_are_steps_and_every_row_may_be_in_every_batch():
    whole = work(rows=50, batch=50, hidden=())
    one = stack_of([whole])
    one.advance(1)
    assert one.totals[0, RECORDS] == 50
    one.close()
    sparse = [work(seed=s, rows=2000, batch=1, key=str(s), method="dp_sgd", sigma=0.0) for s in range(3)]
    stack_ = stack_of(sparse)
    sizes = np.array([[len(w.streams.batch(s, 2000, w.schedule.sampling_rate)) for s in range(40)] for w in sparse])
    assert ((sizes == 0).any(0) & (sizes > 0).any(0)).any(), "some empty, some not, in one step"
    for step in range(40):
        before = stack_.weights.clone()
        stack_.advance(step + 1)
        moved = (stack_.weights != before).any(1).numpy()
        assert np.array_equal(moved, sizes[:, step] > 0)
    assert stack_.totals[:, RECORDS].tolist() == sizes.sum(1).tolist()
    stack_.close()


@pytest.mark.parametrize("draw_on_device", [False, True])
def test_noise_on_the_sum_has_the_stated_deviation_measured_from_outside(draw_on_device):
    """A step on an empty batch moves the weights by noise alone: sigma C / expected batch, times the learning rate."""
    works = [
        work(seed=s, key=str(s), rows=2000, batch=1, hidden=(64,), method="dp_sgd", params={"clip": 0.25 * (1 + s % 2)},
             sigma=3.0, learning_rate=1.0) for s in range(30)
    ]  # fmt: skip
    stack_ = stack_of(works, draw_on_device=draw_on_device)
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
    assert drawn._drawn is not None
    drawn.close()


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


WITHOUT_NUMBA = """
import sys
sys.modules["numba"] = None
import numpy as np
from tests.worker.stacks import fleet_of_toys
from worker.training.secure import HAS_NUMBA, secure_normals
assert not HAS_NUMBA and "worker.training.fleet.cpu" not in sys.modules
assert abs(secure_normals(10_000).std() - 1) < 0.05
np.savez(sys.argv[1], **fleet_of_toys())
"""


def test_a_fleet_is_trained_without_numba_and_has_the_same_weights(tmp_path):
    script = [sys.executable, "-c", WITHOUT_NUMBA, str(tmp_path / "without.npz")]
    root = Path(__file__).parents[2]
    done = subprocess.run(script, cwd=root, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    without, ours = np.load(tmp_path / "without.npz"), fleet_of_toys()
    assert set(without.files) == set(ours)
    for key, logits in ours.items():
        np.testing.assert_allclose(without[key], logits, rtol=1e-5, atol=1e-5)
