"""A method with a threshold per group: against a loop over records by hand, its noise, and where it cannot train."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import stats

from backend.contracts.training import Training
from backend.errors import InvalidRequest
from tests.worker.stacks import mixed, same, same_history, stack_of, trained
from tests.worker.stacks import work as stacked_work
from tests.worker.test_fleet import naive_gradients, run_of, work
from tests.worker.test_measure import changed, configs
from worker.measure import measure_fleet
from worker.methods._arrays import joined, members
from worker.methods.automatic_clipping import PLUGIN as AUTOMATIC
from worker.methods.dpsgd_f import PLUGIN as DPSGD_F
from worker.plugins import GROUP
from worker.privacy.accounting import Budget, budget, gradient_multiplier
from worker.testing import toy_table, toy_work
from worker.training.checkpoints import Checkpoints
from worker.training.engine import GroupsMissing, Watch
from worker.training.fleet import stack
from worker.training.fleet.cpu import FleetEngine
from worker.training.fleet.stack import Stack
from worker.training.fleet.stacked import StackedEngine
from worker.training.opacus_trainer import OpacusEngine
from worker.training.streams import Streams

ENGINES = [
    FleetEngine(), OpacusEngine("hooks"), OpacusEngine("ghost"), StackedEngine(), StackedEngine(draw_on_device=True),
]  # fmt: skip


class Sums(type(AUTOMATIC)):
    """Asks for three noisy sums per group and step, and keeps the last ones and their part that is no noise."""

    name = "sums"

    def attribute(self, params):
        return "sex"

    def start_groups(self, params, groups):
        return {"sums": np.zeros(3 * groups)}

    def statistic(self, norms, state, params):
        group = members(state[GROUP], state["sums"].shape[-1] // 3, norms)
        length = (norms / (1 + norms))[..., None]
        return joined(joined(group * length, group * (1 - length)), group)

    def update(self, state, statistic, params):
        return {"sums": statistic}

    def history(self, state):
        return {}


def course_of(job, *, draw_on_device):
    """State after each step of a stack of these runs: `[steps, runs, sums]`."""
    stacked = stack_of(job, draw_on_device=draw_on_device)
    states = []
    for step in range(job[0].schedule.steps):
        stacked.advance(step + 1)
        stacked.save_small()
        states.append([course.state["sums"] for course in stacked._courses])
    stacked.close()
    return np.array(states)


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
    (result,) = engine.train([one])
    assert result.diverged is None
    names = [s.name for s in result.history if s.name.startswith("threshold")]
    assert names == ["threshold[sex=Female]", "threshold[sex=Male]"]
    assert all(s.steps == [0, 1, 2, 3] for s in result.history if s.name in names)


def test_engines_agree():
    spent = Budget(1, 1e-5, "rdp", 0.5, 0.5, 2.0)
    one = toy_work(DPSGD_F, DPSGD_F.Params(attribute="race"), spent=spent, epochs=3)
    results = [next(engine.train([one])) for engine in ENGINES]
    for other in results[1:]:
        assert other.logits(one.validation) == pytest.approx(results[0].logits(one.validation), rel=1e-3, abs=1e-3)
        for mine, theirs in zip(results[0].history, other.history, strict=True):
            assert (mine.name, mine.unit) == (theirs.name, theirs.unit)
            assert mine.values == pytest.approx(theirs.values, rel=1e-3)


def grouped(count, **common):
    """Runs with two to four groups, of two attributes, some of which share rows and groups with another."""
    works = []
    for run in range(count):
        params = {"attribute": ("sex", "race")[run % 2], "clip": 0.3 * (1 + run % 3)}
        works.append(stacked_work(seed=run // 2, key=f"grouped-{run}", method="dpsgd_f", params=params, sigma=0.5,
                                  groups=2 + run // 2 % 3, **common))  # fmt: skip
        if run % 2:
            works[run] = replace(works[run], train=works[run - 1].train, validation=works[run - 1].validation)
    return works


@pytest.mark.parametrize("draw_on_device", [False, True])
def test_runs_of_different_groups_are_the_same_alone_and_in_one_stack(monkeypatch, draw_on_device):
    made, sizes = Stack.__init__, []
    monkeypatch.setattr(Stack, "__init__", lambda self, c, *a, **k: (sizes.append(len(c)), made(self, c, *a, **k))[1])
    works = [*grouped(7, epochs=3), *mixed(3, epochs=3)]
    engine = StackedEngine(draw_on_device=draw_on_device)
    together = trained(engine, works)
    assert sizes == [10]
    for one in works:
        (alone,) = engine.train([one])
        same(together[one.key], alone, one.train)
        (other,) = FleetEngine().train([one])
        np.testing.assert_allclose(alone.logits(one.train), other.logits(one.train), rtol=1e-3, atol=1e-3)
        same_history(alone.history, other.history, rtol=2e-3, atol=2e-3)
    thresholds = [s.name for s in together["grouped-5"].history if s.name.startswith("threshold")]
    assert thresholds == [f"threshold[race=group {k}]" for k in range(4)]


def test_sums_that_are_no_whole_numbers_are_the_same_bits_alone_and_among_others():
    works = [replace(one, method=Sums(), method_params=AUTOMATIC.Params()) for one in grouped(8)[::2]]
    works = [replace(one, budget=Budget(1, 1e-5, "rdp", 1.0, 1.0, 0.5), groups=replace(one.groups, attribute="sex"))
             for one in works if len(one.groups.labels) == 2]  # fmt: skip
    many = [replace(works[run % 2], key=f"sums-{run}", streams=Streams.of(run % 2, f"sums-{run}")) for run in range(9)]
    together = course_of(many, draw_on_device=False)
    for run, one in enumerate(many):
        assert np.array_equal(course_of([one], draw_on_device=False)[:, 0], together[:, run])


@pytest.mark.parametrize("draw_on_device", [False, True])
def test_each_of_the_noisy_sums_has_the_stated_deviation_measured_from_outside(draw_on_device):
    """What is left of a run's sums without those of the same run without noise on them. Gradients have no noise."""
    base = grouped(1, rows=400, batch=20, epochs=10)[0]
    works = {
        std: [
            replace(base, key=str(run), streams=Streams.of(0, f"noise-{run}"), method=Sums(),
                    method_params=AUTOMATIC.Params(), budget=Budget(1, 1e-5, "rdp", 0.0, 0.0, std))
            for run in range(12)
        ]
        for std in (0.0, 7.0)
    }  # fmt: skip
    exact, noisy = (course_of(works[std], draw_on_device=draw_on_device) for std in (0.0, 7.0))
    assert exact.shape == (200, 12, 6)
    assert (exact[:, :, :4] != np.round(exact[:, :, :4])).any()
    assert np.array_equal(exact[:, :, 4:].sum(2)[:, 0], [len(base.streams.batch(s, 400, 0.05)) for s in range(200)])
    noise = (noisy - exact) / 7.0
    n = 200 * 12
    low, high = (np.sqrt(q / n) for q in stats.chi2.ppf([1e-5, 1 - 1e-5], n))
    for column in range(6):
        each = noise[:, :, column].ravel()
        assert low < np.sqrt(np.mean(each**2)) < high
        assert stats.kstest(each, "norm").pvalue > 1e-4
    columns = noise.transpose(2, 0, 1).reshape(6, -1)
    assert np.abs(np.corrcoef(columns) - np.eye(6)).max() < 5 / np.sqrt(n)
    runs = noise.transpose(1, 0, 2).reshape(12, -1)
    assert np.abs(np.corrcoef(runs) - np.eye(12)).max() < 5 / np.sqrt(1200)
    later = np.corrcoef(noise[:-1].ravel(), noise[1:].ravel())[0, 1]
    assert abs(later) < 5 / np.sqrt(noise[1:].size)


def test_groups_are_kept_where_memory_gives_out(monkeypatch):
    works = grouped(6, epochs=3, batch=20)
    whole = trained(StackedEngine(), works)
    plain, calls = stack.steps.weighted_sum, []

    def scarce(plan, room, factors, sums):
        calls.append(len(sums))
        if len(sums) > 2 and len(calls) > 9:
            raise torch.OutOfMemoryError("CUDA out of memory (a test)")
        plain(plan, room, factors, sums)

    monkeypatch.setattr(stack.steps, "weighted_sum", scarce)
    halved = trained(StackedEngine(), works)
    assert {6, 3} <= set(calls)
    for one in works:
        same(halved[one.key], whole[one.key], one.train)


@pytest.mark.parametrize("engine", [OpacusEngine(), FleetEngine(), StackedEngine()], ids=lambda e: e.name)
def test_it_goes_on_from_a_checkpoint(tmp_path, monkeypatch, engine):
    one = toy_work(DPSGD_F, epochs=4, batch_size=12)
    (whole,) = engine.train([one])

    class Enough(Exception):
        pass

    class Stopping(Checkpoints):
        def save(self, *args):
            super().save(*args)
            raise Enough

    monkeypatch.setattr("worker.training.engine.PROGRESS_SECONDS", 0)
    stopping = Watch(None, Stopping(tmp_path, seconds=0))
    with pytest.raises(Enough):
        list(engine.train([one], stopping))
    kept = Checkpoints(tmp_path).load(one.key, engine.name)
    assert 0 < kept.step < one.schedule.steps
    assert len(kept.facts["state"]["threshold"]) == 2
    (resumed,) = engine.train([one], Watch(None, Checkpoints(tmp_path, seconds=1e9)))
    assert np.array_equal(resumed.logits(one.validation), whole.logits(one.validation))
    assert resumed.history == whole.history


def test_data_without_the_attribute_are_told_by_the_name_of_the_field():
    with pytest.raises(GroupsMissing, match=r"attribute: DPSGD-F needs a sensitive attribute of the data, got 'age'"):
        toy_work(DPSGD_F, DPSGD_F.Params(attribute="age"))
    table = toy_table()
    with pytest.raises(GroupsMissing):
        toy_work(DPSGD_F, table=replace(table, attributes={}))


def test_an_attribute_that_the_data_lack_is_refused_at_submission_and_fails_a_run_by_the_name_of_the_field():
    with pytest.raises(InvalidRequest, match=r"params\.attribute: .* got \"height\"\. Use one of: age_band, race, sex"):
        configs(methods=("dpsgd_f",), params={"attribute": "height"})
    (good,) = configs(methods=("dpsgd_f",), params={"attribute": "sex"})
    method = good.setting.method
    wrong = changed(good, method=method.model_copy(update={"params": {**method.params, "attribute": "height"}}))
    results = list(measure_fleet([good, wrong]))
    found = {result.key: result for result in results}
    assert found[good.key()].status == "succeeded"
    assert found[wrong.key()].status == "failed"
    assert found[wrong.key()].message.startswith("attribute: ")
