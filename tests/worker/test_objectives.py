"""Methods with an objective of their own, against what their papers' formulas say, written out record by record."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.metrics.pairwise import rbf_kernel
from torch.nn import functional

from worker.datasets._prepared import Data
from worker.datasets._table import TABULAR, Domain
from worker.methods import (
    adv_reg,
    ccl,
    dp_pgd,
    dp_sgd,
    dropout,
    early_stopping,
    l1,
    l2,
    label_smoothing,
    mixup_mmd,
    past,
    pgd,
    relax_loss,
    sgd,
    trades,
)
from worker.registry import registry
from worker.testing import toy_table, toy_work
from worker.training import engine
from worker.training.adversary import Ball, ascend
from worker.training.checkpoints import Checkpoints
from worker.training.engine import Watch, choose
from worker.training.engines import ENGINES
from worker.training.initial import build
from worker.training.objective import EpochEnd, Step
from worker.training.opacus_trainer import OpacusEngine, _Hooks

WITH_OBJECTIVE = [
    one.plugin for one in registry().all("method") if one.plugin.objective(one.plugin.Params()) is not None
]


def step_of(
    module, features, target, *, number=0, per_epoch=10, epochs=2, task="multiclass", domain=TABULAR, inference=None
):
    return Step(
        module=module,
        parameters=list(module.parameters()),
        features=features,
        target=target,
        task="multiclass",
        domain=TABULAR,
        number=number,
        per_epoch=10,
        epochs=epochs,
        members=lambda count: (features[:count], target[:count]),
        inference=lambda count: inference,
    )


@pytest.fixture
def network():
    torch.manual_seed(3)
    module = torch.nn.Sequential(torch.nn.Linear(5, 6), torch.nn.Tanh(), torch.nn.Linear(6, 3)).double()
    return module, torch.randn(12, 5, dtype=torch.float64), torch.randint(0, 3, (12,))


def probabilities(module, features):
    with torch.no_grad():
        return module(features).softmax(dim=1).numpy()


def test_every_objective_trains_and_says_which_engine_did():
    assert len(WITH_OBJECTIVE) >= 13
    for method in WITH_OBJECTIVE:
        work = toy_work(method, table=toy_table(300, task="multiclass", classes=3), epochs=2)
        chosen = choose(work, ENGINES)
        (trained,) = chosen.train([work])
        assert trained.diverged is None, method.name
        assert trained.engine == ("opacus" if method.private else "torch"), method.name


@pytest.mark.parametrize("task", ["binary", "regression"])
def test_objectives_know_every_task(task):
    for method in WITH_OBJECTIVE:
        work = toy_work(method, table=toy_table(200, task=task), epochs=1, learning_rate=0.01)
        (trained,) = OpacusEngine().train([work])
        assert trained.diverged is None, (method.name, trained.diverged)


@pytest.mark.parametrize("batch", [1, 2])
def test_an_empty_batch_is_a_step_like_any_other(batch):
    # An expected batch of one or two rows: many batches are empty, some have one row of one class.
    for method in WITH_OBJECTIVE:
        work = toy_work(method, table=toy_table(80, task="multiclass", classes=3), epochs=1, batch_size=batch)
        sizes = [
            len(work.streams.batch(s, len(work.train), work.schedule.sampling_rate)) for s in range(work.schedule.steps)
        ]
        assert min(sizes) == 0
        (trained,) = OpacusEngine().train([work])
        assert trained.diverged is None, (method.name, trained.diverged)


@pytest.mark.parametrize("method", WITH_OBJECTIVE, ids=lambda m: m.name)
def test_a_resumed_run_ends_with_the_same_bits(tmp_path, monkeypatch, method):
    monkeypatch.setattr(engine, "PROGRESS_SECONDS", 0)
    params = method.Params(tuning_epochs=2, sample=40) if method.name == "past" else method.Params()
    table = toy_table(300, task="multiclass", classes=3)
    work = toy_work(method, params, table=table, epochs=4, batch_size=20, optimizer="adam", learning_rate=0.01)
    (whole,) = OpacusEngine().train([work])

    class Killed(Exception):
        pass

    def kill(key, share):
        if share > 0.6:
            raise Killed

    with pytest.raises(Killed):
        list(OpacusEngine().train([work], Watch(kill, Checkpoints(tmp_path, seconds=0))))
    kept = Checkpoints(tmp_path).load(work.key, whole.engine)
    assert 0 < kept.step < work.schedule.steps
    (resumed,) = OpacusEngine().train([work], Watch(None, Checkpoints(tmp_path)))
    assert np.array_equal(resumed.logits(work.train), whole.logits(work.train))
    assert resumed.history == whole.history


@pytest.mark.parametrize(
    ("method", "params", "penalty"),
    [
        (l1.PLUGIN, l1.L1Params(strength=0.01), lambda w: 0.01 * np.sign(w)),
        (l2.PLUGIN, l2.L2Params(strength=0.05), lambda w: 0.1 * w),
        (sgd.PLUGIN, None, lambda w: 0 * w),
    ],
    ids=["l1", "l2", "none"],
)
def test_penalised_training_is_gradient_descent_on_the_penalised_loss(method, params, penalty):
    """A logistic regression written out in numpy, float64, on the same batches."""
    work = toy_work(method, params, model_params=None, epochs=3, batch_size=32)
    work = toy_work(
        method, params, model_params=work.model.Params(hidden=[]), epochs=3, batch_size=32, learning_rate=0.2
    )
    (trained,) = OpacusEngine().train([work])
    linear = build(work)[0]
    w, b = linear.weight.detach().numpy().astype(np.float64), linear.bias.detach().numpy().astype(np.float64)
    for number in range(work.schedule.steps):
        rows = work.streams.batch(number, len(work.train), work.schedule.sampling_rate)
        x, y = work.train.features[rows].astype(np.float64), work.train.target[rows]
        z = x @ w.T + b
        p = np.exp(z - z.max(1, keepdims=True))
        p /= p.sum(1, keepdims=True)
        error = p - np.eye(2)[y]
        w, b = (
            w - 0.2 * (error.T @ x / work.expected_batch + penalty(w)),
            b - 0.2 * (error.sum(0) / work.expected_batch + penalty(b)),
        )
    expected = work.train.features @ w.T + b
    assert np.abs(trained.logits(work.train) - expected).max() < 2e-4


def test_label_smoothing_is_cross_entropy_to_the_smoothed_label(network):
    module, x, y = network
    found = label_smoothing.PLUGIN.objective(label_smoothing.LabelSmoothingParams(smoothing=0.2)).losses(
        step_of(module, x, y)
    )
    for p, label, loss in zip(probabilities(module, x), y.tolist(), found.tolist(), strict=True):
        wanted = -sum((0.8 * (k == label) + 0.2 / 3) * math.log(p[k]) for k in range(3))
        assert loss == pytest.approx(wanted, rel=1e-12)


@pytest.mark.parametrize("convex", [0.0, 0.3, 1.0])
def test_ccl_is_the_published_mixture(network, convex):
    module, x, y = network
    for concave, curve in (("exponential", math.exp), ("quadratic", lambda p: p + p * p / 2)):
        params = ccl.CclParams(convex=convex, concave=concave, scale=2.0)
        found = ccl.PLUGIN.objective(params).losses(step_of(module, x, y))
        for p, label, loss in zip(probabilities(module, x), y.tolist(), found.tolist(), strict=True):
            assert loss == pytest.approx(2 * (-convex * math.log(p[label]) - (1 - convex) * curve(p[label])), rel=1e-12)


@pytest.mark.parametrize(("level", "number"), [(0.1, 0), (5.0, 0), (0.1, 10), (5.0, 10)])
def test_relax_loss_follows_its_algorithm(network, level, number):
    """Record by record; also the gradient, by finite differences of the loss with soft targets that move along."""
    module, x, y = network
    params = relax_loss.RelaxLossParams(level=level)

    def direct():
        p = probabilities(module, x)
        entropies = [-math.log(row[label]) for row, label in zip(p, y.tolist(), strict=True)]
        mean = sum(entropies) / len(entropies)
        if number == 0:
            return abs(mean - level)
        if mean > level:
            return mean
        total = 0.0
        for row, label, entropy in zip(p, y.tolist(), entropies, strict=True):
            flat = [row[label] if k == label else (1 - row[label]) / 2 for k in range(3)]
            soft = -sum(t * math.log(q) for t, q in zip(flat, row, strict=True))
            total += (0.0 if int(np.argmax(row)) == label else soft) - entropy
        return total / len(entropies)

    loss = relax_loss.PLUGIN.objective(params).losses(step_of(module, x, y, number=number)).mean()
    assert loss.item() == pytest.approx(direct(), rel=1e-10)
    weight = module[0].weight
    (gradient,) = torch.autograd.grad(loss, weight)
    for place in [(0, 0), (3, 2)]:
        with torch.no_grad():
            before = weight[place].item()
            weight[place] = before + 1e-6
            above = direct()
            weight[place] = before - 1e-6
            below = direct()
            weight[place] = before
        assert gradient[place].item() == pytest.approx((above - below) / 2e-6, rel=1e-4, abs=1e-7)


def test_dropout_leaves_out_that_share_and_predicts_with_all():
    module = torch.nn.Sequential(torch.nn.Linear(4, 1000), torch.nn.ReLU(), torch.nn.Linear(1000, 2))
    kept = []
    dropout.PLUGIN.objective(dropout.DropoutParams(rate=0.3)).prepare(module)
    module[2].register_forward_pre_hook(lambda layer, inputs: kept.append(inputs[0].detach()))
    x = torch.ones(8, 4)
    with torch.no_grad():
        module[0].weight.fill_(1.0)
        module(x)
        assert kept[-1].eq(0).float().mean().item() == pytest.approx(0.3, abs=0.03)
        values = kept[-1][kept[-1] != 0]
        assert values.min() > 4 / 0.7 - 1
        module.eval()
        module(x)
        assert not kept[-1].eq(0).any()


def test_early_stopping_keeps_the_best_epoch():
    objective = early_stopping.PLUGIN.objective(early_stopping.EarlyStoppingParams(patience=2))
    module = torch.nn.Linear(1, 1)
    losses, ended = [3.0, 2.0, 2.5, 2.0, 1.0], []
    for done, loss in enumerate(losses, 1):
        with torch.no_grad():
            module.weight.fill_(float(done))
        ended.append(objective.epoch_ended(EpochEnd(module, done, 10, lambda loss=loss: loss)))
        if ended[-1]:
            break
    assert ended == [False, False, False, True], "two epochs without a smaller loss; an equal one is not smaller"
    assert module.weight.item() == 2.0
    assert objective.history() == {"epoch_kept": 2.0}


def test_early_stopping_ends_a_run_and_its_history():
    params = early_stopping.EarlyStoppingParams(patience=1)
    work = toy_work(early_stopping.PLUGIN, params, table=toy_table(120), epochs=60, learning_rate=2.0, batch_size=8)
    (trained,) = OpacusEngine().train([work])
    (losses,) = (s.values for s in trained.history if s.name == "validation_loss")
    assert len(losses) < 60
    (kept,) = (s.values for s in trained.history if s.name == "epoch_kept")
    assert kept[-1] == len(losses) - 1
    assert trained.steps == len(losses) * work.schedule.steps_per_epoch < work.schedule.steps


def test_mmd_is_that_of_scikit_learns_kernels():
    random = np.random.default_rng(0)
    a, b = random.random((7, 3)), random.random((9, 3)) + 0.3
    rows = np.concatenate([a, b])
    squares = [((x - y) ** 2).sum() for i, x in enumerate(rows) for j, y in enumerate(rows) if i != j]
    width = sum(squares) / len(squares)
    wanted = 0.0
    for factor in mixup_mmd.WIDTHS:
        gamma = 1 / (width * factor)
        wanted += rbf_kernel(a, a, gamma).mean() + rbf_kernel(b, b, gamma).mean() - 2 * rbf_kernel(a, b, gamma).mean()
    assert mixup_mmd.mmd(torch.tensor(a), torch.tensor(b)).item() == pytest.approx(wanted, rel=1e-10)


def test_adv_reg_counts_what_the_attack_says(network):
    module, x, y = network
    module, x = module.float(), x.float()
    objective = adv_reg.PLUGIN.objective(adv_reg.AdvRegParams(strength=2.0, attack_steps=3, attack_rate=0.01))
    before = functional.cross_entropy(module(x), y, reduction="none")
    found = objective.losses(step_of(module, x, y, inference=(x + 1, y)))
    with torch.no_grad():
        member = torch.sigmoid(objective.attack(module(x).softmax(dim=1), torch.eye(3)[y]))
    assert torch.allclose(found, before + 2 * torch.log(member), atol=1e-6)


def test_adv_regs_attack_learns_to_tell_members(network):
    module, x, y = network
    module, x = module.float(), x.float()
    objective = adv_reg.PLUGIN.objective(adv_reg.AdvRegParams(attack_steps=100, attack_rate=0.01))
    objective.losses(step_of(module, x, y, inference=(-3 * x, y)))
    with torch.no_grad():
        inside, outside = (objective.attack(module(rows).softmax(1), torch.eye(3)[y]) for rows in (x, -3 * x))
    assert (inside > 0).float().mean() + (outside < 0).float().mean() > 1.5


def test_pasts_weights_are_those_of_a_double_loop(network):
    module, x, y = network
    others = x.flip(0) * 1.5
    step = step_of(module, x, y, inference=(others, y), number=5, epochs=1)
    means = []
    for rows in (x, others):
        means.append(sum(-math.log(p[k]) for p, k in zip(probabilities(module, rows), y.tolist(), strict=True)) / 12)
    assert past.loss_gap(step, 100).item() == pytest.approx(abs(means[0] - means[1]), rel=1e-10)
    gradients = list(torch.autograd.grad(past.loss_gap(step, 100), step.parameters))
    found = past.sensitivity(gradients, past.modules(module, step.parameters))
    for layer in (0, 1):
        flat = np.concatenate([g.numpy().ravel() for g in gradients[2 * layer : 2 * layer + 2]])
        naive = []
        for i in range(len(flat)):
            total = 0.0
            for j in range(len(flat)):
                total += abs(flat[j])
            naive.append(len(flat) * abs(flat[i]) / total)
        mine = np.concatenate([w.numpy().ravel() for w in found[2 * layer : 2 * layer + 2]])
        assert np.allclose(mine, naive, rtol=1e-10)
        assert mine.sum() == pytest.approx(len(flat)), "what plain L1 spends"
    objective = past.PLUGIN.objective(past.PastParams(strength=0.3, focus=1.7, tuning_epochs=1))
    penalty = objective.penalty(step)
    pairs = list(zip(found, step.parameters, strict=True))
    wanted = 0.3 * sum((w.numpy() ** 1.7 * abs(p.detach().numpy())).sum() for w, p in pairs)
    assert penalty.item() == pytest.approx(wanted, rel=1e-10)
    for (weight, p), gradient in zip(pairs, torch.autograd.grad(penalty, step.parameters), strict=True):
        assert torch.allclose(gradient, 0.3 * weight**1.7 * p.detach().sign()), "gamma is not differentiated"


def test_pasts_exponent_of_nought_is_plain_l1():
    both = []
    for method, params in (
        (l1.PLUGIN, l1.L1Params(strength=0.003)),
        (past.PLUGIN, past.PastParams(strength=0.003, focus=0, tuning_epochs=10)),
    ):
        work = toy_work(method, params, epochs=3)
        (trained,) = OpacusEngine().train([work])
        both.append(trained.logits(work.train))
    assert np.abs(both[0] - both[1]).max() < 1e-5


def test_past_is_plain_before_it_tunes_and_recomputes_when_asked(monkeypatch):
    calls = []
    gap = past.loss_gap
    monkeypatch.setattr(past, "loss_gap", lambda step, sample: calls.append(step.number) or gap(step, sample))
    for recompute, wanted in (("once", 1), ("epoch", 2), ("step", None)):
        calls.clear()
        work = toy_work(past.PLUGIN, past.PastParams(tuning_epochs=2, recompute=recompute, strength=0.01), epochs=4)
        per_epoch = work.schedule.steps_per_epoch
        list(OpacusEngine().train([work]))
        assert len(calls) == (wanted or 2 * per_epoch)
        assert min(calls) == 2 * per_epoch


def test_a_module_whose_gap_has_no_gradient_is_penalised_as_by_l1():
    zero, some = torch.zeros(2, 2), torch.ones(2)
    assert all(torch.equal(w, torch.ones_like(w)) for w in past.sensitivity([zero, some], [[0], [1]]))


@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize("bounds", [None, (0.0, 1.0)])
def test_perturbed_inputs_stay_in_their_ball_and_make_it_worse(network, norm, bounds):
    module, x, y = network
    x = x.clamp(0, 1) if bounds else x
    ball = Ball(norm, 0.3, bounds)
    losses = lambda moved: functional.cross_entropy(module(moved), y, reduction="none")  # noqa: E731
    for start in (None, ball.random(x)):
        found = ascend(losses, x, ball, steps=20, step_size=0.05, start=start)
        change = (found - x).abs().amax(1) if norm == "linf" else (found - x).norm(dim=1)
        assert change.max() <= 0.3 * (1 + 1e-9)
        if bounds:
            assert found.min() >= 0
            assert found.max() <= 1
        assert (losses(found) >= losses(x) - 1e-9).all()
        assert losses(found).sum() > losses(x).sum() + 0.1


def test_the_worst_case_of_a_linear_model_is_found_exactly():
    torch.manual_seed(0)
    w = torch.randn(7, dtype=torch.float64)
    x = torch.randn(5, 7, dtype=torch.float64)
    for norm, dual in (("linf", w.abs().sum()), ("l2", w.norm())):
        found = ascend(lambda moved: moved @ w, x, Ball(norm, 0.2), steps=10, step_size=0.05)
        assert torch.allclose(found @ w, x @ w + 0.2 * dual)


def test_a_records_perturbation_does_not_depend_on_the_others(network):
    module, x, y = network
    losses = lambda label: lambda moved: functional.cross_entropy(module(moved), label, reduction="none")  # noqa: E731
    ball = Ball("l2", 0.5)
    together = ascend(losses(y), x, ball, steps=5, step_size=0.2)
    alone = torch.cat([ascend(losses(y[i : i + 1]), x[i : i + 1], ball, steps=5, step_size=0.2) for i in range(len(x))])
    assert torch.allclose(together, alone)


def test_random_starts_fill_the_ball():
    around = torch.zeros(20_000, 3, dtype=torch.float64)
    lengths = Ball("l2", 2.0).random(around).norm(dim=1)
    assert lengths.max() <= 2
    # The share of a ball's volume within half its radius is 2^-3.
    assert (lengths < 1).double().mean().item() == pytest.approx(0.125, abs=0.01)
    spread = Ball("linf", 2.0).random(around)
    assert spread.abs().max() <= 2
    assert spread.std().item() == pytest.approx(4 / math.sqrt(12), rel=0.02)


def test_trades_is_the_clean_loss_and_the_divergence(network, monkeypatch):
    module, x, y = network
    moved, sought = x + 0.1, []
    monkeypatch.setattr(trades, "ascend", lambda losses, *args, **kwargs: sought.append(losses(moved)) or moved)
    found = trades.PLUGIN.objective(trades.TradesParams(strength=3.0)).losses(step_of(module, x, y))
    for i, (p, q) in enumerate(zip(probabilities(module, x), probabilities(module, moved), strict=True)):
        divergence = sum(a * math.log(a / b) for a, b in zip(p, q, strict=True))
        assert sought[0][i].item() == pytest.approx(divergence, rel=1e-9)
        assert found[i].item() == pytest.approx(-math.log(p[y[i]]) + 3 * divergence, rel=1e-9)


def test_trades_random_start_lets_it_find_what_changes_the_prediction(network):
    module, x, y = network
    torch.manual_seed(0)
    params = trades.TradesParams(perturbation=0.2, steps=10, strength=1.0)
    found = trades.PLUGIN.objective(params).losses(step_of(module, x, y))
    assert (found - functional.cross_entropy(module(x), y, reduction="none") > 1e-4).all()


def test_a_perturbation_of_nought_is_plain_training():
    plain = toy_work(sgd.PLUGIN, epochs=2)
    (wanted,) = OpacusEngine().train([plain])
    for method in (pgd, trades):
        params = type(method.PLUGIN).Params(perturbation=0)
        work = toy_work(method.PLUGIN, params, epochs=2)
        (trained,) = OpacusEngine().train([work])
        assert np.array_equal(trained.logits(work.train), wanted.logits(plain.train))


@pytest.mark.parametrize("way", ["ghost", "hooks"])
def test_private_adversarial_training_clips_gradients_at_the_perturbed_inputs(way):
    """Without noise, one step: the weights move along the clipped gradients of a naive loop."""
    table = toy_table(300, task="multiclass", classes=3)
    params = dp_pgd.DpPgdParams(epsilon=1000.0, clip=0.5, perturbation=0.3, steps=3, random_start=False)
    work = toy_work(dp_pgd.PLUGIN, params, table=table, epochs=1, batch_size=180, learning_rate=1.0)
    work = replace(work, budget=replace(work.budget, gradient_multiplier=0.0))
    (trained,) = OpacusEngine(way).train([work])
    module = build(work).double()
    for number in range(work.schedule.steps):
        rows = work.streams.batch(number, len(work.train), work.schedule.sampling_rate)
        total = [torch.zeros_like(p) for p in module.parameters()]
        for row in rows:
            x = torch.from_numpy(work.train.features[row : row + 1]).double()
            y = torch.from_numpy(work.train.target[row : row + 1])
            moved = x.clone()
            for _ in range(3):
                here = moved.clone().requires_grad_(True)
                (gradient,) = torch.autograd.grad(functional.cross_entropy(module(here), y), here)
                moved = (moved + 0.25 * gradient.sign()).clamp(x - 0.3, x + 0.3)
            found = torch.autograd.grad(functional.cross_entropy(module(moved), y), list(module.parameters()))
            length = math.sqrt(sum(float(g.square().sum()) for g in found))
            for t, g in zip(total, found, strict=True):
                t += g * min(1.0, 0.5 / length)
        with torch.no_grad():
            for p, t in zip(module.parameters(), total, strict=True):
                p -= t / work.expected_batch
    expected = module(torch.from_numpy(work.train.features).double()).detach().numpy()
    assert np.abs(trained.logits(work.train) - expected).max() < 1e-3


def test_private_adversarial_training_spends_what_dp_sgd_spends():
    ours = toy_work(dp_pgd.PLUGIN, dp_pgd.DpPgdParams(epsilon=2.0), epochs=2)
    theirs = toy_work(dp_sgd.PLUGIN, dp_sgd.PLUGIN.Params(epsilon=2.0), epochs=2)
    assert ours.budget == theirs.budget


@pytest.mark.filterwarnings("ignore:Full backward hook")
def test_looking_for_inputs_leaves_no_gradients_per_record():
    work = toy_work(dp_sgd.PLUGIN)
    module = build(work)
    hooks = _Hooks(module, work)
    x, y = torch.from_numpy(work.train.features[:8]), torch.from_numpy(work.train.target[:8])
    module.train()
    _, before = hooks.norms(x, y)
    hooks.quietly(lambda: torch.autograd.grad(module(x.requires_grad_(True)).sum(), x)[0])
    _, after = hooks.norms(x.detach(), y)
    assert torch.equal(before, after)


@pytest.mark.parametrize("method", [m for m in WITH_OBJECTIVE if m.private], ids=lambda m: m.name)
def test_private_objectives_are_separable(method):
    objective = method.objective(method.Params())
    assert objective.separable
    assert type(objective).losses is type(objective).__mro__[-2].losses, "the engine uses its inputs alone"
    assert type(objective).penalty is type(objective).__mro__[-2].penalty


def test_the_inference_set_is_neither_trained_on_nor_attacked():
    data = Data.of(toy_table(501), 4)
    halved = data.with_inference_set(4)
    rows = np.concatenate([part.rows for part in halved.parts])
    assert sorted(rows) == list(range(501)), "every row is in one part"
    assert np.array_equal(halved.train.rows, data.train.rows)
    assert np.array_equal(halved.test.rows, data.test.rows)
    assert abs(len(halved.validation) - len(halved.inference)) <= 1
    assert np.array_equal(data.with_inference_set(4).inference.rows, halved.inference.rows)
    other = Data.of(toy_table(501), 5).with_inference_set(5)
    assert not np.array_equal(other.inference.rows, halved.inference.rows)


def test_bounded_features_stay_in_their_units():
    table = toy_table(100)
    bounded = replace(table, domain=Domain(bounds=(0.0, 1.0)))
    encoded = bounded.encode(bounded.split(0).train)
    assert np.shares_memory(encoded.numeric, table.numeric)
