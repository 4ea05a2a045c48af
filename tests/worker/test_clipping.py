"""What clipping does to a sample's gradients: against autograd record by record, in every engine; no bit changes."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from backend.contracts.results import ALL
from tests.worker.stacks import same_history
from worker.datasets._table import SensitiveAttribute
from worker.metrics._groups import Groups
from worker.models.mlp import MlpParams
from worker.plugins import GROUP, Model, NoParams
from worker.registry import registry
from worker.testing import plain_methods, toy_table, toy_work
from worker.training import clipping, loop
from worker.training.checkpoints import Checkpoints
from worker.training.clipping import LinearGradients, ModuleGradients, Sample, figures, look, places, times
from worker.training.engine import Examples, Watch
from worker.training.fleet import cpu, sample
from worker.training.fleet.cpu import FleetEngine
from worker.training.fleet.stack_plan import Course, Plan
from worker.training.fleet.stacked import StackedEngine
from worker.training.initial import build
from worker.training.losses import per_record
from worker.training.opacus_trainer import OpacusEngine, per_record_gradients
from worker.training.streams import shared_key

PRIVATE = [method for method in plain_methods() if method.private]
ENGINES = [FleetEngine(), StackedEngine(), StackedEngine(draw_on_device=True), OpacusEngine()]
CHOICES = [["sex"], ["race"], ["sex", "race"]]
DP_SGD = registry().find("method", "dp_sgd").plugin


class Dropped(Model[NoParams]):
    """Draws while it is trained, and has layers of which only Opacus knows the gradients."""

    name = "dropped"
    title = summary = "Dropped"
    Params = NoParams

    def build(self, params, inputs, outputs, domain):
        return torch.nn.Sequential(
            torch.nn.Linear(inputs, 6), torch.nn.LayerNorm(6), torch.nn.Dropout(0.4), torch.nn.Linear(6, outputs)
        )


def looked_at(method=DP_SGD, *, choices=CHOICES, table=None, seed=0, **more):
    """A toy run with a sample of its rows."""
    table = toy_table(300) if table is None else table
    job = toy_work(method, table=table, seed=seed, **more)

    def groups(rows):
        return Groups.of(table.attributes, choices, job.train.rows[rows])

    return replace(job, sample=Sample.draw(job.train, groups, shared_key(seed)))


def flat_gradients(module, job, examples):
    """`[rows, weights]` float64, one backward pass per record."""
    exact = module.double()
    found = []
    for features, target in zip(examples.features, examples.target, strict=True):
        exact.zero_grad()
        logits = exact(torch.from_numpy(features).double()[None])
        goal = torch.tensor([target])
        per_record(logits, goal.double() if job.task == "regression" else goal, job.task).sum().backward()
        found.append(np.concatenate([p.grad.numpy().ravel() for p in exact.parameters()]))
    return np.array(found)


def oracle(gradients, table, job, state):
    """Every figure of every subgroup by its definition."""
    sample, method, params = job.sample, job.method, job.method_params
    norms = np.array([np.sqrt(np.dot(g, g)) for g in gradients])
    codes = None if job.groups is None else job.groups.codes[sample.rows]
    shown = state if codes is None else {**state, GROUP: codes}
    factors, largest = method.scale(norms, shown, params), method.scale(norms * 0, shown, params)
    factors, largest = np.broadcast_to(factors, norms.shape), np.broadcast_to(largest, norms.shape)
    found = {}
    for name in sample.names:
        labels = {} if name == ALL else dict(part.split("=") for part in name.split(" & "))
        rows = [
            at
            for at, row in enumerate(sample.examples.rows)
            if all(table.attributes[a].labels[table.attributes[a].codes[row]] == v for a, v in labels.items())
        ]
        whole = sum(gradients[i] for i in rows)
        left = sum(factors[i] * gradients[i] for i in rows)
        end = "" if name == ALL else f"[{name}]"
        for share in (5, 25, 50, 75, 95):
            found[f"gradient_norm_p{share:02d}{end}"] = np.quantile(norms[rows], share / 100)
        found[f"gradient_cosine{end}"] = whole @ left / np.linalg.norm(whole) / np.linalg.norm(left)
        clipped = [factors[i] < (1 - 1e-4) * max(largest[i], factors.max()) for i in rows]
        found[f"share_clipped_sample{end}"] = np.mean(clipped)
        found[f"gradient_length_kept{end}"] = (factors * norms)[rows].sum() / norms[rows].sum()
    return found


def measured(job, source, state):
    (seen,) = look(source, job.sample, [job], [state])
    found = {"gradient_limit": seen.limit}
    for group, values in zip(job.sample.names, figures([seen], job.sample)[0].tolist(), strict=True):
        end = "" if group == ALL else f"[{group}]"
        found |= {name + end: value for (name, _), value in zip(clipping.SERIES, values, strict=True)}
    return found


def arrays_of(module):
    return [p.detach().numpy().copy() for p in module.parameters()]


def in_torch(arrays, activation, job):
    """The gradients of these weights: another run's stand beside them, and are taken away again."""
    with np.errstate(all="ignore"):
        matrices = [
            torch.from_numpy(np.stack([np.vstack([w.T, b]) * times for times in (0.7, 1, 1.3)]).astype(np.float32))
            for w, b in zip(arrays[::2], arrays[1::2], strict=True)
        ]
    return Middle(LinearGradients(matrices, activation, job.task, job.sample))


class Middle:
    """The second of three runs."""

    def __init__(self, three):
        self.three = three

    def norms(self):
        return self.three.norms()[1:2]

    def products(self, factors):
        return self.three.products(np.concatenate([factors * 0, factors, factors * 2]))[1:2]


def compiled(arrays, activation, job):
    """The same by the kernels that train."""
    run = cpu._Run(job)
    run.network.weights[:] = 0
    packed = run.layout.pack(arrays)
    run.network.weights[: len(packed)] = packed
    return run.gradients(job.sample)


WAYS = [in_torch, compiled]


def agrees(found, expected, state, job):
    assert found.pop("gradient_limit") == pytest.approx(float(job.method.sensitivity(state, job.method_params)))
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, rel=2e-4, abs=2e-5), name


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("method", PRIVATE, ids=lambda one: one.name)
def test_every_method_against_one_backward_pass_per_record(method, way):
    table = toy_table(300)
    job = looked_at(method, table=table, model_params=MlpParams(hidden=[8, 5], activation="tanh"))
    module, state = build(job), job.start()
    for name, value in state.items():
        # A threshold among the norms, another for each group where there are groups.
        state[name] = value * 0 + 1.0 + 0.3 * np.arange(np.size(value)) if np.ndim(value) else 1.0
    source = way(arrays_of(module), "tanh", job)
    expected = oracle(flat_gradients(module, job, job.sample.examples), table, job, state)
    agrees(measured(job, source, state), expected, state, job)
    assert len(job.sample.names) > 5


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
@pytest.mark.parametrize("activation", ["relu", "tanh", "gelu"])
@pytest.mark.parametrize("hidden", [[], [1], [20, 12]])
def test_every_network_against_one_backward_pass_per_record(hidden, activation, task, way):
    table = toy_table(120, task=task, classes=11 if task == "multiclass" else 2)
    job = looked_at(table=table, model_params=MlpParams(hidden=hidden, activation=activation))
    module, state = build(job), {"threshold": 0.7}
    source = way(arrays_of(module), activation, job)
    agrees(
        measured(job, source, state),
        oracle(flat_gradients(module, job, job.sample.examples), table, job, state),
        state,
        job,
    )


def test_sums_that_take_too_much_memory_are_made_group_by_group(monkeypatch):
    table = toy_table(200)
    job = looked_at(table=table, model_params=MlpParams(hidden=[130, 40]))
    module, state = build(job), {"threshold": 0.3}
    arrays, expected = arrays_of(module), oracle(flat_gradients(module, job, job.sample.examples), table, job, state)
    whole = FleetEngine().demand(job).per_run
    monkeypatch.setattr(sample, "MOST_NUMBERS", 0)
    assert FleetEngine().demand(job).per_run < whole
    agrees(measured(job, compiled(arrays, "relu", job), state), expected, state, job)


def test_a_sample_larger_than_a_batch_is_passed_through_in_blocks():
    table = toy_table(2000)
    job = looked_at(table=table, batch_size=8)
    module, state = build(job), {"threshold": 0.7}
    source = compiled(arrays_of(module), "relu", job)
    assert len(job.sample) > 4 * len(cpu._Run(job).buffers.norms)
    expected = oracle(flat_gradients(module, job, job.sample.examples), table, job, state)
    agrees(measured(job, source, state), expected, state, job)


@pytest.mark.filterwarnings("ignore:Full backward hook is firing")
def test_any_module_against_one_backward_pass_per_record():
    table = toy_table(200)
    job = looked_at(table=table, model=Dropped())
    module, state = build(job), {"threshold": 0.5}
    module[2].p = 0.0
    source = ModuleGradients(per_record_gradients(module, job, "hooks"), job.sample, torch.device("cpu"), 7)
    found = measured(job, source, state)
    plain = build(job)
    plain[2].p = 0.0
    agrees(found, oracle(flat_gradients(plain, job, job.sample.examples), table, job, state), state, job)


@pytest.mark.parametrize("method", PRIVATE, ids=lambda one: one.name)
def test_engines_agree_and_training_keeps_its_bits(method):
    job = looked_at(method, epochs=3, learning_rate=0.05)
    histories = []
    for engine in ENGINES:
        (seen,) = engine.train([job])
        (alone,) = engine.train([replace(job, sample=None)])
        assert np.array_equal(seen.logits(job.train), alone.logits(job.train))
        names = {series.name for series in alone.history}
        assert [series for series in seen.history if series.name in names] == alone.history
        histories.append([series for series in seen.history if series.name not in names])
    assert {series.steps[0] for series in histories[0]} == {0.0}
    assert {series.steps[-1] for series in histories[0]} == {3.0}
    for other in histories[1:]:
        same_history(other, histories[0], rtol=5e-3, atol=2e-2)


def test_a_stack_is_looked_at_as_its_runs_are_alone_whatever_their_seeds_and_methods():
    adaptive = registry().find("method", "adaptive_dp_sgd").plugin
    jobs = [
        looked_at(method, seed=seed, run_hash=f"{method.name}-{seed}-{rate}", epochs=3, learning_rate=rate)
        for method, seed, rate in ((DP_SGD, 0, 0.1), (adaptive, 1, 0.1), (DP_SGD, 1, 0.2), (adaptive, 0, 0.1))
    ]
    # Rows that are shared are one object, as in a study; one run is not looked at, and one diverges.
    shared = {job.streams.shared: job.sample for job in jobs}
    jobs = [replace(job, sample=shared[job.streams.shared]) for job in jobs]
    jobs.append(replace(looked_at(run_hash="unseen", epochs=3), sample=None))
    jobs.append(replace(jobs[0], key="diverges", budget=replace(jobs[0].budget, gradient_multiplier=1e38)))
    alone = {job.key: next(iter(StackedEngine().train([job]))) for job in jobs}
    engine = StackedEngine()
    engine._looked_at = 3
    for one in engine.train(jobs):
        assert [series.name for series in one.history] == [series.name for series in alone[one.key].history]
        same_history(one.history, alone[one.key].history, rtol=1e-4, atol=1e-5)
        cosine = [series for series in one.history if series.name == "gradient_cosine"]
        assert len(cosine) == (one.key != "unseen")
        assert bool(one.diverged) == (one.key == "diverges")


@pytest.mark.parametrize("hidden", [[8], [200, 90]])
def test_a_look_takes_no_more_memory_than_is_set_aside_for_it(hidden):
    job, engine = looked_at(table=toy_table(500), model_params=MlpParams(hidden=hidden)), StackedEngine()
    engine._looked_at = 16
    plan = Plan.of(job)
    weights = torch.from_numpy(np.stack([Course.begin(job, plan).arrays["weights"]] * 16))
    matrices = [layer.of(weights) for layer in plan.layers]

    def once():
        source = LinearGradients(matrices, plan.activation, plan.task, job.sample)
        return look(source, job.sample, [job] * 16, [job.start()] * 16)

    once()
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True) as profile:
        once()
    held = np.cumsum(
        [event.nbytes() for event in profile.profiler.kineto_results.events() if event.name() == "[memory]"]
    )
    shared = engine.demand(job).shared - engine.demand(replace(job, sample=None)).shared
    assert 0.2 * shared < held.max() <= shared


def test_a_module_that_draws_keeps_its_bits():
    job = looked_at(model=Dropped())
    answers = []
    for one in (job, replace(job, sample=None)):
        torch.manual_seed(3)
        (result,) = OpacusEngine().train([one])
        answers.append(result.logits(job.validation))
    assert np.array_equal(*answers)


@pytest.mark.parametrize("engine", [FleetEngine(), StackedEngine(), OpacusEngine()], ids=lambda one: one.name)
def test_what_was_seen_is_kept_over_an_interruption(engine, tmp_path, monkeypatch):
    job = looked_at(epochs=6)
    (expected,) = engine.train([job])

    class Stopped(Exception):
        pass

    def stop(key, share):
        if share > 0.5:
            raise Stopped

    keeping = Checkpoints(tmp_path, seconds=0)
    monkeypatch.setattr("worker.training.engine.PROGRESS_SECONDS", 0)
    with pytest.raises(Stopped):
        list(engine.train([job], Watch(stop, keeping)))
    assert keeping.load(job.key, engine.name) is not None
    (resumed,) = engine.train([job], Watch(None, keeping))
    assert resumed.history == expected.history


def test_small_groups_have_no_figures_and_one_row_is_enough_for_nothing():
    table = toy_table(300)
    few = np.zeros(300, np.int64)
    few[np.flatnonzero(np.arange(300) % 40 == 0)] = 1
    table.attributes["rare"] = SensitiveAttribute("Rare", few, ("no", "yes"))
    job = looked_at(table=table, choices=[["rare"]])
    assert job.sample.names == ("all", "rare=no")
    one = Sample.of(job.train, np.array([4]), Groups.of(table.attributes, [["rare"]], job.train.rows[[4]]))
    job = replace(job, sample=one)
    for way in WAYS:
        assert list(measured(job, way(arrays_of(build(job)), "relu", job), job.start())) == ["gradient_limit"]
    (result,) = FleetEngine().train([job])
    assert [series.steps for series in result.history if series.name == "gradient_limit"] == [[0.0, 1.0, 2.0]]


@pytest.mark.parametrize("way", WAYS)
def test_gradients_of_zero_and_gradients_that_cancel_have_no_direction(way):
    job = looked_at(table=toy_table(400, task="regression"), model_params=MlpParams(hidden=[]))
    sample, state = job.sample, job.start()
    arrays = [np.zeros_like(p) for p in arrays_of(build(job))]
    examples = sample.examples

    def of(target, numeric):
        rows = Examples(examples.rows, examples.inputs, numeric, examples.active[:, :0], target)
        mine = replace(sample, examples=rows, members=np.ones((1, sample.cells)), names=("all",))
        seen = replace(job, sample=mine)
        return measured(seen, way(arrays, "relu", seen), state)

    zero = of(np.zeros(len(sample), np.float32), examples.numeric)
    assert zero["gradient_norm_p95"] == 0
    assert zero["share_clipped_sample"] == 0
    assert np.isnan(zero["gradient_cosine"])
    assert np.isnan(zero["gradient_length_kept"])
    half = np.where(np.arange(len(sample)) < len(sample) // 2 * 2, (-1.0) ** np.arange(len(sample)), 0)
    opposite = of(half.astype(np.float32), np.ones_like(examples.numeric))
    assert opposite["gradient_norm_p50"] > 0
    assert np.isnan(opposite["gradient_cosine"])


@pytest.mark.filterwarnings("ignore:overflow:RuntimeWarning")
@pytest.mark.filterwarnings("ignore:invalid:RuntimeWarning")
@pytest.mark.parametrize("way", WAYS)
def test_numbers_that_are_none_have_no_figures(way):
    job = looked_at()
    arrays = arrays_of(build(job))
    for broken in (np.nan, np.inf, 3e38):
        arrays[0][:] = broken
        found = measured(job, way(arrays, "relu", job), job.start())
        del found["gradient_limit"]
        assert all(np.isnan(value) for value in found.values())


def test_a_run_that_diverges_keeps_what_was_seen_before():
    job = looked_at(learning_rate=100.0, epochs=4, table=toy_table(300, task="regression"), optimizer="sgd")
    job = replace(job, budget=replace(job.budget, gradient_multiplier=1e38))
    (result,) = FleetEngine().train([job])
    assert result.diverged
    (cosine,) = [series for series in result.history if series.name == "gradient_cosine"]
    assert cosine.steps[0] == 0.0
    assert cosine.values[0] is not None


def test_factors_that_all_share_clip_nobody():
    adapt = registry().find("method", "global_adapt").plugin
    job = looked_at(adapt)
    for way in WAYS:
        found = measured(job, way(arrays_of(build(job)), "relu", job), {"upper_threshold": 50.0})
        assert found["share_clipped_sample"] == 0
        assert found["gradient_cosine"] == pytest.approx(1, abs=1e-6)
        assert found["gradient_length_kept"] == pytest.approx(0.5 / 50)


def test_the_sample_is_that_of_the_seed_whatever_the_method():
    rows = clipping.SAMPLE_ROWS + 300
    first = places(shared_key(3), rows)
    assert len(first) == clipping.SAMPLE_ROWS
    assert len(np.unique(first)) == len(first)
    assert np.array_equal(first, places(shared_key(3), rows))
    assert not np.array_equal(first, places(shared_key(4), rows))
    assert np.array_equal(places(shared_key(3), 7), np.arange(7))
    counts = np.zeros(rows)
    for seed in range(200):
        counts[places(shared_key(seed), rows)] += 1
    expected = 200 * clipping.SAMPLE_ROWS / rows
    assert abs(counts - expected).max() < 6 * np.sqrt(expected)
    mine, other = (looked_at(method, seed=5).sample for method in PRIVATE[:2])
    assert np.array_equal(mine.rows, other.rows)


def test_what_people_are_told_of_the_sample_is_so():
    docs = Path(__file__).parents[2] / "docs"
    told = re.findall(
        r"gradients of up to ([\d,]+) training rows", " ".join((docs / "sharp_edges.md").read_text().split())
    )
    assert told == [f"{clipping.SAMPLE_ROWS:,}"]
    measured = re.findall(r"(\w+) looks at ([\d,]+) rows", " ".join((docs / "performance.md").read_text().split()))
    assert measured == [("four", f"{clipping.SAMPLE_ROWS:,}")]
    assert len(times(10)) == 4


@pytest.mark.parametrize("epochs", [1, 2, 3, 7, 20, 100, 1000])
def test_times_begin_and_end_with_the_training(epochs):
    found = times(epochs)
    assert found[:2] == (0, 1)
    assert found[-1] == epochs
    assert list(found) == sorted(set(found))
    assert len(found) <= clipping.TIMES + 1


def test_a_run_without_privacy_is_not_looked_at(monkeypatch):
    job = looked_at(registry().find("method", "sgd").plugin)
    monkeypatch.setattr(loop, "Gradients", None)
    (result,) = FleetEngine().train([job])
    assert not [series for series in result.history if "cosine" in series.name]
