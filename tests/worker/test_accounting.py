"""Accountants against two independent libraries, and the split of noise with a side statistic."""

import subprocess
import sys
import warnings

import dp_accounting
import numpy as np
import pytest
from dp_accounting.rdp import RdpAccountant
from hypothesis import given, settings
from hypothesis import strategies as st
from opacus.accountants.analysis import rdp as opacus_rdp

from backend.analysis import accountants
from backend.analysis import accounting as renyi
from backend.analysis.accounting import Schedule, default_delta
from backend.contracts.training import Training
from backend.errors import EpsilonUnreachable
from worker.methods.adaptive_dp_sgd import PLUGIN as ADAPTIVE
from worker.methods.dp_sgd import PLUGIN as DP_SGD
from worker.methods.sgd import PLUGIN as SGD
from worker.plugins import Mechanism
from worker.privacy import accounting

COMMON = tuple(order for order in renyi.ORDERS if order < 64)
GRID = [(rate, noise) for rate in (1e-3, 256 / 31_656, 0.05, 0.4, 1.0) for noise in (0.2, 0.5, 0.9, 2.0, 12.0)]


@pytest.mark.parametrize(("rate", "noise"), GRID)
def test_renyi_divergence_equals_that_of_opacus(rate, noise):
    reference = opacus_rdp.compute_rdp(q=rate, noise_multiplier=noise, steps=1000, orders=list(COMMON))
    # Opacus ends its series at terms of e^-30, which shows where the divergence itself is of that size.
    assert renyi.rdp(noise, rate, 1000, COMMON) == pytest.approx(reference, rel=1e-6, abs=1e-9)


@pytest.mark.parametrize(("rate", "noise"), GRID)
def test_epsilon_equals_that_of_both_libraries(rate, noise):
    # Whole orders alone: dp-accounting bounds the others from above, by up to a factor of two at orders near 1.
    orders = tuple(order for order in renyi.ORDERS if order == round(order))
    accountant = RdpAccountant(orders=list(orders))
    event = dp_accounting.PoissonSampledDpEvent(rate, dp_accounting.GaussianDpEvent(noise))
    accountant.compose(dp_accounting.SelfComposedDpEvent(event, 1000))
    assert renyi.to_epsilon(renyi.rdp(noise, rate, 1000, orders), 1e-5, orders) == pytest.approx(
        accountant.get_epsilon(1e-5), rel=1e-9
    )
    rdp = renyi.rdp(noise, rate, 1000)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs, _ = opacus_rdp.get_privacy_spent(orders=list(renyi.ORDERS), rdp=rdp, delta=1e-5)
    assert renyi.epsilon(noise, 1e-5, rate, 1000) == pytest.approx(max(0.0, theirs), rel=1e-12)


def test_noise_multipliers_measured_elsewhere():
    schedule = Schedule.of(31_656, 256, 10)
    found = [renyi.noise_multiplier(e, 1e-5, schedule.sampling_rate, schedule.steps) for e in (1.0, 3.0, 8.0)]
    assert found == pytest.approx([1.396, 0.829, 0.597], abs=1e-3)


@settings(max_examples=40, deadline=None)
@given(st.floats(0.05, 100), st.sampled_from([1e-4, 1e-5, 1e-7]), st.floats(1e-3, 1.0), st.integers(1, 5000))
def test_calibration_never_exceeds_the_asked_epsilon_and_wastes_nothing(asked, delta, rate, steps):
    noise = renyi.noise_multiplier(asked, delta, rate, steps)
    assert renyi.epsilon(noise, delta, rate, steps) <= asked
    if noise > renyi.SIGMA_RANGE[0]:
        assert renyi.epsilon(noise * (1 - 1e-5), delta, rate, steps) > asked


def test_an_epsilon_that_no_noise_reaches_says_so():
    with pytest.raises(EpsilonUnreachable, match="at least"):
        renyi.noise_multiplier(1e-4, 1e-6, 0.01, 1000)
    with pytest.raises(EpsilonUnreachable, match="epsilon > 0"):
        renyi.noise_multiplier(0.0, 1e-6, 0.01, 1000)


def test_edge_cases_of_the_renyi_divergence():
    assert np.all(np.isinf(renyi.rdp(0.0, 0.1, 10)))
    assert np.all(renyi.rdp(1.0, 0.0, 10) == 0)
    assert renyi.rdp(2.0, 1.0, 3, (5.0,)) == pytest.approx([3 * 5 / 8])
    with pytest.raises(ValueError, match="order > 1"):
        renyi.rdp(1.0, 0.1, 1, (1.0,))
    with pytest.raises(ValueError, match="sampling_rate"):
        renyi.rdp(1.0, 1.5, 1)


@pytest.mark.parametrize(("rows", "delta"), [(27_133, 1e-5), (100_000, 1e-6), (99_999, 1e-5), (9, 1e-1), (10, 1e-2)])
def test_default_delta_is_the_power_of_ten_below_one_over_n(rows, delta):
    assert default_delta(rows) == delta
    assert default_delta(rows) < 1 / rows


def test_schedule():
    assert Schedule.of(1000, 100, 3) == Schedule(0.1, 10, 30)
    assert Schedule.of(50, 100, 3) == Schedule(1.0, 1, 3)
    with pytest.raises(ValueError, match="rows"):
        Schedule.of(0, 1, 1)


def test_tighter_accountants_agree_with_each_other_and_need_less_noise():
    asked, delta, rate, steps = 2.0, 1e-5, 0.02, 200
    found = {name: accounting.sigma(name, asked, delta, rate, steps) for name in accounting.ACCOUNTANTS}
    assert found["prv"] < found["rdp"]
    assert found["pld"] < found["rdp"]
    assert found["prv"] == pytest.approx(found["pld"], rel=0.01)
    for name, noise in found.items():
        assert accounting.epsilon(name, noise, delta, rate, steps) <= asked


def test_calibration_is_cached_in_whole_files(tmp_path, monkeypatch):
    arguments = ("rdp", 2.0, 1e-5, 0.02, 200)
    first = accounting.sigma(*arguments, cache_dir=tmp_path)
    (kept,) = (tmp_path / "sigma").iterdir()
    monkeypatch.setattr(accountants, "_calibrate", lambda *_: pytest.fail("calibrated again"))
    assert accounting.sigma(*arguments, cache_dir=tmp_path) == first
    monkeypatch.undo()
    kept.write_text("{ damaged")
    assert accounting.sigma(*arguments, cache_dir=tmp_path) == first
    assert accounting.sigma("rdp", 2.1, 1e-5, 0.02, 200, cache_dir=tmp_path) != first
    assert not list((tmp_path / "sigma").glob("*.tmp"))


def test_a_cache_that_cannot_be_written_costs_the_cache_alone(tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.warns(UserWarning, match="could not be cached"):
        assert accounting.sigma("rdp", 2.0, 1e-5, 0.02, 200, cache_dir=blocked) > 0


def test_gradient_multiplier_of_andrew_et_al():
    assert accounting.gradient_multiplier(1.0, Mechanism(statistic_std=256 / 20)) == pytest.approx(1.0008, abs=5e-5)
    assert accounting.gradient_multiplier(1.3, Mechanism()) == 1.3


@settings(max_examples=100, deadline=None)
@given(st.floats(0.1, 10), st.floats(0.1, 100))
def test_gradient_and_statistic_together_cost_sigma(noise, std):
    mechanism = Mechanism(statistic_std=std)
    if std <= 0.5 * noise:
        with pytest.raises(EpsilonUnreachable, match="spends the whole budget"):
            accounting.gradient_multiplier(noise, mechanism)
        return
    gradient = accounting.gradient_multiplier(noise, mechanism)
    assert gradient >= noise
    assert (gradient**-2 + (0.5 / std) ** 2) ** -0.5 == pytest.approx(noise)


def test_budgets():
    training = Training(epochs=5, batch_size=256)
    assert accounting.budget(SGD, SGD.Params(), training, 27_133) is None
    plain = accounting.budget(DP_SGD, DP_SGD.Params(epsilon=2.0), training, 27_133)
    adaptive = accounting.budget(ADAPTIVE, ADAPTIVE.Params(epsilon=2.0), training, 27_133)
    assert plain.delta == adaptive.delta == 1e-5
    assert plain.sigma == plain.gradient_multiplier == adaptive.sigma < adaptive.gradient_multiplier
    assert adaptive.statistic_std == pytest.approx(12.8)
    given_delta = accounting.budget(DP_SGD, DP_SGD.Params(epsilon=2.0, delta=1e-7), training, 27_133)
    assert given_delta.delta == 1e-7
    assert given_delta.sigma > plain.sigma


def test_what_every_accountant_says_of_a_run(tmp_path):
    training = Training(epochs=5, batch_size=256)
    schedule = Schedule.of(27_133, 256, 5)
    spent = [
        accounting.budget(method, method.Params(epsilon=2.0), training, 27_133, cache_dir=tmp_path)
        for method in (DP_SGD, ADAPTIVE)
    ]
    plain, adaptive = (accounting.side_by_side(one, schedule) for one in spent)
    # The side statistic is part of what sigma pays for.
    assert plain == adaptive
    says, needs = plain[:3], plain[3:]
    assert says[0] == pytest.approx(2.0, rel=1e-5)
    assert max(says[1:]) < says[0]
    assert needs[0] == spent[0].sigma
    assert max(needs[1:]) < needs[0]


def test_no_accountant_needs_torch():
    code = (
        "import sys, backend.analysis.accountants as a;"
        "[a.sigma(name, 1.0, 1e-5, 0.01, 100) for name in a.ACCOUNTANTS];"
        "sys.exit(any(m in sys.modules for m in ('torch', 'opacus', 'jax', 'worker')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
