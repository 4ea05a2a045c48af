"""A method with a threshold per group: against a loop over records by hand, its noise, and where it cannot train."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from backend.contracts.training import Training
from tests.worker.test_fleet import naive_gradients, run_of, work
from tests.worker.test_measure import configs
from worker.measure import measure_fleet
from worker.methods.dpsgd_f import PLUGIN as DPSGD_F
from worker.privacy.accounting import Budget, budget, gradient_multiplier
from worker.testing import toy_table, toy_work
from worker.training.checkpoints import Checkpoints
from worker.training.engine import GroupsMissing, Watch
from worker.training.fleet.cpu import FleetEngine
from worker.training.fleet.stacked import StackedEngine
from worker.training.opacus_trainer import OpacusEngine
from worker.training.streams import Streams

ENGINES = [FleetEngine(), OpacusEngine("hooks"), OpacusEngine("ghost")]


def test_thresholds_and_the_first_sum_by_hand():
    job = work(rows=60, batch=60, method="dpsgd_f", params={"clip": 1.0}, sigma=0.0, statistic_std=0.0)
    run = run_of(job)
    each = naive_gradients(job, run_of(job).trained_module(), range(60))
    flat = np.array([np.concatenate([g.ravel() for g in record]) for record in each])
    norms, codes = np.linalg.norm(flat, axis=1), job.groups.codes
    run.advance(0, 1)
    expected = (flat * np.minimum(1, 2 / norms)[:, None]).sum(0)
    sums = np.concatenate([s.ravel() for s in run.layout.unpack(run.network.sums)])
    assert np.linalg.norm(sums - expected) <= 1e-5 * np.linalg.norm(expected)
    long = norms > 1
    ratios = np.array([long[codes == k].mean() / long.mean() for k in range(3)])
    assert len(set(ratios.round(3))) > 1
    assert run.state["threshold"] == pytest.approx(np.minimum(1 + ratios, 10), rel=1e-6)


def test_noise_on_the_counts_is_independent_and_of_the_stated_deviation():
    streams = Streams.of(0, "noise")
    drawn = np.array([streams.statistic_noises(step, 6) for step in range(2000)])
    assert [streams.statistic_noise(step) for step in range(3)] == drawn[:3, 0].tolist()
    assert stats.kstest(drawn.ravel(), "norm").pvalue > 1e-3
    assert np.abs(np.corrcoef(drawn.T) - np.eye(6)).max() < 0.1
    assert Streams.of(0, "noise", secure=True).statistic_noises(0, 4).shape == (4,)


def test_both_sums_are_accounted_together():
    """One record moves one count by 1, whatever the number of groups: sensitivity 1, not 1/2."""
    params, training = DPSGD_F.Params(count_noise=10.0), Training(batch_size=256)
    found = budget(DPSGD_F, params, training, 20_000)
    assert 1 / found.sigma**2 == pytest.approx(1 / found.gradient_multiplier**2 + (1 / 10) ** 2)
    assert found.gradient_multiplier == gradient_multiplier(found.sigma, DPSGD_F.mechanism(params, training))


@pytest.mark.parametrize("engine", ENGINES, ids=lambda e: f"{e.name}-{getattr(e, 'way', '')}")
@pytest.mark.parametrize("secure", [False, True])
def test_it_trains_and_its_thresholds_are_named_by_group(engine, secure):
    one = toy_work(DPSGD_F, noise_source="system" if secure else "keyed", epochs=3)
    (trained,) = engine.train([one])
    assert trained.diverged is None
    names = [s.name for s in trained.history if s.name.startswith("threshold")]
    assert names == ["threshold[sex=Female]", "threshold[sex=Male]"]
    assert all(s.steps == [0, 1, 2, 3] for s in trained.history if s.name in names)


def test_engines_agree_and_the_stack_refuses():
    spent = Budget(1, 1e-5, "rdp", 0.5, 0.5, 2.0)
    one = toy_work(DPSGD_F, DPSGD_F.Params(attribute="race"), spent=spent, epochs=3)
    results = [next(engine.train([one])) for engine in ENGINES]
    for other in results[1:]:
        assert other.logits(one.validation) == pytest.approx(results[0].logits(one.validation), rel=1e-3, abs=1e-3)
        for mine, theirs in zip(results[0].history, other.history, strict=True):
            assert (mine.name, mine.unit) == (theirs.name, theirs.unit)
            assert mine.values == pytest.approx(theirs.values, rel=1e-3)
    assert "groups" in StackedEngine().refuses(one)


def test_it_goes_on_from_a_checkpoint(tmp_path, monkeypatch):
    one = toy_work(DPSGD_F, epochs=4, batch_size=12)
    (whole,) = OpacusEngine().train([one])

    class Enough(Exception):
        pass

    class Stopping(Checkpoints):
        def save(self, *args):
            super().save(*args)
            raise Enough

    monkeypatch.setattr("worker.training.engine.PROGRESS_SECONDS", 0)
    stopping = Watch(None, Stopping(tmp_path, seconds=0))
    with pytest.raises(Enough):
        list(OpacusEngine().train([one], stopping))
    (resumed,) = OpacusEngine().train([one], Watch(None, Checkpoints(tmp_path, seconds=1e9)))
    assert np.array_equal(resumed.logits(one.validation), whole.logits(one.validation))
    assert resumed.history == whole.history


def test_data_without_the_attribute_are_told_by_the_name_of_the_field():
    with pytest.raises(GroupsMissing, match=r"attribute: DPSGD-F needs a sensitive attribute of the data, got 'age'"):
        toy_work(DPSGD_F, DPSGD_F.Params(attribute="age"))
    table = toy_table()
    with pytest.raises(GroupsMissing):
        toy_work(DPSGD_F, table=replace(table, attributes={}))


def test_a_study_with_it_says_which_field_is_wrong_and_goes_on_with_the_other_settings():
    results = {}
    for attribute in ("sex", "height"):
        (found,) = configs(methods=("dpsgd_f",), params={"attribute": attribute})
        (results[attribute],) = measure_fleet([found])
    assert results["sex"].status == "succeeded"
    assert results["height"].status == "failed"
    assert results["height"].message.startswith("attribute: ")
