"""The cost of choosing: against dp-accounting, against exact divergences of what is published, and in closed cases."""

import math
from itertools import pairwise
from pathlib import Path

import dp_accounting
import numpy as np
import pytest
from dp_accounting.rdp import rdp_privacy_accountant
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special, stats

from backend.analysis import accounting, tuning
from backend.errors import EpsilonUnreachable

SHAPES = [tuning.LOGARITHMIC, 0.5, tuning.GEOMETRIC, 3.0, tuning.POISSON]


def rising(values):
    """Each the least of those at its place and after it, by a plain loop."""
    return [min(values[i:]) for i in range(len(values))]


def masses(gamma, shape, most):
    """P(K = k) for k = 1..most of the truncated negative binomial, by its definition."""
    k = np.arange(1, most + 1)
    if shape == 0:
        return (1 - gamma) ** k / (k * math.log(1 / gamma))
    product = shape / k * np.cumprod(np.concatenate([[1.0], 1 + shape / k[:-1]]))
    return (1 - gamma) ** k * product / math.expm1(-shape * math.log(gamma))


# --- the distribution -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [-0.7, 0.0, 1e-9, 0.5, 1.0, 4.0])
@pytest.mark.parametrize("gamma", [0.02, 0.3, 0.9, 0.999])
def test_the_mean_is_that_of_the_masses(gamma, shape):
    found = masses(gamma, shape, 20_000)
    assert found.sum() == pytest.approx(1, rel=1e-6)
    assert tuning.mean_trainings(gamma, shape) == pytest.approx(np.arange(1, 20_001) @ found, rel=1e-6)


@pytest.mark.parametrize("shape", [-0.7, 0.0, 0.5, 1.0, 4.0, 50.0])
@pytest.mark.parametrize("mean", [1.0, 1 + 1e-9, 1.01, 2.0, 37.5, 1e6])
def test_gamma_has_the_mean_and_errs_to_the_costly_side(mean, shape):
    gamma = tuning.gamma_of(mean, shape)
    assert tuning.mean_trainings(gamma, shape) == pytest.approx(mean, rel=1e-10)
    assert tuning.mean_trainings(gamma, shape) >= mean * (1 - 1e-15)
    if shape == 1:
        assert gamma == pytest.approx(1 / mean, rel=1e-10)


# --- against dp-accounting --------------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(
    sigma=st.floats(math.log(0.4), math.log(20)).map(math.exp),
    q=st.sampled_from([1e-3, 0.01, 0.1, 0.5, 1.0]),
    steps=st.integers(1, 5000),
    mean=st.floats(0, math.log(1e5)).map(math.exp),
    shape=st.sampled_from(SHAPES),
)
def test_divergences_are_those_of_dp_accounting(sigma, q, steps, mean, shape):
    one = accounting.rdp(sigma, q, steps)
    ours = tuning.selected_rdp(one, mean=mean, shape=shape)
    # With the order 1, at which a training counts for nothing and which ours always considers.
    orders, known = [1.0, *accounting.ORDERS], [0.0, *one]
    if math.isinf(shape):
        orders, known = list(accounting.ORDERS), list(one)
    theirs = rdp_privacy_accountant._compute_rdp_repeat_and_select(orders, known, mean, shape)[-len(one) :]
    # dp-accounting stops its search for gamma a millionth of a per cent below.
    np.testing.assert_allclose(ours, rising(list(theirs)), rtol=2e-8, atol=2e-8)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("mean", "delta"), [(6, 1e-9), (20, 1e-5), (400, 1e-3)])
@pytest.mark.parametrize(("sigma", "q", "steps"), [(0.7, 0.01, 1000), (1.5, 0.05, 300), (20.0, 1.0, 20)])
def test_epsilon_is_that_of_its_whole_way(sigma, q, steps, mean, delta, shape):
    orders = [order for order in accounting.ORDERS if order.is_integer()]  # its fractional orders may not converge
    accountant = rdp_privacy_accountant.RdpAccountant(orders=orders)
    step = dp_accounting.PoissonSampledDpEvent(q, dp_accounting.GaussianDpEvent(sigma))
    training = dp_accounting.SelfComposedDpEvent(step, steps)
    accountant.compose(dp_accounting.dp_event.RepeatAndSelectDpEvent(training, mean, shape))
    theirs = accountant.get_epsilon(delta)
    ours = tuning.epsilon(sigma, delta, q, steps, mean=mean, shape=shape)
    assert ours <= theirs * (1 + 1e-8)  # more orders only help
    same = tuple(orders)
    whole = tuning.selected_rdp(accounting.rdp(sigma, q, steps, same), mean=mean, shape=shape, orders=same)
    assert accounting.to_epsilon(whole, delta, same) == pytest.approx(theirs, rel=1e-6)


# --- against what is published ----------------------------------------------------------------------------------------


def generating(shape, mean):
    """E[x^K] as a function of x in [0, 1]."""
    if math.isinf(shape):
        return lambda x: np.exp(mean * (x - 1))
    gamma = tuning.gamma_of(mean, shape)
    if shape == 0:
        return lambda x: np.log1p(-(1 - gamma) * x) / math.log(gamma)
    return lambda x: ((1 - (1 - gamma) * x) ** -shape - 1) / (gamma**-shape - 1)


def divergence(p, q, order):
    """Renyi divergence of two distributions over the same finite set, in nats."""
    return float(special.logsumexp(order * np.log(p) + (1 - order) * np.log(q)) / (order - 1))


def best_of(p, shape, mean):
    """Distribution of the largest of K draws from `p` over 0 < 1 < ...; of none (K = 0), one more outcome."""
    at_most = np.clip(np.concatenate([[0.0], np.cumsum(p)]), 0, 1)
    chances = generating(shape, mean)(at_most)
    return np.concatenate([chances[:1], np.diff(chances)]) if math.isinf(shape) else np.diff(chances)


@pytest.mark.parametrize("shape", [-0.5, *SHAPES])
@pytest.mark.parametrize("mean", [1.2, 4.0, 30.0])
@pytest.mark.parametrize("sigma", [0.8, 3.0])
def test_what_is_published_never_diverges_by_more(sigma, mean, shape):
    """Base: a Gaussian rounded to cells. Its own exact divergences go in, and the best cell's must stay below."""
    edges = np.concatenate([[-np.inf], np.linspace(-4 * sigma, 4 * sigma + 1, 60), [np.inf]])
    pair = [np.diff(stats.norm.cdf(edges, loc, sigma)) for loc in (0.0, 1.0)]
    orders = (1.5, 2.0, 4.0, 8.0, 20.0, 60.0)
    both = [(pair[0], pair[1]), (pair[1], pair[0])]
    one = np.array([max(divergence(p, q, order) for p, q in both) for order in orders])
    bound = tuning.selected_rdp(one, mean=mean, shape=shape, orders=orders)
    exact = [
        max(divergence(best_of(p, shape, mean), best_of(q, shape, mean), order) for p, q in both) for order in orders
    ]
    assert np.all(np.asarray(exact) <= bound + 1e-12)
    assert exact[-1] > one[-1]  # choosing gives something away
    # The generating function is that of the masses: else the above would be about another K.
    if math.isfinite(shape):
        k = np.arange(1, 5001)
        chances = masses(tuning.gamma_of(mean, shape), shape, 5000)
        assert generating(shape, mean)(0.7) == pytest.approx(float(chances @ 0.7**k), rel=1e-6)


def test_a_fixed_number_is_not_covered():
    """Why K is random: the best of exactly 30 of a pure mechanism gives away more than the bound for a mean of 30."""
    eps, mean, order = 1.0, 30, 400.0
    pair = [np.array([1 - 1e-4, 1e-4]), np.array([1 - 1e-4 * math.exp(-eps), 1e-4 * math.exp(-eps)])]
    fixed = [np.diff(np.concatenate([[0.0], np.cumsum(p[::-1])]) ** mean) for p in pair]
    orders = (2.0, 20.0, order)
    one = np.array([max(divergence(a, b, o) for a, b in (pair, pair[::-1])) for o in orders])
    drawn = tuning.selected_rdp(one, mean=float(mean), shape=tuning.LOGARITHMIC, orders=orders)[-1]
    assert max(divergence(a, b, order) for a, b in (fixed, fixed[::-1])) > drawn


# --- closed cases -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [-0.5, 0.0, 0.5, 1.0, 3.0])
def test_one_training_costs_what_it_costs(shape):
    one = accounting.rdp(1.1, 0.02, 700)
    np.testing.assert_array_equal(tuning.selected_rdp(one, mean=1.0, shape=shape), one)
    assert tuning.epsilon(1.1, 1e-6, 0.02, 700, mean=1.0, shape=shape) == accounting.epsilon(1.1, 1e-6, 0.02, 700)


@pytest.mark.parametrize("shape", [0.0, 0.5, 1.0, 3.0])
@pytest.mark.parametrize(("rho", "mean"), [(0.02, 5.0), (0.3, 50.0), (2.0, 1000.0)])
def test_of_a_gaussian_it_is_corollary_4(rho, mean, shape):
    """Corollary 4 of the paper, at the orders where it takes its minima, for rho at most log(1 / gamma)."""
    lost = -math.log(tuning.gamma_of(mean, shape))
    rho = min(rho, lost)
    turn = 1 + math.sqrt(math.log(mean) / rho)
    orders = tuple(sorted({1.05, math.sqrt(lost / rho) if lost > rho else 1.01, turn, 2 * turn, 100 * turn}))
    found = tuning.selected_rdp(np.array([rho * o for o in orders]), mean=mean, shape=shape, orders=orders)
    more = 2 * (1 + shape) * math.sqrt(rho * lost) - shape * rho
    for order, value in zip(orders, found, strict=True):
        if order <= turn:
            expected = 2 * math.sqrt(rho * math.log(mean)) + more
        else:
            expected = rho * (order - 1) + math.log(mean) / (order - 1) + more
        assert value == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("shape", [0.0, 1.0, 2.5])
def test_of_a_pure_mechanism_it_is_corollary_3(shape):
    """(2 + shape) times epsilon, however many trainings: corollary 3."""
    orders = (2.0, 1e6, 1e12)
    found = tuning.selected_rdp(np.full(3, 0.7), mean=1e4, shape=shape, orders=orders)
    assert found[-1] == pytest.approx((2 + shape) * 0.7, abs=1e-9)


@pytest.mark.parametrize("shape", SHAPES)
def test_more_trainings_cost_more_and_less_noise_costs_more(shape):
    at = [tuning.epsilon(1.0, 1e-5, 0.01, 500, mean=mean, shape=shape) for mean in (1, 2, 5, 50, 5000)]
    assert all(a < b for a, b in pairwise(at))
    at = [tuning.epsilon(sigma, 1e-5, 0.01, 500, mean=20, shape=shape) for sigma in (0.05, 0.3, 0.7, 2, 30, 1e4)]
    assert all(a > b for a, b in pairwise(at))


def test_trainings_that_differ_cost_at_most_the_costlier_at_each_order():
    """Which of two is drawn is part of a training: a mixture diverges by no more than the larger of its parts."""
    first, second = accounting.rdp(1.0, 0.01, 500), accounting.rdp(2.0, 0.05, 600)
    assert (first > second).any()
    assert (second > first).any()
    both = tuning.selected_rdp(np.maximum(first, second), mean=8, shape=1.0)
    for one in (first, second):
        assert (tuning.selected_rdp(one, mean=8, shape=1.0) <= both).all()


# --- noise of an epsilon ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("target", "mean"), [(0.3, 3.0), (3.0, 10.0), (9.0, 250.0)])
def test_there_and_back(target, mean, shape):
    sigma = tuning.noise_multiplier(target, 1e-5, 0.01, 1000, mean=mean, shape=shape)
    assert 0.999 * target <= tuning.epsilon(sigma, 1e-5, 0.01, 1000, mean=mean, shape=shape) <= target
    assert sigma >= accounting.noise_multiplier(target, 1e-5, 0.01, 1000)


def test_an_epsilon_out_of_reach_is_refused():
    with pytest.raises(EpsilonUnreachable, match="Expected an epsilon of at least"):
        tuning.noise_multiplier(1e-4, 1e-5, 0.01, 1000, mean=10.0, shape=1.0)


@pytest.mark.parametrize(
    ("mean", "shape", "said"),
    [
        (0.99, 1.0, "mean"),
        (math.nan, 1.0, "mean"),
        (math.inf, 1.0, "mean"),
        (2.0, -1.0, "shape"),
        (2.0, math.nan, "shape"),
    ],
)
def test_impossible_distributions_are_refused(mean, shape, said):
    with pytest.raises(ValueError, match=said):
        tuning.selected_rdp(np.ones(len(accounting.ORDERS)), mean=mean, shape=shape)


def test_orders_must_ascend_and_fit():
    with pytest.raises(ValueError, match="ascending"):
        tuning.selected_rdp(np.ones(2), mean=2, shape=1, orders=(3.0, 2.0))
    with pytest.raises(ValueError, match="one per order"):
        tuning.selected_rdp(np.ones(3), mean=2, shape=1, orders=(2.0, 3.0))


def test_what_the_guide_says_is_what_it_costs():
    text = " ".join((Path(__file__).parents[2] / "docs" / "sharp_edges.md").read_text().split())
    rest = (1.0, 1e-5, 0.01)
    ten, hundred = (
        [tuning.epsilon(*rest, 1000, mean=mean, shape=shape) for shape in (1.0, 0.0, tuning.POISSON)]
        for mean in (10.0, 100.0)
    )
    assert f"one training has ε = {accounting.epsilon(*rest, 1000):.1f} at δ = 1e-5, the best of 10" in text
    assert (
        "costs {:.1f} with a geometric K, {:.1f} with a logarithmic one and {:.1f} with a Poisson".format(*ten) in text
    )
    assert "of 100 it is {:.1f}, {:.1f} and {:.0f}.".format(*hundred) in text
    assert f"each with batches of its own, cost {accounting.epsilon(*rest, 10_000):.1f}." in text
