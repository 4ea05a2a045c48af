"""The compiled kernels against autograd, a loop over records, torch's optimizers and the general engine."""

from __future__ import annotations

import math
import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy import stats

from backend.contracts.training import Training
from worker.datasets._table import SensitiveAttribute
from worker.models.mlp import PLUGIN as MLP
from worker.models.mlp import MlpParams
from worker.privacy.accounting import Budget, Schedule
from worker.registry import registry
from worker.testing import plain_methods
from worker.training import opacus_trainer
from worker.training.engine import Examples, Work, groups_for
from worker.training.fleet import cpu
from worker.training.fleet.cpu import FleetEngine
from worker.training.opacus_trainer import OpacusEngine
from worker.training.recorder import RECORDS
from worker.training.streams import Purpose, Streams, normals


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
    *, seed=0, rows=200, batch=40, numeric=3, categories=(4, 5), hidden=(16,), activation="relu", task="binary",
    classes=2, method="sgd", params=None, sigma=1.0, epochs=1, statistic_std=None, **training,
):  # fmt: skip
    rng = np.random.default_rng(seed)
    train = examples(rng, rows, numeric, categories, task, classes)
    plugin = registry().find("method", method).plugin
    chosen, trained = plugin.Params(**(params or {})), Training(epochs=epochs, batch_size=batch, **training)
    asks = plugin.mechanism(chosen, trained).statistic_std is not None
    private = Budget(1.0, 1e-5, "rdp", sigma, sigma, statistic_std if asks else None) if plugin.private else None
    return Work(
        key=f"run-{seed}",
        streams=Streams.of(seed, f"config-{seed}-{method}"),
        task=task,
        inputs=train.features.shape[1],
        outputs=1 if task == "regression" else classes,
        model=MLP,
        model_params=MlpParams(hidden=list(hidden), activation=activation),
        method=plugin,
        method_params=chosen,
        training=trained,
        schedule=Schedule.of(rows, batch, epochs),
        budget=private,
        train=train,
        validation=train,
        groups=groups_for(plugin, chosen, {"sex": SensitiveAttribute("Sex", rng.integers(0, 3, rows), tuple("abc"))},
                          train.rows),
    )  # fmt: skip


def run_of(job):
    return cpu._Run(job)


def opacus_run(job):
    rows = opacus_trainer._OnDevice.of(job.train, torch.device("cpu"))
    return opacus_trainer._Run(job, "hooks", rows)


@pytest.fixture(autouse=True)
def _hooks_remark_on_inputs_without_gradients():
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Full backward hook is firing")
        yield


def naive_gradients(job, module, rows):
    """Gradient of every single record, in float64 by autograd: a list of parameters per record."""
    exact = module.double()
    answers = []
    for row in rows:
        output = exact(torch.from_numpy(job.train.features[row : row + 1]).double())
        if job.task == "regression":
            loss = (output[0, 0] - float(job.train.target[row])) ** 2
        else:
            loss = torch.nn.functional.cross_entropy(output, torch.tensor([int(job.train.target[row])]))
        answers.append([g.numpy() for g in torch.autograd.grad(loss, list(exact.parameters()))])
    return answers


shapes = st.fixed_dictionaries(
    {
        "seed": st.integers(0, 10_000),
        "rows": st.integers(20, 90),
        "batch": st.integers(1, 20),
        "numeric": st.integers(0, 13),
        "categories": st.lists(st.integers(2, 9), max_size=4).map(tuple),
        "hidden": st.lists(st.integers(1, 150), max_size=3).map(tuple),
        "activation": st.sampled_from(["relu", "tanh", "gelu"]),
        "head": st.sampled_from([("binary", 2), ("multiclass", 3), ("multiclass", 11), ("regression", 1)]),
    }
).filter(lambda shape: shape["numeric"] + len(shape["categories"]) > 0)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(shapes, st.floats(0.05, 5))
def test_norms_and_clipped_sums_equal_a_loop_over_records(shape, threshold):
    task, classes = shape.pop("head")
    job = work(
        **shape, task=task, classes=classes, method="dp_sgd", params={"clip": threshold}, sigma=1e-9,
        learning_rate=1.0,
    )  # fmt: skip
    run = run_of(job)
    before = [p.detach().numpy().copy() for p in run.trained_module().parameters()]
    batch = job.streams.batch(0, len(job.train), job.schedule.sampling_rate)
    each = naive_gradients(job, run_of(job).trained_module(), batch)
    run.advance(0, 1)
    norms = np.array([math.sqrt(sum((g**2).sum() for g in record)) for record in each])
    np.testing.assert_allclose(run.buffers.norms[: len(batch)], norms, rtol=1e-5, atol=1e-6)
    scale = np.minimum(1, threshold / np.maximum(norms, 1e-30))
    flat = np.array([np.concatenate([g.ravel() for g in record]) for record in each])
    flat = flat.reshape(len(batch), run.layout.logical)
    expected = (flat * scale[:, None]).sum(0)
    sums = np.concatenate([s.ravel() for s in run.layout.unpack(run.network.sums)]).astype(np.float64)
    # Where records cancel, rounding is as large as of what was added.
    added = np.linalg.norm(flat * scale[:, None], axis=1).sum()
    assert np.linalg.norm(sums - expected) <= 1e-5 * np.linalg.norm(expected) + 2e-7 * added
    after = [p.detach().numpy() for p in run.trained_module().parameters()]
    moved = np.concatenate([(o.astype(np.float64) - n).ravel() for o, n in zip(before, after, strict=True)])
    # The weights are float32, so a move is known to about their own resolution.
    resolution = 1e-7 * max(np.abs(o).max() for o in before) * job.expected_batch
    np.testing.assert_allclose(moved * job.expected_batch, sums, rtol=1e-5, atol=resolution + 1e-6)


@pytest.mark.parametrize("name", sorted(method.name for method in plain_methods()))
@pytest.mark.parametrize("activation", ["relu", "tanh", "gelu"])
@pytest.mark.parametrize(
    "training",
    [{}, {"momentum": 0.9}, {"optimizer": "adam"}, {"optimizer": "adamw"}, {"weight_decay": 0.05, "warmup": 0.5}],
    ids=str,
)
def test_one_whole_step_is_that_of_opacus(name, activation, training):
    """Batch, norms, the method, noise and optimizer, by both engines from the same draws."""
    job = work(
        seed=7, rows=300, batch=60, hidden=(24, 12), activation=activation, method=name, statistic_std=2.0,
        learning_rate=0.05, **training,
    )  # fmt: skip
    ours, theirs = run_of(job), opacus_run(job)
    ours.advance(0, 1)
    theirs.advance(0, 1)
    assert ours.state.keys() == theirs.state.keys()
    for one, value in ours.state.items():
        np.testing.assert_allclose(value, theirs.state[one], rtol=1e-6)
    np.testing.assert_allclose(ours.totals, theirs.totals, rtol=1e-5)
    for mine, reference in zip(ours.trained_module().parameters(), theirs.parameters, strict=True):
        np.testing.assert_allclose(mine.detach().numpy(), reference.detach().numpy(), rtol=1e-5, atol=2e-7)


@pytest.mark.parametrize("activation", ["relu", "tanh", "gelu"])
def test_norms_and_sums_equal_autograd_within_1e_5(activation):
    job = work(rows=300, batch=100, hidden=(64, 32), activation=activation, method="dp_sgd", sigma=1e-9)
    run = run_of(job)
    batch = job.streams.batch(0, len(job.train), job.schedule.sampling_rate)
    each = naive_gradients(job, run_of(job).trained_module(), batch)
    run.advance(0, 1)
    flat = np.array([np.concatenate([g.ravel() for g in record]) for record in each])
    norms = np.linalg.norm(flat, axis=1)
    np.testing.assert_allclose(run.buffers.norms[: len(batch)], norms, rtol=1e-5)
    expected = (flat * np.minimum(1, 1.0 / norms)[:, None]).sum(0)
    sums = np.concatenate([s.ravel() for s in run.layout.unpack(run.network.sums)])
    assert np.linalg.norm(sums - expected) <= 1e-5 * np.linalg.norm(expected)


@pytest.mark.parametrize(
    "optimizer", [{"optimizer": "sgd"}, {"optimizer": "sgd", "momentum": 0.9}, {"optimizer": "adam"}]
)
@pytest.mark.parametrize("decay", [0.0, 0.01])
@pytest.mark.parametrize("activation", ["relu", "tanh", "gelu"])
def test_fifty_steps_without_noise_follow_torch(optimizer, decay, activation):
    job = work(
        rows=400, batch=40, epochs=5, hidden=(24, 12), activation=activation, weight_decay=decay, learning_rate=0.02,
        **optimizer,
    )  # fmt: skip
    (ours,), (reference,) = FleetEngine().train([job]), OpacusEngine().train([job])
    np.testing.assert_allclose(ours.logits(job.train), reference.logits(job.train), rtol=1e-4, atol=1e-4)


def method_names():
    return sorted(method.name for method in plain_methods())


@pytest.mark.parametrize("name", method_names())
@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_every_method_gives_the_same_in_both_engines(name, optimizer):
    job = work(rows=500, batch=50, epochs=2, method=name, statistic_std=2.0, optimizer=optimizer, learning_rate=0.05)
    (ours,), (reference,) = FleetEngine().train([job]), OpacusEngine().train([job])
    np.testing.assert_allclose(ours.logits(job.train), reference.logits(job.train), rtol=2e-3, atol=2e-3)
    for mine, theirs in zip(ours.history, reference.history, strict=True):
        assert (mine.name, mine.unit, mine.steps) == (theirs.name, theirs.unit, theirs.steps)
        np.testing.assert_allclose(mine.values, theirs.values, rtol=5e-3, atol=5e-3)


def asks_for_groups(name):
    plugin = registry().find("method", name).plugin
    return plugin.attribute(plugin.Params()) is not None


@pytest.mark.parametrize("name", [name for name in method_names() if asks_for_groups(name)])
def test_a_method_that_asks_for_groups_is_called(name):
    assert run_of(work(rows=500, batch=50, method=name, statistic_std=2.0)).recorded is None


@pytest.mark.parametrize("name", [name for name in method_names() if not asks_for_groups(name)])
def test_a_recorded_method_does_what_its_own_code_does(name, monkeypatch):
    """Between two steps a kernel repeats what the method's code did when it was recorded; without that it is called."""
    job = work(rows=500, batch=50, epochs=3, method=name, statistic_std=2.0, learning_rate=0.05, momentum=0.5)
    assert run_of(job).recorded is not None
    (compiled,) = FleetEngine().train([job])
    monkeypatch.setattr(cpu, "record", lambda *_: None)
    called = run_of(job)
    called.recorded = None
    for step in range(job.schedule.steps):
        called.step(step)
    assert {n: float(v) for n, v in called.state.items()} == pytest.approx(dict(final_state(job)), rel=1e-4)
    np.testing.assert_allclose(compiled.logits(job.train), called.logits(job.train), rtol=2e-4, atol=2e-4)


def final_state(job):
    run = run_of(job)
    step = 0
    while step < job.schedule.steps:
        step = run.advance(step, job.schedule.steps)
    return run.state


def test_a_run_is_the_same_alone_in_a_fleet_and_on_two_threads():
    jobs = [work(seed=s, rows=300, epochs=2, method="soft_ada_clip", statistic_std=2.0) for s in range(200)]
    alone = {r.key: r.logits(j.train) for j in jobs for r in FleetEngine().train([j])}
    for threads in (1, 2):
        fleet = {r.key: r for r in FleetEngine(threads).train(jobs)}
        assert fleet.keys() == alone.keys()
        for job in jobs:
            assert np.array_equal(fleet[job.key].logits(job.train), alone[job.key])


def test_noise_on_the_sum_has_the_stated_deviation_measured_from_outside():
    """A step on an empty batch moves the weights by noise alone: sigma C / expected batch, times the learning rate."""
    moves = []
    for seed in range(40):
        job = work(seed=seed, rows=2000, batch=1, hidden=(64,), method="dp_sgd", params={"clip": 0.5}, sigma=3.0,
                   learning_rate=1.0)  # fmt: skip
        run = run_of(job)
        step = next(s for s in range(500) if len(job.streams.batch(s, 2000, job.schedule.sampling_rate)) == 0)
        before = np.concatenate([p.detach().numpy().ravel() for p in run.trained_module().parameters()])
        run.advance(step, step + 1)
        after = np.concatenate([p.detach().numpy().ravel() for p in run.trained_module().parameters()])
        moves.append(before.astype(np.float64) - after)
    noise = np.concatenate(moves)
    n, expected = len(noise), 3.0 * 0.5
    low, high = (math.sqrt(q / (n - 1)) for q in stats.chi2.ppf([1e-4, 1 - 1e-4], n - 1))
    assert expected * low < noise.std(ddof=1) < expected * high
    assert stats.kstest(noise / expected, "norm").pvalue > 1e-4
    rows = np.array(moves)
    across = np.corrcoef(rows)[np.triu_indices(len(rows), 1)]
    assert np.abs(across).max() < 6 / math.sqrt(rows.shape[1])


def test_noise_is_independent_between_steps():
    job = work(rows=5000, batch=1, method="dp_sgd", params={"clip": 1.0}, sigma=1.0, learning_rate=1.0)
    run = run_of(job)
    empty = [s for s in range(200) if len(job.streams.batch(s, 5000, job.schedule.sampling_rate)) == 0][:20]
    moves = []
    for step in empty:
        before = run.weights.copy()
        run.advance(step, step + 1)
        moves.append((before - run.weights)[run.weights != 0])
    across = np.corrcoef(np.array(moves))[np.triu_indices(len(moves), 1)]
    assert np.abs(across).max() < 6 / math.sqrt(len(moves[0]))


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.floats(1e-3, 1e3), st.sampled_from([n for n in method_names() if n != "sgd"]))
def test_one_record_moves_the_sum_by_at_most_the_sensitivity(seed, size, name):
    """All rows drawn (q = 1), one record replaced by nothing: the sums differ by its scaled gradient alone."""
    job = work(seed=seed, rows=12, batch=12, method=name, sigma=1.0, statistic_std=1.0)
    rows = job.train
    blown = Examples(rows.rows, rows.features, rows.numeric.copy(), rows.active, rows.target)
    blown.numeric[3] *= size
    job = replace(job, train=blown)
    without = replace(job, train=Examples(*(np.delete(a, 3, axis=0) for a in (
        blown.rows, blown.features, blown.numeric, blown.active, blown.target))))  # fmt: skip
    if job.groups is not None:
        without = replace(without, groups=replace(job.groups, codes=np.delete(job.groups.codes, 3)))
    sums = []
    for one in (job, without):
        run = run_of(one)
        limit = float(one.method.sensitivity(run.state, one.method_params))
        run.advance(0, 1)
        sums.append(np.concatenate([s.ravel() for s in run.layout.unpack(run.network.sums)]).astype(np.float64))
    assert np.linalg.norm(sums[0] - sums[1]) <= limit * (1 + 1e-5) + 1e-6


def test_a_batch_larger_than_expected_makes_room_and_changes_nothing():
    job = work(rows=300, batch=100, method="dp_sgd")
    roomy, tight = run_of(job), run_of(job)
    tight._room(48)
    for step in range(3):
        roomy.advance(step, step + 1)
        tight.advance(step, step + 1)
    for one, other in zip(roomy.layout.unpack(roomy.weights), tight.layout.unpack(tight.weights), strict=True):
        assert np.array_equal(one, other)


def test_every_row_in_every_batch_and_empty_batches():
    whole = work(rows=50, batch=50, hidden=())
    run = run_of(whole)
    run.advance(0, 1)
    assert run.totals[RECORDS] == 50
    job = work(rows=5000, batch=1)
    run = run_of(job)
    empty = next(s for s in range(100) if len(job.streams.batch(s, 5000, job.schedule.sampling_rate)) == 0)
    before = run.weights.copy()
    run.advance(empty, empty + 1)
    assert np.array_equal(run.weights, before)


def test_a_diverging_run_is_recorded_and_its_neighbours_do_not_notice():
    calm = work(seed=1, rows=300, epochs=2)
    wild = work(seed=2, rows=300, epochs=2, task="regression", learning_rate=100.0)
    alone = next(FleetEngine().train([calm])).logits(calm.train)
    both = {r.key: r for r in FleetEngine().train([wild, calm])}
    assert both[wild.key].diverged is not None
    assert "learning rate" in both[wild.key].diverged
    assert both[calm.key].diverged is None
    assert np.array_equal(both[calm.key].logits(calm.train), alone)


def test_other_networks_are_refused_with_a_reason():
    class Convolution(type(MLP)):
        def build(self, params, inputs, outputs, domain):
            return torch.nn.Sequential(torch.nn.Linear(inputs, 4), torch.nn.Softplus(), torch.nn.Linear(4, outputs))

    reason = FleetEngine().refuses(replace(work(), model=Convolution()))
    assert reason is not None
    assert "Softplus" in reason


def test_accuracy_over_seeds_is_distributed_as_by_the_general_engine():
    """Different random streams in the two engines: equal in distribution and not only draw by draw."""
    jobs = [
        work(seed=s, rows=400, epochs=3, method=m, params={"clip": 1.0} if m != "sgd" else None, learning_rate=0.2)
        for s in range(30)
        for m in ("sgd", "dp_sgd")
    ]
    for method in ("sgd", "dp_sgd"):
        mine, theirs = [], []
        for job in (j for j in jobs if j.method.name == method):
            other = replace(job, streams=Streams.of(1000 + int(job.key[4:]), "other"))
            for engine, one, into in ((FleetEngine(), job, mine), (OpacusEngine(), other, theirs)):
                (trained,) = engine.train([one])
                into.append(float((trained.logits(one.train).argmax(1) == one.train.target).mean()))
        assert stats.ks_2samp(mine, theirs).pvalue > 1e-3


def test_memory_is_known_before_the_start_and_let_go_after_the_end():
    job = work(rows=3000, batch=300, hidden=(64, 32), method="soft_ada_clip", statistic_std=2.0)
    demand = FleetEngine().demand(job)
    run = run_of(job)
    held = sum(a.nbytes for part in (run.network, run.buffers) for a in part if isinstance(a, np.ndarray))
    held += sum(a.nbytes for a in run.rows if isinstance(a, np.ndarray) and a is not run.rows.numeric)
    assert 0.5 * demand.per_run < held < 1.5 * demand.per_run
    before = run.logits(job.train)
    run.release()
    left = sum(a.nbytes for part in (run.network, run.buffers) for a in part if isinstance(a, np.ndarray))
    assert left < held / 3
    assert np.array_equal(run.logits(job.train), before)
    assert demand.runs_in(demand.shared + 3 * demand.per_run) == 3
    assert demand.runs_in(demand.shared + demand.per_run - 1) == 0
    assert demand.runs_in(0) == 0


@pytest.mark.parametrize("hidden", [(), (24,), (40, 12)], ids=str)
@pytest.mark.parametrize("name", ["dp_sgd", "soft_ada_clip"])
def test_noise_that_is_drawn_beforehand_lands_where_the_kernel_would_draw_it(name, hidden, monkeypatch):
    """Noise of the operating system takes another path into the weights: fed the keyed draws, it must end the same."""
    job = work(rows=400, batch=40, epochs=2, hidden=hidden, method=name, statistic_std=2.0, learning_rate=0.05)
    (keyed,) = FleetEngine().train([job])
    quiet = replace(job, budget=replace(job.budget, gradient_multiplier=1e-9, statistic_std=1e-9))
    (silent,) = FleetEngine().train([quiet])
    plain = job.streams
    monkeypatch.setattr(Streams, "noise", lambda self, step, count: normals(plain.own, Purpose.NOISE, step, count))
    monkeypatch.setattr(
        Streams,
        "statistic_noise",
        lambda self, step: float(normals(plain.own, Purpose.STATISTIC_NOISE, step, 1)[0]),
    )
    (drawn,) = FleetEngine().train([replace(job, streams=replace(plain, secure=True))])
    np.testing.assert_allclose(drawn.logits(job.train), keyed.logits(job.train), rtol=2e-4, atol=2e-4)
    assert np.abs(silent.logits(job.train) - keyed.logits(job.train)).max() > 0.01, "the noise matters here"
