"""The Opacus engine against per-record loops, against Opacus' own optimizer, and its noise seen from outside."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from opacus import GradSampleModule
from opacus.optimizers import DPOptimizer
from scipy import stats

from worker.methods.adaptive_dp_sgd import PLUGIN as ADAPTIVE
from worker.methods.dp_sgd import PLUGIN as DP_SGD
from worker.methods.sgd import PLUGIN as SGD
from worker.methods.soft_ada_clip import PLUGIN as SOFT
from worker.models.mlp import MlpParams
from worker.plugins import Model, NoParams
from worker.privacy.accounting import Budget
from worker.testing import toy_table, toy_work
from worker.training import engine
from worker.training.engine import choose
from worker.training.engines import ENGINES
from worker.training.initial import build
from worker.training.losses import per_record, per_record_numpy
from worker.training.opacus_trainer import OpacusEngine, per_record_gradients

pytestmark = pytest.mark.filterwarnings("ignore:Full backward hook is firing")

METHODS = [DP_SGD, ADAPTIVE, SOFT]
NO_NOISE = Budget(1.0, 1e-5, "rdp", 0.0, 0.0, 0.0)


def batch_of(work, rows):
    return torch.from_numpy(work.train.features[:rows]), torch.from_numpy(work.train.target[:rows])


def naive_gradients(module, work, features, target):
    """One record at a time, by plain autograd: `[records]` lists of gradients."""
    each = []
    for x, y in zip(features, target, strict=True):
        loss = per_record(module(x[None]), y[None], work.task).sum()
        each.append(torch.autograd.grad(loss, list(module.parameters())))
    return each


def flat(tensors):
    return torch.cat([t.reshape(-1) for t in tensors]).detach().double().numpy()


shapes = st.fixed_dictionaries(
    {
        "hidden": st.lists(st.integers(1, 9), max_size=3),
        "activation": st.sampled_from(["relu", "tanh", "gelu"]),
        "rows": st.integers(1, 20),
        "task": st.sampled_from(["binary", "multiclass", "regression"]),
        "seed": st.integers(0, 1000),
        "threshold": st.sampled_from([0.05, 0.5, 5.0]),
    }
)


@settings(max_examples=25, deadline=None)
@given(shapes)
def test_norms_and_scaled_sums_equal_a_loop_over_records(shape):
    table = toy_table(60, task=shape["task"], classes=3 if shape["task"] == "multiclass" else 2)
    params = MlpParams(hidden=shape["hidden"], activation=shape["activation"])
    for method, chosen in [
        (DP_SGD, DP_SGD.Params(clip=shape["threshold"])),
        (ADAPTIVE, ADAPTIVE.Params(threshold=shape["threshold"])),
        (SOFT, SOFT.Params(threshold=shape["threshold"])),
    ]:
        work = toy_work(method, chosen, table=table, seed=shape["seed"], model_params=params, spent=NO_NOISE)
        features, target = batch_of(work, shape["rows"])
        each = naive_gradients(build(work), work, features, target)
        norms = np.array([np.linalg.norm(flat(g)) for g in each])
        scale = np.asarray(method.scale(norms, method.start(chosen), chosen))
        expected = sum(s * flat(g) for s, g in zip(scale, each, strict=True))
        for way in ("ghost", "hooks"):
            ours = per_record_gradients(build(work), work, way)
            losses, found = ours.norms(features, target)
            assert found.numpy() == pytest.approx(norms, rel=1e-5, abs=1e-6)
            assert losses.numpy() == pytest.approx(
                per_record(build(work)(features), target, work.task).detach().numpy(), rel=1e-5
            )
            total = flat(ours.sum(method.scale(found, method.start(chosen), chosen)))
            assert np.linalg.norm(total - expected) <= 1e-5 * max(np.linalg.norm(expected), 1e-3)


@pytest.mark.parametrize("way", ["ghost", "hooks"])
def test_one_clipped_sum_equals_that_of_the_dp_optimizer(way):
    work = toy_work(DP_SGD, DP_SGD.Params(clip=0.7), spent=NO_NOISE, model_params=MlpParams(hidden=[16, 8]))
    features, target = batch_of(work, 50)
    reference = GradSampleModule(build(work), loss_reduction="sum")
    optimizer = DPOptimizer(
        torch.optim.SGD(reference.parameters(), lr=0.1), noise_multiplier=0.0, max_grad_norm=0.7, expected_batch_size=50
    )
    per_record(reference(features), target, work.task).sum().backward()
    optimizer.clip_and_accumulate()
    expected = flat([p.summed_grad for p in reference.parameters()])
    ours = per_record_gradients(build(work), work, way)
    _, norms = ours.norms(features, target)
    assert (norms > 0.7).any()
    assert (norms < 0.7).any()
    total = flat(ours.sum(DP_SGD.scale(norms, {"threshold": 0.7}, work.method_params)))
    # Opacus divides by norm + 1e-6.
    assert np.linalg.norm(total - expected) <= 1e-5 * np.linalg.norm(expected)


class Images(Model[NoParams]):
    """A convolution and a normalisation: layers without a formula for ghost norms."""

    name, title, summary, Params = "images", "Images", "For this test.", NoParams

    def build(self, params, inputs, outputs, domain):
        return torch.nn.Sequential(
            torch.nn.Unflatten(1, (1, inputs)),
            torch.nn.Conv1d(1, 4, 3, padding=1),
            torch.nn.GroupNorm(2, 4),
            torch.nn.ReLU(),
            torch.nn.Flatten(),
            torch.nn.Linear(4 * inputs, outputs),
        )


def test_layers_without_ghost_norms_are_trained_by_hooks_with_the_same_result_as_a_loop():
    work = toy_work(DP_SGD, DP_SGD.Params(clip=0.7), model=Images(), spent=NO_NOISE)
    ours = per_record_gradients(build(work), work, "auto")
    assert type(ours).__name__ == "_Hooks"
    features, target = batch_of(work, 9)
    each = naive_gradients(build(work), work, features, target)
    _, norms = ours.norms(features, target)
    assert norms.numpy() == pytest.approx([np.linalg.norm(flat(g)) for g in each], rel=1e-5)
    total = flat(ours.sum(torch.ones(9)))
    assert total == pytest.approx(sum(flat(g) for g in each), rel=1e-4, abs=1e-6)
    (trained,) = OpacusEngine().train([work])
    assert trained.diverged is None


@pytest.mark.parametrize("method", METHODS, ids=lambda m: m.name)
@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_ghost_and_hooks_train_the_same_model(method, optimizer):
    work = toy_work(method, optimizer=optimizer, momentum=0.5, weight_decay=0.01, learning_rate=0.05)
    (ghost,), (hooks,) = (list(OpacusEngine(way).train([work])) for way in ("ghost", "hooks"))
    assert ghost.logits(work.validation) == pytest.approx(hooks.logits(work.validation), rel=1e-4, abs=1e-5)


def weights_after(work):
    """All weights after training, through the engine's public face: a linear model's logits at the unit vectors."""
    (trained,) = OpacusEngine().train([work])
    basis = np.concatenate([np.zeros((1, work.inputs)), np.eye(work.inputs)]).astype(np.float32)
    none, rows = np.zeros((len(basis), 0), np.int32), np.arange(len(basis))
    logits = trained.logits(engine.Examples(rows, basis, basis, none, rows)).astype(np.float64)
    return np.concatenate([logits[:1], logits[1:] - logits[:1]]).ravel()


@pytest.mark.parametrize("method", METHODS, ids=lambda m: m.name)
def test_noise_seen_from_outside_is_sigma_times_the_sensitivity(method):
    """Weights with noise less weights without, after one step of rate 1: noise / expected batch size."""
    drawn = []
    sigma, threshold = 3.0, 0.5
    params = method.Params(clip=threshold) if method is DP_SGD else method.Params(threshold=threshold)
    for run in range(60):
        common = {"method_params": params, "run_hash": f"run {run}", "model_params": MlpParams(hidden=[]),
                  "epochs": 1, "batch_size": 180, "learning_rate": 1.0}  # fmt: skip
        noisy = toy_work(method, spent=Budget(1, 1e-5, "rdp", sigma, sigma, 0.1), **common)
        silent = toy_work(method, spent=replace(NO_NOISE, statistic_std=0.1), **common)
        assert noisy.schedule.steps == 1
        drawn.append((weights_after(noisy) - weights_after(silent)) * noisy.expected_batch)
    noise = np.concatenate(drawn)
    low, high = (stats.chi2.ppf(p, len(noise)) for p in (1e-4, 1 - 1e-4))
    assert low < np.sum((noise / (sigma * threshold)) ** 2) < high
    assert stats.kstest(noise / (sigma * threshold), "norm").pvalue > 1e-3
    across_runs = np.corrcoef(np.stack(drawn)[:, :10].T)
    assert np.abs(across_runs - np.eye(10)).max() < 0.65


def test_statistic_noise_seen_from_outside_moves_the_threshold_as_stated():
    """With the share below known, log threshold moves by -eta (noise / batch); 150 one-step runs show its deviation."""
    params = ADAPTIVE.Params(threshold=1.0, threshold_rate=1.0, quantile=0.5, threshold_cap=1e6, threshold_floor=1e-6)
    table = toy_table(40)
    moves = []
    for run in range(150):
        spent = Budget(1, 1e-5, "rdp", 1.0, 1.0, 6.0)
        work = toy_work(ADAPTIVE, params, table=table, run_hash=str(run), spent=spent, epochs=1, batch_size=24)
        quiet = replace(work, budget=replace(spent, statistic_std=0.0))
        (noisy,), (silent,) = (list(OpacusEngine().train([w])) for w in (work, quiet))
        after = [next(s for s in t.history if s.name == "threshold").values[-1] for t in (noisy, silent)]
        moves.append(-np.log(after[0] / after[1]) * work.expected_batch)
    low, high = (stats.chi2.ppf(p, 150) for p in (1e-4, 1 - 1e-4))
    assert low < np.sum((np.array(moves) / 6.0) ** 2) < high


def test_a_threshold_by_hand():
    """Two steps of algorithm 1 of Andrew et al. on a full batch without noise."""
    params = ADAPTIVE.Params(threshold=0.4, quantile=0.9, threshold_rate=0.3)
    work = toy_work(ADAPTIVE, params, spent=NO_NOISE, epochs=2, batch_size=180, learning_rate=0.2)
    assert work.schedule.sampling_rate == 1
    module = build(work)
    threshold, expected = 0.4, [0.4]
    features, target = torch.from_numpy(work.train.features), torch.from_numpy(work.train.target)
    for _ in range(2):
        each = naive_gradients(module, work, features, target)
        norms = np.array([np.linalg.norm(flat(g)) for g in each])
        scale = np.minimum(1, threshold / norms)
        with torch.no_grad():
            for index, parameter in enumerate(module.parameters()):
                parameter -= 0.2 / 180 * sum(float(s) * g[index] for s, g in zip(scale, each, strict=True))
        threshold *= np.exp(-0.3 * (np.mean(norms <= threshold) - 0.9))
        expected.append(threshold)
    (trained,) = OpacusEngine().train([work])
    history = next(s for s in trained.history if s.name == "threshold")
    assert history.values == pytest.approx(expected, rel=1e-5)
    with torch.no_grad():
        logits = module(torch.from_numpy(work.validation.features)).numpy()
    assert trained.logits(work.validation) == pytest.approx(logits, rel=1e-4, abs=1e-5)


@pytest.mark.parametrize("method", [SGD, *METHODS], ids=lambda m: m.name)
def test_empty_batches_are_steps_like_any_other(method):
    # So small a batch leaves the count of records no privacy unless it is very noisy.
    params = method.Params(count_noise=10) if method in (ADAPTIVE, SOFT) else None
    work = toy_work(method, params, table=toy_table(40), batch_size=1, epochs=3)
    sizes = [len(work.streams.batch(s, len(work.train), work.schedule.sampling_rate)) for s in range(72)]
    assert 0 in sizes
    assert max(sizes) > 1
    (trained,) = OpacusEngine().train([work])
    assert trained.diverged is None
    assert len(next(s for s in trained.history if s.name == "train_loss").values) == 3


def test_non_private_training_equals_a_plain_loop():
    work = toy_work(SGD, learning_rate=0.3, momentum=0.9, weight_decay=0.01)
    module = build(work)
    optimizer = torch.optim.SGD(module.parameters(), lr=0.3, momentum=0.9, weight_decay=0.01)
    for step in range(work.schedule.steps):
        rows = work.streams.batch(step, len(work.train), work.schedule.sampling_rate)
        optimizer.zero_grad()
        logits = module(torch.from_numpy(work.train.features[rows]))
        loss = per_record(logits, torch.from_numpy(work.train.target[rows]), work.task).sum()
        (loss / work.expected_batch).backward()
        optimizer.step()
    (trained,) = OpacusEngine().train([work])
    with torch.no_grad():
        expected = module(torch.from_numpy(work.validation.features)).numpy()
    assert trained.logits(work.validation) == pytest.approx(expected, rel=1e-5, abs=1e-6)


def test_initial_weights_are_those_of_the_seed_and_uniform():
    one = toy_work(SGD, seed=1, model_params=MlpParams(hidden=[300]))
    other = toy_work(DP_SGD, seed=1, run_hash="other", model_params=MlpParams(hidden=[300]))
    assert np.array_equal(flat(build(one).parameters()), flat(build(other).parameters()))
    assert not np.array_equal(flat(build(one).parameters()), flat(build(replace_seed(one, 2)).parameters()))
    second = list(build(one).parameters())[2]
    assert stats.kstest(second.detach().numpy().ravel(), stats.uniform(-(300**-0.5), 2 * 300**-0.5).cdf).pvalue > 1e-3


def replace_seed(work, seed):
    return replace(work, streams=type(work.streams).of(seed, "toy"))


@pytest.mark.parametrize("method", [SGD, DP_SGD], ids=lambda m: m.name)
def test_divergence_is_a_result_with_a_message(method):
    table = toy_table(200, task="regression")
    chosen = None if method is SGD else DP_SGD.Params(clip=1e4)
    deep = MlpParams(hidden=[16] * 6)
    work = toy_work(
        method, chosen, table=table, model_params=deep, learning_rate=100.0, epochs=10, batch_size=40, momentum=0.9
    )
    (trained,) = OpacusEngine().train([work])
    assert "in epoch" in trained.diverged
    assert "learning rate" in trained.diverged


def test_history_and_progress(monkeypatch):
    monkeypatch.setattr(engine, "PROGRESS_SECONDS", 0)
    seen = []
    work = toy_work(SOFT, epochs=3)
    (trained,) = OpacusEngine().train([work], engine.Watch(lambda key, share: seen.append((key, share))))
    steps = work.schedule.steps
    assert seen == [(work.key, pytest.approx(step / steps)) for step in range(1, steps + 1)]
    history = {s.name: s for s in trained.history}
    assert history["threshold"].steps == [0, 1, 2, 3]
    assert history["validation_accuracy"].steps == [1, 2, 3]
    assert all(0 <= v <= 1 for v in history["share_clipped"].values + history["gradient_kept"].values)
    logits = trained.logits(work.validation)
    loss = per_record_numpy(logits, work.validation.target, work.task).mean()
    assert history["validation_loss"].values[-1] == pytest.approx(loss)


def test_what_progress_raises_ends_the_training(monkeypatch):
    monkeypatch.setattr(engine, "PROGRESS_SECONDS", 0)

    class Cancelled(Exception):
        pass

    def cancel(key, share):
        raise Cancelled

    with pytest.raises(Cancelled):
        list(OpacusEngine().train([toy_work(SGD)], engine.Watch(cancel)))


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.01, 5), st.floats(0.1, 1e4), st.integers(0, 19))
def test_removing_one_record_changes_the_sum_by_no_more_than_the_sensitivity(seed, threshold, size, left_out):
    """Searched over data of any size and any record, through both ways of summing."""
    random = np.random.default_rng(seed)
    features = torch.from_numpy((size * random.normal(size=(20, 5))).astype(np.float32))
    target = torch.from_numpy(random.integers(0, 2, 20))
    kept = torch.arange(20) != left_out
    for method in METHODS:
        params = method.Params(clip=threshold) if method is DP_SGD else method.Params(threshold=threshold)
        work = replace(toy_work(method, params, table=toy_table(40), seed=seed % 7, spent=NO_NOISE), inputs=5)
        sums = []
        for rows in (torch.ones(20, dtype=torch.bool), kept):
            ours = per_record_gradients(build(work), work, "ghost")
            _, norms = ours.norms(features[rows], target[rows])
            sums.append(flat(ours.sum(method.scale(norms, method.start(params), params))))
        change = np.linalg.norm(sums[0] - sums[1])
        assert change <= method.sensitivity(method.start(params), params) * (1 + 1e-5) + 1e-6 * np.abs(sums[0]).max()


def test_an_engine_is_found_for_every_run():
    assert choose(toy_work(SGD), ENGINES).refuses(toy_work(SGD)) is None
    assert choose(toy_work(SGD, model=Images()), ENGINES).name == "opacus"
