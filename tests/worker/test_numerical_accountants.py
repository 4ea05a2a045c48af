"""PRV and PLD against two other libraries, the closed form of the Gaussian mechanism, and each other."""

import math
import warnings

import dp_accounting
import pytest
from dp_accounting.pld import PLDAccountant, privacy_loss_distribution
from hypothesis import given, settings
from hypothesis import strategies as st
from opacus.accountants import PRVAccountant
from scipy import optimize, special

from backend.analysis import accountants, accounting, pld, prv

#: Small and large noise, sampling, steps and delta, each with each in part: (sigma, q, steps, delta).
GRID = [
    (sigma, rate, steps, delta)
    for sigma, rate in [(0.5, 1e-3), (0.5, 0.1), (0.8, 0.01), (1.0, 0.1), (2.0, 1e-3), (2.0, 0.05), (4.0, 0.01)]
    for steps, delta in [(1, 1e-5), (30, 1e-8), (1000, 1e-6), (10_000, 1e-5)]
]
CORNERS = [(4.0, 1e-3, 10_000, 1e-8), (4.0, 1e-3, 1, 1e-8), (0.3, 0.5, 200, 1e-5), (20.0, 0.1, 300, 1e-6)]


def gaussian(sigma: float, delta: float) -> float:
    """The exact epsilon of one Gaussian mechanism: Balle and Wang 2018, theorem 8."""

    def excess(eps: float) -> float:
        first = special.ndtr(0.5 / sigma - eps * sigma)
        second = math.exp(eps + special.log_ndtr(-0.5 / sigma - eps * sigma))
        return first - second - delta

    return 0.0 if excess(0.0) <= 0 else optimize.brentq(excess, 0, 1 / sigma**2 * 20 + 40 / sigma, xtol=1e-13)


def opacus(sigma: float, rate: float, steps: int, delta: float, error: float) -> tuple[float, float, float]:
    accountant = PRVAccountant()
    accountant.history = [(sigma, rate, steps)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        composed = accountant._get_dprv(eps_error=error, delta_error=delta / 1000)
        return composed.compute_epsilon(delta, delta / 1000, error)


def fine_pld(sigma: float, rate: float, steps: int, delta: float) -> tuple[float, float]:
    """Bounds of dp-accounting from below and above on a grid a third as wide as ours."""
    interval = max(1e-6, min(1e-3, 5e-3 * accounting.epsilon(sigma, delta, rate, steps) / math.sqrt(steps)))
    found = []
    for pessimistic in (False, True):
        one = privacy_loss_distribution.from_gaussian_mechanism(
            sigma, pessimistic_estimate=pessimistic, value_discretization_interval=interval, sampling_prob=rate
        )
        found.append(float(one.self_compose(steps).get_epsilon_for_delta(delta)))
    return found[0], found[1]


@pytest.mark.parametrize(("sigma", "rate", "steps", "delta"), [*GRID, *CORNERS])
def test_bounds_hold_what_dp_accounting_says(sigma, rate, steps, delta):
    ours = prv.epsilon(sigma, delta, rate, steps)
    low, high = fine_pld(sigma, rate, steps, delta)
    assert low <= high
    # Neither interval may lie outside of the other: both hold the true epsilon.
    assert ours.lower <= high + 1e-12
    assert ours.upper >= low - 1e-12
    assert ours.lower <= ours.estimate <= ours.upper <= accounting.epsilon(sigma, delta, rate, steps)
    # The interval is narrow: two grid errors and what delta / 1000 moves.
    assert ours.upper - ours.estimate <= 5e-3 * ours.estimate + 2e-5
    assert ours.estimate == pytest.approx(high, rel=2e-3, abs=2e-4)
    assert low - 1e-12 <= pld.epsilon(sigma, delta, rate, steps) <= 1.01 * high + 2e-3


@pytest.mark.parametrize(
    ("sigma", "rate", "steps", "delta"),
    [(0.83, 256 / 31_656, 1240, 1e-5), (1.4, 256 / 31_656, 1240, 1e-5), (2.0, 0.05, 1000, 1e-6), (0.5, 0.1, 30, 1e-8)],
)
def test_bounds_hold_what_opacus_says_and_are_tighter(sigma, rate, steps, delta):
    ours = prv.epsilon(sigma, delta, rate, steps)
    low, estimate, high = opacus(sigma, rate, steps, delta, 0.01)
    assert low <= ours.estimate <= high
    # Opacus composes removal alone, which is the larger direction here, and computes the mean by quadrature.
    assert ours.estimate == pytest.approx(estimate, abs=1e-3)
    if ours.estimate < 4:
        assert ours.upper <= high


@pytest.mark.parametrize("sigma", [0.5, 1.0, 4.0])
@pytest.mark.parametrize("steps", [1, 7, 1000])
@pytest.mark.parametrize("delta", [1e-5, 1e-8])
def test_without_sampling_it_is_the_gaussian_mechanism(sigma, steps, delta):
    exact = gaussian(sigma / math.sqrt(steps), delta)
    ours = prv.epsilon(sigma, delta, 1.0, steps)
    assert ours.lower <= exact <= ours.upper
    assert ours.estimate == pytest.approx(exact, rel=1e-3)
    if exact < 500:
        assert exact - 1e-9 <= pld.epsilon(sigma, delta, 1.0, steps) <= 1.003 * exact


@settings(max_examples=40, deadline=None)
@given(st.floats(0.4, 10), st.floats(1e-3, 1.0), st.integers(1, 5000), st.sampled_from([1e-4, 1e-6, 1e-9]))
def test_no_bound_contradicts_another(sigma, rate, steps, delta):
    loose = accounting.epsilon(sigma, delta, rate, steps)
    ours = prv.epsilon(sigma, delta, rate, steps)
    other = pld.epsilon(sigma, delta, rate, steps)
    assert ours.lower <= ours.estimate <= ours.upper <= loose
    assert ours.lower <= other <= loose


def test_a_finer_grid_narrows_the_interval_inside_the_wider_one():
    wide, narrow = (prv.epsilon(0.8, 1e-5, 0.01, 1000, relative_error=error) for error in (1e-2, 1e-3))
    assert wide.lower < narrow.lower < narrow.estimate < narrow.upper < wide.upper


def test_where_rounding_would_decide_renyi_accounting_does():
    arguments = (1.0, 1e-20, 0.01, 1000)
    assert prv.epsilon(*arguments).upper == accounting.epsilon(*arguments)


def test_nothing_is_spent_by_no_steps_and_no_sampling():
    assert prv.epsilon(1.0, 1e-5, 0.0, 10).upper == pld.epsilon(1.0, 1e-5, 0.0, 10) == 0.0
    # A delta that the mechanism does not reach costs no epsilon at all.
    assert prv.epsilon(50.0, 0.1, 0.01, 1).upper == pytest.approx(0.0, abs=1e-3)


def test_pld_is_that_of_the_accountant_class_of_dp_accounting():
    accountant = PLDAccountant(value_discretization_interval=1e-4)
    event = dp_accounting.PoissonSampledDpEvent(0.02, dp_accounting.GaussianDpEvent(0.9))
    accountant.compose(dp_accounting.SelfComposedDpEvent(event, 200))
    assert pld.epsilon(0.9, 1e-5, 0.02, 200) == pytest.approx(accountant.get_epsilon(1e-5), rel=2e-3)


@pytest.mark.parametrize("name", ["prv", "pld"])
@pytest.mark.parametrize(
    ("asked", "rate", "steps", "delta"),
    [(1.0, 256 / 31_656, 1240, 1e-5), (0.1, 1e-3, 10_000, 1e-8), (20.0, 0.1, 300, 1e-6), (1.0, 1.0, 1, 1e-5)],
)
def test_calibration_is_from_above_and_wastes_a_thousandth(name, asked, rate, steps, delta):
    sigma = accountants.sigma(name, asked, delta, rate, steps)
    assert sigma <= accountants.sigma("rdp", asked, delta, rate, steps)
    assert 0.999 * asked <= accountants.epsilon(name, sigma, delta, rate, steps) <= asked


def test_answers_are_kept_apart(tmp_path, monkeypatch):
    first = accountants.epsilon("prv", 1.0, 1e-5, 0.02, 200, cache_dir=tmp_path)
    accountants.sigma("prv", 1.0, 1e-5, 0.02, 200, cache_dir=tmp_path)
    assert {p.name for p in tmp_path.iterdir()} == {"epsilon", "sigma"}
    monkeypatch.setattr(accountants, "_epsilon", lambda *_: -1.0)
    assert accountants.epsilon("prv", 1.0, 1e-5, 0.02, 200, cache_dir=tmp_path) == first
    # Another grid is another answer.
    monkeypatch.setitem(accountants.DISCRETISATION, "prv", [1e-4])
    assert accountants.epsilon("prv", 1.0, 1e-5, 0.02, 200, cache_dir=tmp_path) == -1.0
