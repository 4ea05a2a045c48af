"""Audits of training: the honest one passes, broken ones are caught. The broken ones exist in this file alone."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from backend.contracts.catalogue import MetricInfo
from worker.attacks._canaries import trained_by
from worker.attacks.many_run_audit import PLUGIN as MANY
from worker.attacks.one_run_audit import PLUGIN as ONE
from worker.attacks.one_run_audit import likelihood, sizes
from worker.attacks.step_audit import PLUGIN as STEP
from worker.catalogue import build_catalogue
from worker.datasets._prepared import Data
from worker.evaluate import Prepared, probed
from worker.methods.adaptive_dp_sgd import PLUGIN as ADAPTIVE
from worker.methods.dp_sgd import PLUGIN as DP_SGD
from worker.methods.sgd import PLUGIN as SGD
from worker.methods.soft_ada_clip import PLUGIN as SOFT
from worker.models.mlp import MlpParams
from worker.privacy.audit import LEVEL
from worker.testing import toy_table, toy_work
from worker.training import opacus_trainer
from worker.training.engine import Canaries, choose
from worker.training.engines import ENGINES
from worker.training.fleet.cpu import FleetEngine
from worker.training.fleet.stacked import StackedEngine
from worker.training.opacus_trainer import OpacusEngine
from worker.training.streams import Streams

TABLE = toy_table(2000)
GRADIENT = {"kind": "gradient", "guesses": 100}


def prepared(method=DP_SGD, epsilon=1.0, seed=0, **training):
    params = method.Params() if method is SGD else method.Params(epsilon=epsilon)
    training = {"epochs": 6, "batch_size": 64, **training}
    work = toy_work(method, params, table=TABLE, seed=seed, model_params=MlpParams(hidden=[32]), **training)
    data = Data.of(TABLE, seed)
    work = replace(work, train=data.train, validation=data.validation)
    return Prepared(SimpleNamespace(hash=lambda: f"{method.name}-{epsilon}-{seed}-{training}"), data, work)


def found(audit, one, trained=None, **params):
    """Measurements by the last part of their names; `trained` stands for the run's own model."""
    trained = trained or SimpleNamespace(engine="opacus")
    measured = probed(audit, params, one, trained)
    return {m.metric.removeprefix(f"{audit.name}_"): m for m in measured}


def run_of(one):
    (trained,) = choose(one.work, ENGINES).train([one.work])
    return trained


def test_what_is_measured_and_that_the_catalogue_says_so():
    bound = found(ONE, prepared(epsilon=8.0), **GRADIENT)
    assert set(bound) == {"epsilon", "correct", "guesses", "p_at_claim"}
    assert bound["epsilon"].low == bound["epsilon"].value
    assert bound["epsilon"].high is None
    assert bound["guesses"].value == 100
    catalogue = build_catalogue()
    for audit in (ONE, MANY):
        for what in bound:
            info = catalogue.metric(f"{audit.name}_{what}")
            assert isinstance(info, MetricInfo)
            assert info.kind in ("privacy", "attack")
        assert catalogue.metric(f"{audit.name}_auc") is None


def test_a_run_without_privacy_has_nothing_to_audit():
    assert found(ONE, prepared(SGD)) == {}


def test_an_audit_repeats_and_shares_no_draw_with_the_run():
    one = prepared(epsilon=8.0)
    assert found(ONE, one, **GRADIENT) == found(ONE, one, **GRADIENT)
    assert found(ONE, one, **GRADIENT) != found(ONE, prepared(epsilon=8.0, seed=1), **GRADIENT)


@pytest.mark.parametrize("method", [DP_SGD, ADAPTIVE, SOFT], ids=lambda m: m.name)
def test_a_gradient_canary_adds_one_sensitivity_where_it_is_drawn_and_nothing_else(method, monkeypatch):
    monkeypatch.setattr(opacus_trainer._Run, "_add_noise", lambda *_: None)
    work = prepared(method).work
    places = np.array([0, 5, 300, 385])
    canaries = Canaries(places, np.array([True, False, True, True]))
    list(OpacusEngine().train([replace(work, canaries=canaries)]))
    seen = np.stack(canaries.observed)
    expected = np.zeros(seen.shape)
    for step in range(work.schedule.steps):
        expected[step, work.streams.canary_batch(step, 4, work.schedule.sampling_rate)] = 1
    expected[:, 1] = 0
    assert expected.sum() > 10
    assert seen == pytest.approx(expected, abs=1e-4)
    assert seen.max() < 1 + 1e-4


def test_engines_that_take_no_canaries_leave_works_with_them_alone():
    work = replace(prepared().work, canaries=Canaries(np.arange(2), np.ones(2, bool)))
    assert choose(work, ENGINES).name == "fleet-cpu"
    stacked, opacus = StackedEngine(), OpacusEngine()
    assert choose(work, [stacked, opacus]) is opacus


def test_an_audit_trains_in_the_engine_of_the_run_and_where_that_takes_no_canaries_in_another():
    work = prepared().work
    seen = replace(work, canaries=Canaries(np.arange(2), np.ones(2, bool)))
    for name in ("fleet-cpu", "fleet-torch", "opacus"):
        assert [one.engine for one in trained_by("cpu", name, [work])] == [name]
    for name, used in (("fleet-cpu", "fleet-cpu"), ("fleet-torch", "fleet-cpu"), ("opacus", "opacus")):
        assert [one.engine for one in trained_by("cpu", name, [seen])] == [used]


@pytest.mark.parametrize(
    ("audit", "params"),
    [(ONE, {"kind": "gradient"}), (ONE, {"kind": "mislabelled"}), (MANY, {"models": 64}), (STEP, {})],
    ids=["gradient", "mislabelled", "many", "step"],
)
def test_clipping_is_looked_at_in_the_run_and_in_no_training_of_an_audit(audit, params, monkeypatch):
    one = prepared()
    one = replace(one, work=replace(one.work, sample=one.data.sample([["sex"]], 0)))
    assert [series for series in run_of(one).history if series.name == "gradient_cosine"]
    trained, seen = run_of(one), []
    kept = FleetEngine.train
    monkeypatch.setattr(
        FleetEngine, "train", lambda engine, works, *more: seen.extend(works) or kept(engine, works, *more)
    )
    found(audit, one, trained, **params)
    assert seen
    assert all(work.sample is None for work in seen)


def test_the_likelihood_ratio():
    seen, rate, sigma = np.array([[0.3, 2.0], [-1.0, 0.5]]), 0.1, 0.7
    normal = lambda x: np.exp(-(x**2) / (2 * sigma**2))  # noqa: E731
    ratio = ((1 - rate) * normal(seen) + rate * normal(seen - 1)) / normal(seen)
    assert likelihood(seen, rate, sigma) == pytest.approx(np.log(ratio).sum(axis=0))
    assert np.isfinite(likelihood(np.array([[1e4]]), 1.0, 0.05)).all()


def test_the_number_of_guesses_is_fixed_or_corrected_for():
    assert sizes(ONE.Params(guesses=70), 1000) == (70,)
    assert sizes(ONE.Params(guesses=0), 1000) == (50, 100, 250)


# --- evidence -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", [DP_SGD, SOFT], ids=lambda m: m.name)
def test_honest_training_is_not_caught(method):
    bounds = [found(ONE, prepared(method, seed=seed, epochs=2), **GRADIENT) for seed in range(20)]
    assert sum(b["p_at_claim"].value < LEVEL for b in bounds) <= 1
    assert all((b["epsilon"].value > 1) == (b["p_at_claim"].value < LEVEL) for b in bounds)


def test_an_honest_claim_of_a_large_epsilon_is_seen_from_below():
    bound = found(ONE, prepared(epsilon=30.0, epochs=10), **GRADIENT)
    assert 0.5 < bound["epsilon"].value < 30


def caught(**params):
    bound = found(ONE, prepared(), **{**GRADIENT, **params})
    assert bound["epsilon"].value > 1
    return bound["p_at_claim"].value < LEVEL


def test_too_little_noise_is_caught(monkeypatch):
    honest = opacus_trainer._Run._add_noise
    monkeypatch.setattr(
        opacus_trainer._Run, "_add_noise", lambda self, g, deviation, step: honest(self, g, deviation / 20, step)
    )
    assert caught()


def test_clipping_left_out_is_caught(monkeypatch):
    monkeypatch.setattr(type(DP_SGD), "scale", lambda self, norms, state, params: norms * 0 + 1)
    assert caught()


def test_a_threshold_larger_than_the_noise_knows_of_is_caught(monkeypatch):
    honest = type(DP_SGD).scale
    monkeypatch.setattr(
        type(DP_SGD), "scale", lambda self, norms, state, params: 10 * honest(self, norms, state, params)
    )
    assert caught()


def test_noise_reused_in_every_step_is_caught_by_looking_for_it(monkeypatch):
    honest = Streams.noise
    monkeypatch.setattr(Streams, "noise", lambda self, step, count: honest(self, 0, count))
    assert caught(look="spread")


def test_records_in_far_more_batches_than_accounted_for_are_caught(monkeypatch):
    honest = Streams.canary_batch
    monkeypatch.setattr(
        Streams, "canary_batch", lambda self, step, canaries, rate: honest(self, step, canaries, min(1.0, 20 * rate))
    )
    assert caught()


SMALL = toy_table(600)


def memorising(epsilon, *, noise=True, epochs=100):
    """A wide network on few rows, hardly clipped, whose noise may be left out: the best that weak canaries can hope."""
    work = toy_work(
        DP_SGD, DP_SGD.Params(epsilon=epsilon, delta=1e-6, clip=100.0), table=SMALL,
        model_params=MlpParams(hidden=[128]), epochs=epochs, batch_size=32, optimizer="adam", learning_rate=0.01,
    )  # fmt: skip
    data = Data.of(SMALL, 0)
    budget = work.budget if noise else replace(work.budget, gradient_multiplier=1e-6)
    work = replace(work, train=data.train, validation=data.validation, budget=budget)
    return Prepared(SimpleNamespace(hash=lambda: f"memorising-{epsilon}-{noise}"), data, work)


def test_mislabelled_canaries_see_a_model_that_memorises_and_no_other():
    params = {"kind": "mislabelled", "canaries": 100, "guesses": 60}
    loud, honest = memorising(0.2, noise=False), memorising(0.2)
    bound = found(ONE, loud, run_of(loud), **params)
    assert bound["epsilon"].value > 0.2
    assert bound["p_at_claim"].value < LEVEL
    assert found(ONE, honest, run_of(honest), **params)["p_at_claim"].value > LEVEL


def test_many_runs_catch_training_without_noise_and_not_the_honest_one():
    loud, honest = memorising(1.0, noise=False, epochs=40), memorising(1.0, epochs=40)
    bound = found(MANY, loud, run_of(loud))
    assert bound["epsilon"].value > 1
    assert bound["p_at_claim"].value < 0.001
    bound = found(MANY, honest, run_of(honest))
    assert bound["guesses"].value == 64
    assert bound["p_at_claim"].value > LEVEL
