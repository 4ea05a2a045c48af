"""The Gaussian task: estimators, closed forms and laws against brute force, scipy and trainings drawn row by row."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy import integrate, optimize, special, stats

from backend.analysis import gaussian_law, gaussian_simulation
from backend.analysis.gaussian_law import law
from backend.analysis.gaussian_simulation import OBSERVED, simulate
from backend.analysis.gaussian_task import (
    GUESSING,
    RATES,
    Task,
    advantage,
    auc,
    best_threshold,
    dual,
    estimate,
    given,
    measured,
    tpr,
)
from backend.analysis.intervals import mean_interval

MEASURES = list(GUESSING)


def drawn(n, d, mu, sigma, seed):
    """Labels and rows as the task defines them."""
    rng = np.random.default_rng(seed)
    y = rng.choice([-1.0, 1.0], size=n)
    return y, y[:, None] * mu + sigma * rng.standard_normal((n, d))


def corners(d, epsilon):
    return np.array(list(itertools.product([-epsilon, epsilon], repeat=d)))


# --- estimators -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("epsilon", [0.0, 0.2, 0.7])
@pytest.mark.parametrize("seed", range(3))
def test_the_robust_estimator_minimises_the_worst_case_loss(seed, epsilon):
    """Worst cases by trying every corner for every row, minimised by a search that knows nothing of the solution."""
    y, x = drawn(12, 3, np.array([0.8, 0.3, 0.0]), 1.0, seed)
    moves = corners(3, epsilon)

    def loss(theta):
        worst = [max(-label * theta @ (row + move) for move in moves) for label, row in zip(y, x, strict=True)]
        return 0.5 * theta @ theta + np.mean(worst)

    found = estimate((y[:, None] * x).mean(axis=0), epsilon, "linf")
    searched = optimize.minimize(
        loss, np.full(3, 0.1), method="Nelder-Mead", options={"xatol": 1e-7, "fatol": 1e-12, "maxiter": 4000}
    )
    assert loss(found) <= searched.fun + 1e-10
    assert found == pytest.approx(searched.x, abs=2e-4)
    if epsilon == 0:
        assert found.tolist() == (y[:, None] * x).mean(axis=0).tolist()


@pytest.mark.parametrize("epsilon", [0.0, 0.3, 5.0])
def test_the_l2_estimator_minimises_its_worst_case_loss(epsilon):
    mean = np.array([0.6, -0.2, 0.4])
    # The worst move of length epsilon is along theta: by Cauchy and Schwarz, and by many directions below.
    found = estimate(mean, epsilon, "l2")

    def loss(theta):
        return 0.5 * theta @ theta - theta @ mean + epsilon * np.linalg.norm(theta)

    rng = np.random.default_rng(1)
    assert all(loss(found) <= loss(found + step) for step in rng.normal(scale=0.05, size=(2000, 3)))
    moves = rng.standard_normal((20_000, 3))
    moves *= epsilon / np.linalg.norm(moves, axis=1, keepdims=True)
    assert dual(found, "l2") * epsilon == pytest.approx(max(moves @ found), abs=1e-2)
    if epsilon > np.linalg.norm(mean):
        assert not found.any()


def test_estimates_of_several_sizes_are_those_of_each():
    mean = np.random.default_rng(0).standard_normal((4, 5))
    for norm in ("linf", "l2"):
        together = estimate(mean[:, None, :], np.array([0.0, 0.3, 9.0]), norm)
        for place, size in enumerate((0.0, 0.3, 9.0)):
            for row in range(4):
                alone = np.array([math.copysign(max(abs(v) - size, 0), v) for v in mean[row]])
                if norm == "l2":
                    length = math.sqrt(sum(v * v for v in mean[row]))
                    alone = mean[row] * max(0, 1 - size / length)
                assert together[row, place] == pytest.approx(alone)


# --- given theta ------------------------------------------------------------------------------------------------------


def test_robust_accuracy_is_that_of_the_worst_corner():
    task = Task(n=20, d=4, sigma=1.0, epsilon=0.3, mean=0.5, informative=3)
    theta = np.array([0.5, -0.2, 0.0, 0.3])
    y, x = drawn(3000, 4, task.mu, task.sigma, 3)
    right = [
        all(label * np.sign(theta @ (row + move)) > 0 for move in corners(4, task.epsilon))
        for label, row in zip(y, x, strict=True)
    ]
    margin = y * (x @ theta) - task.epsilon * np.abs(theta).sum()
    assert (margin > 0).tolist() == right
    share = float(given(theta, 0.0, task).robust_accuracy)
    low, high = stats.binomtest(sum(right), len(right)).proportion_ci(0.999)
    assert low < share < high
    assert share == pytest.approx(
        stats.norm.sf(0, theta @ task.mu - 0.3 * np.abs(theta).sum(), np.linalg.norm(theta)), abs=1e-14
    )


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_margins_of_members_have_the_law_that_is_stated(norm):
    """One member and one non-member of each of many trainings, standardised, are standard normal."""
    task = Task(n=4, d=6, sigma=1.5, epsilon=0.2, mean=0.7, informative=4, norm=norm)
    rng = np.random.default_rng(11)
    rows = task.mu + task.sigma * rng.standard_normal((40_000, task.n + 1, task.d))
    mean = rows[:, : task.n].mean(axis=1)
    theta = estimate(mean, 0.2, norm)
    exact = given(theta, 0.2, task)
    kept = np.linalg.norm(theta, axis=1) > 0
    scale = task.sigma * np.linalg.norm(theta, axis=1)[kept]
    level = (theta @ task.mu)[kept]
    member = np.einsum("ij,ij->i", theta, rows[:, 0])[kept]
    other = np.einsum("ij,ij->i", theta, rows[:, -1])[kept]
    standard = (member - level - exact.gap[kept]) / (scale * math.sqrt(1 - 1 / task.n))
    assert exact.shift[kept] == pytest.approx(exact.gap[kept] / scale)
    assert stats.kstest(standard, "norm").pvalue > 1e-3
    assert stats.kstest((other - level) / scale, "norm").pvalue > 1e-3
    # Taken for that of a non-member it would be refused.
    assert stats.kstest((member - level) / scale, "norm").pvalue < 1e-6
    # The mean training margin under attack is the squared length of theta.
    margin = np.einsum("ij,ij->i", theta, mean)
    assert margin - 0.2 * dual(theta, norm) == pytest.approx(np.linalg.norm(theta, axis=1) ** 2, abs=1e-12)


@pytest.mark.parametrize("n", [2, 3, 50, 10_000])
@pytest.mark.parametrize("shift", [-2.0, -0.01, 0.0, 0.003, 0.4, 3.0])
def test_the_attack_is_that_of_two_normal_laws(n, shift):
    member, other = stats.norm(shift, math.sqrt(1 - 1 / n)), stats.norm(0, 1)
    pairs, _ = integrate.quad(
        lambda t: member.sf(t) * other.pdf(t), -12, 12, points=[0, shift], epsabs=1e-12, limit=200
    )
    assert float(auc(np.array(shift), n)) == pytest.approx(pairs, abs=1e-9)
    for rate in RATES.values():
        assert float(tpr(np.array(shift), n, rate)) == pytest.approx(member.sf(other.isf(rate)), rel=1e-9)
    at = float(best_threshold(np.array(shift), n))
    assert float(advantage(np.array(shift), n)) == pytest.approx(member.sf(at) - other.sf(at), abs=1e-12)
    grid = np.linspace(-60, 60, 400_001)
    best = np.max(member.sf(grid) - other.sf(grid))
    assert float(advantage(np.array(shift), n)) == pytest.approx(best, abs=1e-7)
    assert float(advantage(np.array(shift), n)) >= best - 1e-12


def test_an_estimator_of_zero_leaks_nothing():
    for norm in ("linf", "l2"):
        task = Task(n=10, d=3, sigma=1.0, epsilon=50.0, mean=0.2, norm=norm)
        exact = given(np.zeros(3), 50.0, task)
        assert (float(exact.gap), float(exact.shift)) == (0.0, 0.0)
        assert (float(exact.accuracy), float(exact.robust_accuracy)) == (0.5, 0.5)
        assert law(10, 50.0, 50.0, task).zero.tolist() == [1.0]
        for measure in MEASURES:
            value, error = law(np.array([10]), 50.0, 50.0, task).leak(measure)
            assert value.tolist() == [GUESSING[measure]]
            assert error.tolist() == [0.0]


@pytest.mark.parametrize(
    "wrong", [{"n": 1}, {"d": 0}, {"sigma": 0.0}, {"epsilon": -1.0}, {"informative": 9}, {"informative": -1}]
)
def test_sizes_that_mean_nothing_are_refused(wrong):
    with pytest.raises(ValueError, match="expected"):
        Task(**{"n": 10, "d": 8, "sigma": 1.0, "epsilon": 0.1, "mean": 0.2, **wrong})


# --- expectations over trainings --------------------------------------------------------------------------------------

#: d, informative, mean, sigma, n
PLAIN = [
    (1, 1, 0.5, 1.0, 2),
    (2, 1, 0.7, 0.5, 3),
    (3, 3, 0.5, 1.0, 5),
    (20, 20, 0.2, 1.0, 30),
    (100, 10, 0.3, 1.0, 10),
    (100, 100, 0.1, 2.0, 200),
    (400, 20, 0.5, 1.0, 50),
    (50, 0, 0.0, 1.0, 40),
    (7, 7, 3.0, 1.0, 6),
]


@pytest.mark.parametrize(("d", "k", "mean", "sigma", "n"), PLAIN)
def test_the_auc_of_the_mean_is_a_ratio_of_two_noncentral_chi_squares(d, k, mean, sigma, n):
    """<a, b> > 0 if and only if |a + b| > |a - b|; scaled, both are independent [19]."""
    task = Task(n=n, d=d, sigma=sigma, epsilon=0.0, mean=mean, informative=k)
    rho = 1 / math.sqrt(2 * n)
    plus, minus = ((n * task.separation**2 / sigma**2) / (2 * (1 + sign * rho)) for sign in (1, -1))
    ratio = (1 + rho) / (1 - rho)
    large, small = (stats.ncx2(d, c) if c else stats.chi2(d) for c in (plus, minus))
    low, high = large.ppf(1e-12), large.ppf(1 - 1e-12)
    expected, _ = integrate.quad(
        lambda q: large.pdf(q) * small.cdf(ratio * q), low, high, epsabs=1e-10, limit=400, points=[large.mean()]
    )
    value, error = law(np.array([n]), 0.0, 0.0, task).leak("auc")
    assert error.tolist() == [0.0]
    assert value[0] == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(("d", "k", "mean", "sigma", "n"), PLAIN)
def test_both_ways_to_an_expectation_agree_for_the_mean(d, k, mean, sigma, n):
    """Products over coordinates and Gauss rules on one side, length and angle on the other."""
    task = Task(n=n, d=d, sigma=sigma, epsilon=0.0, mean=mean, informative=k)
    zero, ns = np.zeros(1), np.array([float(n)])
    one, other = gaussian_law._law_linf(ns, zero, zero, task), gaussian_law._law_l2(ns, zero, zero, task)
    for measure in MEASURES:
        value, error = one.leak(measure)
        finer, room = other.leak(measure)
        assert value == pytest.approx(finer, abs=error[0] + room[0] + 1e-9)
    assert one.accuracies()[0] == pytest.approx(other.accuracies()[0], abs=one.accuracies()[2][0] + 1e-7)
    assert one.gap == pytest.approx(other.gap, rel=1e-6)
    assert one.gap[0] == pytest.approx(d * sigma**2 / n, rel=1e-12) == task.margin_gap_of_the_mean
    for rule in (other.shift, other.accuracy):
        assert rule.weights.sum() == pytest.approx(1, abs=1e-12)


#: mean, informative, epsilon, sigma, n, in two dimensions
FLAT = [
    (0.5, 2, 0.3, 1.0, 2),
    (0.5, 1, 0.2, 1.0, 5),
    (0.3, 2, 0.4, 0.7, 12),
    (1.0, 1, 0.8, 1.0, 40),
    (0.0, 0, 0.5, 1.0, 4),
]


def line(mean, tau, epsilon, norm):
    """Places on an axis and what they weigh: between the edges of soft thresholding, or evenly spaced."""
    low, high = mean - 8.5 * tau, mean + 8.5 * tau
    if norm == "l2":
        places = np.linspace(low, high, 1701)
        weights = np.full(1701, places[1] - places[0])
    else:
        nodes, sizes = np.polynomial.legendre.leggauss(80)
        edges = sorted({low, high, *(edge for edge in (-epsilon, epsilon, mean) if low < edge < high)})
        halves = [(a, (b - a) / 2) for a, b in itertools.pairwise(edges)]
        places = np.concatenate([a + half * (1 + nodes) for a, half in halves])
        weights = np.concatenate([half * sizes for _, half in halves])
    return places, weights * stats.norm.pdf(places, mean, tau)


@pytest.mark.parametrize(("mean", "k", "epsilon", "sigma", "n"), FLAT)
@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_expectations_are_those_of_a_plain_sum_over_the_plane(norm, mean, k, epsilon, sigma, n):
    """Means of y x on a fine grid, weighted by their density; what is given theta is exact at each."""
    task = Task(n=n, d=2, sigma=sigma, epsilon=epsilon, mean=mean, informative=k, norm=norm)
    (one, first), (two, second) = (line(mu, sigma / math.sqrt(n), epsilon, norm) for mu in task.mu)
    mass = first[:, None] * second
    theta = estimate(np.stack(np.meshgrid(one, two, indexing="ij"), axis=-1), epsilon, norm)
    exact = given(theta, epsilon, task)
    none = ~theta.any(axis=-1)
    found = law(n, epsilon, epsilon, task)
    # Cells that a circle cuts are counted whole; a square is cut at its edges.
    coarse = 1e-3 if norm == "l2" else 1e-6
    assert found.zero[0] == pytest.approx(np.sum(mass * none), abs=coarse)
    assert found.gap[0] == pytest.approx(np.sum(mass * exact.gap), rel=coarse)
    for measure in MEASURES:
        value, error = found.leak(measure)
        expected = np.sum(mass * np.where(none, GUESSING[measure], measured(measure, exact.shift, n)))
        # The kink of the advantage is the one thing that has an estimated error and no bound.
        room = error[0] * (4 if measure == "advantage" else 1) + coarse
        assert value[0] == pytest.approx(expected, abs=room), measure
    plain, robust, error = found.accuracies()
    assert plain[0] == pytest.approx(np.sum(mass * exact.accuracy), abs=error[0] + coarse)
    assert robust[0] == pytest.approx(np.sum(mass * exact.robust_accuracy), abs=error[0] + coarse)


@pytest.mark.parametrize(("d", "k", "mean", "sigma", "n"), PLAIN)
@pytest.mark.parametrize("epsilon", [0.05, 0.4])
def test_the_expected_gap_is_what_stein_says(d, k, mean, sigma, n, epsilon):
    tau = sigma / math.sqrt(n)

    def coordinate(mu):
        def density(v):
            return math.copysign(max(abs(v) - epsilon, 0), v) * (v - mu) * stats.norm.pdf(v, mu, tau)

        edges = sorted({-epsilon, epsilon, mu, mu - 9 * tau, mu + 9 * tau})
        return sum(integrate.quad(density, a, b, epsabs=1e-13)[0] for a, b in itertools.pairwise(edges))

    task = Task(n=n, d=d, sigma=sigma, epsilon=epsilon, mean=mean, informative=k)
    expected = k * coordinate(mean) + (d - k) * coordinate(0.0)
    assert law(np.array([n]), epsilon, epsilon, task).gap[0] == pytest.approx(expected, rel=1e-7, abs=1e-12)

    round_ = Task(n=n, d=d, sigma=sigma, epsilon=epsilon, mean=mean, informative=k, norm="l2")
    far = (round_.separation / tau) ** 2
    length = stats.ncx2(d, far) if far else stats.chi2(d)
    start = (epsilon / tau) ** 2
    top = length.ppf(1 - 1e-13)
    kept = 0.0
    if top > start:
        low = max(start, length.ppf(1e-13))
        kept, _ = integrate.quad(
            lambda s: length.pdf(s) * (d - (d - 1) * epsilon / tau / math.sqrt(s)), low, top, limit=500, epsabs=1e-11,
            points=[np.clip(length.mean(), low, top)],
        )  # fmt: skip
        if d == 1:
            kept = length.sf(start)
    assert law(np.array([n]), epsilon, epsilon, round_).gap[0] == pytest.approx(sigma**2 / n * kept, rel=2e-6, abs=1e-9)


@pytest.mark.parametrize("epsilon", [0.0, 0.1, 1.0])
def test_a_much_finer_quadrature_changes_no_more_than_is_said(monkeypatch, epsilon):
    places = [(*one[:4], float(one[4])) for one in PLAIN] + [(100, 50, 0.3, 1.0, 1e4), (50, 50, 0.2, 1.0, 1e3)]
    tasks = [Task(int(n), d, sigma, epsilon, mean, k, "l2") for d, k, mean, sigma, n in places]
    before = [law(task.n, epsilon, epsilon, task) for task in tasks]
    nodes, weights = np.polynomial.legendre.leggauss(240)
    monkeypatch.setattr(gaussian_law, "_QUADRATURE", nodes)
    monkeypatch.setattr(gaussian_law, "_WEIGHTS", weights)
    for task, one in zip(tasks, before, strict=True):
        finer = law(task.n, epsilon, epsilon, task)
        for measure in MEASURES:
            value, error = one.leak(measure)
            assert value[0] == pytest.approx(finer.leak(measure)[0][0], abs=error[0] + 1e-9), (task, measure)
        assert one.accuracies()[0] == pytest.approx(finer.accuracies()[0], abs=1e-9)
        assert one.accuracies()[1] == pytest.approx(finer.accuracies()[1], abs=1e-9)


def test_in_one_dimension_both_norms_are_the_same():
    for shrink in (0.1, 0.5, 1.5):
        laws = [
            law(np.array([3, 30]), shrink, shrink, Task(n=3, d=1, sigma=1.0, epsilon=shrink, mean=0.6, norm=norm))
            for norm in ("linf", "l2")
        ]
        assert laws[0].zero == pytest.approx(laws[1].zero, abs=1e-9)
        assert laws[0].gap == pytest.approx(laws[1].gap, abs=1e-9)
        for measure in MEASURES:
            (one, error), (other, _) = (found.leak(measure) for found in laws)
            assert np.all(np.abs(one - other) <= error + 1e-4)


def test_laws_are_finite_over_the_whole_range():
    ns = np.array([2.0, 17.0, 10_000.0])
    for d, part, mean, epsilon, sigma, norm in itertools.product(
        (1, 2, 1000), (0.0, 0.3, 1.0), (0.0, 0.01, 10.0), (0.0, 1e-3, 0.5, 100.0), (0.01, 100.0), ("linf", "l2")
    ):
        task = Task(n=2, d=d, sigma=sigma, epsilon=epsilon, mean=mean, informative=int(part * d), norm=norm)
        found = law(ns, epsilon, epsilon, task)
        for measure in MEASURES:
            value, error = found.leak(measure)
            assert np.all(np.isfinite(value)), task
            assert np.all((error >= 0) & np.isfinite(error)), task
            assert np.all((value >= -error - 1e-6) & (value <= 1 + error + 1e-6)), (task, measure, value, error)
        assert np.all(np.isfinite([found.gap, *found.accuracies(), found.zero])), task
        assert np.all(found.gap >= 0)


# --- regimes ----------------------------------------------------------------------------------------------------------


def leaks(task, measure="auc"):
    """Leakage of the mean and of the robust estimator, with the larger bound of the errors."""
    found = law(np.array([task.n]), 0.0, task.epsilon, task), law(np.array([task.n]), task.epsilon, task.epsilon, task)
    (plain, a), (robust, b) = (one.leak(measure) for one in found)
    return plain[0], robust[0], max(a[0], b[0])


#: n, informative coordinates of 100, epsilon; the others as in `setting`. Shrinking takes signal away, and noise that
#: members share is left: with every coordinate informative, and with half of them given enough rows.
MORE = [(20, 100, 0.24), (50, 100, 0.24), (100, 100, 0.09), (100, 50, 0.24), (200, 50, 0.24), (500, 30, 0.24)]
#: Shrinking takes away the coordinates that carry nothing but the noise that members share.
LESS = [(20, 50, 0.24), (50, 20, 0.24), (100, 20, 0.15), (100, 5, 0.15), (200, 10, 0.24), (500, 20, 0.09)]


def setting(n, informative, epsilon):
    return Task(n=n, d=100, sigma=1.0, epsilon=epsilon, mean=0.3, informative=informative)


@pytest.mark.parametrize("measure", MEASURES)
def test_robust_models_leak_more_in_some_settings_and_less_in_others(measure):
    for place in MORE:
        plain, robust, error = leaks(setting(*place), measure)
        assert robust > plain + 2 * error, place
    for place in LESS:
        plain, robust, error = leaks(setting(*place), measure)
        assert robust < plain - 2 * error, place


def test_both_regimes_are_seen_in_trainings():
    """The same rows train both estimators, so that differences are paired."""
    for sign, place in [(1, MORE[1]), (1, MORE[3]), (-1, LESS[1]), (-1, LESS[3])]:
        task = setting(*place)
        sizes = np.array([0.0, task.epsilon])
        values = simulate(task, sizes, sizes, trainings=60, fresh=task.n).values["auc"]
        _, low, high = mean_interval(sign * (values[:, 1] - values[:, 0]), 0.999)
        assert 0 < low < high, place


def test_the_stated_settings_have_the_stated_numbers():
    """Those of docs/gaussian.md: AUC and robust accuracy of the mean and of the robust estimator."""
    stated = {
        (50, 100, 0.24): (0.664, 0.753, 0.702, 0.656),
        (200, 50, 0.24): (0.562, 0.587, 0.540, 0.626),
        (20, 50, 0.24): (0.874, 0.857, 0.317, 0.489),
        (50, 20, 0.24): (0.765, 0.671, 0.176, 0.505),
        (100, 5, 0.15): (0.721, 0.606, 0.224, 0.525),
    }
    for place, numbers in stated.items():
        task = setting(*place)
        plain, robust, _ = leaks(task)
        accuracies = [law(task.n, shrink, task.epsilon, task).accuracies()[1][0] for shrink in (0.0, task.epsilon)]
        assert tuple(round(float(one), 3) for one in (plain, robust, *accuracies)) == numbers


def test_many_coordinates_come_close_to_the_simple_formula():
    """sqrt(d / n) p / sqrt(E S^2), S being what is left of a coordinate in standard deviations [20]."""
    n, d, mean, epsilon = 100, 1000, 0.2, 0.15
    task = Task(n=n, d=d, sigma=1.0, epsilon=epsilon, mean=mean)
    signal, size = mean * math.sqrt(n), epsilon * math.sqrt(n)
    grid = np.linspace(signal - 9, signal + 9, 200_001)
    weight = stats.norm.pdf(grid, signal) * (grid[1] - grid[0])
    left = np.maximum(np.abs(grid) - size, 0)
    shift = math.sqrt(d / n) * np.sum(weight * (left > 0)) / math.sqrt(np.sum(weight * left**2))
    assert float(auc(np.array(shift), n)) == pytest.approx(leaks(task)[1], abs=1e-3)


def test_shrinking_against_l2_changes_what_is_learned_by_nothing_but_scale():
    task = Task(40, 30, 1.0, 0.4, 0.2, 30, norm="l2")
    plain, robust, _ = leaks(task)
    assert law(np.array([40]), 0.4, 0.4, task).zero[0] < 1e-9
    assert robust == pytest.approx(plain, abs=1e-8)
    gaps = [law(np.array([40]), shrink, 0.4, task).gap[0] for shrink in (0.0, 0.4)]
    assert gaps[1] < 0.8 * gaps[0]


# --- simulation -------------------------------------------------------------------------------------------------------

#: n, d, sigma, epsilon, mean, informative, norm
SETTINGS = [
    (5, 10, 1.0, 0.2, 0.4, 10, "linf"), (10, 100, 1.0, 0.1, 0.1, 100, "linf"), (10, 100, 1.0, 0.3, 0.2, 10, "linf"),
    (20, 50, 2.0, 0.4, 0.5, 25, "linf"), (30, 20, 1.0, 0.6, 0.2, 20, "linf"), (50, 100, 1.0, 0.24, 0.3, 100, "linf"),
    (50, 100, 1.0, 0.24, 0.3, 20, "linf"), (50, 100, 1.0, 0.3, 0.3, 5, "linf"), (100, 30, 1.0, 0.15, 0.3, 30, "linf"),
    (100, 60, 0.5, 0.1, 0.1, 60, "linf"), (200, 20, 1.0, 0.25, 0.2, 20, "linf"), (3, 2, 1.0, 0.5, 0.5, 1, "linf"),
    (2, 1, 1.0, 0.3, 0.5, 1, "linf"), (8, 200, 1.0, 0.2, 0.0, 0, "linf"), (60, 40, 3.0, 0.2, 0.5, 8, "linf"),
    (25, 80, 1.0, 0.05, 1.0, 80, "linf"), (5, 10, 1.0, 0.4, 0.4, 10, "l2"), (20, 50, 2.0, 1.0, 0.5, 25, "l2"),
    (50, 100, 1.0, 2.4, 0.3, 100, "l2"), (100, 30, 1.0, 1.0, 0.3, 30, "l2"), (3, 2, 1.0, 0.8, 0.5, 1, "l2"),
    (30, 20, 1.0, 0.9, 0.2, 20, "l2"), (10, 100, 0.5, 0.5, 0.2, 10, "l2"), (2, 1, 1.0, 0.3, 0.5, 1, "l2"),
]  # fmt: skip
TRAININGS, FRESH = 300, 60


@pytest.fixture(scope="module")
def held_up():
    """Of every setting, estimator and quantity: closed form, its bound, and what the trainings gave."""
    found = []
    for n, d, sigma, epsilon, mean, informative, norm in SETTINGS:
        task = Task(n, d, sigma, epsilon, mean, informative, norm)
        shrinks, attacks = np.array([0.0, epsilon]), np.array([epsilon, epsilon])
        simulated = simulate(task, shrinks, attacks, trainings=TRAININGS, fresh=FRESH, seed=2006)
        for place, shrink in enumerate(shrinks):
            exact = law(np.array([n]), shrink, epsilon, task)
            plain, robust, error = (float(one[0]) for one in exact.accuracies())
            closed = {measure: tuple(float(one[0]) for one in exact.leak(measure)) for measure in MEASURES}
            closed |= {
                "accuracy": (plain, error),
                "robust_accuracy": (robust, error),
                "gap": (float(exact.gap[0]), 0.0),
            }
            assert set(closed) == set(OBSERVED)
            for name, (value, bound) in closed.items():
                ends = simulated.low[name][place], simulated.high[name][place]
                found.append((task, place, name, value, bound, simulated.values[name][:, place], ends))
    return found


def test_trainings_agree_with_the_closed_forms_at_every_setting(held_up):
    """Student t of each mean; the level of all tests together is 1 % by Bonferroni."""
    assert len(SETTINGS) >= 20
    level = 1 - 0.01 / len(held_up)
    for task, place, name, value, bound, values, _ in held_up:
        mean, low, high = mean_interval(values, level)
        if name in RATES:
            # Where nearly all members or none are found, means of trainings are not normal: Clopper and Pearson, too.
            found = stats.binomtest(round(values.sum() * task.n), TRAININGS * task.n).proportion_ci(level)
            low, high = min(low, found.low), max(high, found.high)
        assert low - bound - 1e-9 <= value <= high + bound + 1e-9, (task, place, name, value, mean)


def test_the_intervals_shown_hold_the_closed_form_about_as_often_as_they_say(held_up):
    inside = [low - bound <= value <= high + bound for *_, value, bound, _, (low, high) in held_up]
    # Quantities of one training are correlated: this is far from a binomial interval, on purpose.
    assert 0.9 <= np.mean(inside) <= 0.995


def test_wrong_closed_forms_would_be_noticed(held_up):
    """A gap off by 10 %, members taken to vary like non-members at n = 2, and robust taken for plain accuracy."""
    tests = len(held_up)

    def refused(value, values):
        _, low, high = mean_interval(values, 1 - 0.01 / tests)
        return not low <= value <= high

    gaps = [(1.1 * value, values) for _, _, name, value, _, values, _ in held_up if name == "gap"]
    assert sum(refused(*one) for one in gaps) > len(gaps) / 3
    closed = {(task, place, name): value for task, place, name, value, *_ in held_up}
    swapped = [
        refused(closed[task, place, "accuracy"], values)
        for task, place, name, _, _, values, _ in held_up
        if name == "robust_accuracy"
    ]
    assert np.mean(swapped) > 0.9


def test_what_is_observed_is_what_a_loop_would_count():
    task = Task(n=7, d=4, sigma=1.2, epsilon=0.3, mean=0.5, informative=2)
    shrinks, attacks = np.array([0.0, 0.3, 9.0]), np.array([0.3, 0.2, 0.3])
    found = simulate(task, shrinks, attacks, trainings=5, fresh=6, seed=4)
    random = gaussian_simulation.generator("gaussian", 4, 7, 4, 5, 6)
    rows = random.standard_normal((5, 13, 4), dtype=np.float32) * np.float32(1.2) + task.mu.astype(np.float32)
    for training, place in itertools.product(range(5), range(3)):
        members, others = rows[training, :7].astype(float), rows[training, 7:].astype(float)
        theta = [
            math.copysign(max(abs(v) - shrinks[place], 0), v)
            for v in (sum(row[j] for row in members) / 7 for j in range(4))
        ]
        zero = not any(theta)
        margin = [sum(t * v for t, v in zip(theta, row, strict=True)) for row in (*members, *others)]
        inner, outer = margin[:7], margin[7:]
        length = math.sqrt(sum(t * t for t in theta))
        toward = sum(t * m for t, m in zip(theta, task.mu, strict=True))
        loss = attacks[place] * sum(map(abs, theta))
        wins = sum(a > b for a in inner for b in outer) / (7 * 6)
        expected = {
            "auc": 0.5 if zero else wins,
            "accuracy": 0.5 if zero else sum(m > 0 for m in outer) / 6,
            "robust_accuracy": 0.5 if zero else sum(m - loss > 0 for m in outer) / 6,
            "gap": sum(inner) / 7 - sum(outer) / 6,
        }
        for name, rate in RATES.items():
            level = toward + stats.norm.isf(rate) * task.sigma * length
            expected[name] = rate if zero else sum(m >= level for m in inner) / 7
        gap = sum(theta[j] * sum(row[j] for row in members) / 7 for j in range(4)) - toward
        at = float(best_threshold(np.array(0.0 if zero else gap / (task.sigma * length)), 7))
        level = toward + at * task.sigma * length
        caught = sum(m >= level for m in inner) / 7 - sum(m >= level for m in outer) / 6
        expected["advantage"] = 0.0 if zero else caught
        for name, value in expected.items():
            assert found.values[name][training, place] == pytest.approx(value, abs=2e-6), name


def test_the_same_seed_draws_the_same_and_settings_share_their_draws():
    shrinks = np.array([0.0, 0.1])
    one, again, other = (
        simulate(Task(20, 10, 1.0, 0.1, 0.3), shrinks, shrinks, trainings=9, fresh=20, seed=seed) for seed in (0, 0, 1)
    )
    assert all((one.values[name] == again.values[name]).all() for name in OBSERVED)
    assert not (one.values["auc"] == other.values["auc"]).all()
    moved = simulate(Task(20, 10, 1.0, 0.1, 0.3001), shrinks, shrinks, trainings=9, fresh=20, seed=0)
    assert np.abs(moved.values["gap"] - one.values["gap"]).max() < 1e-3


def test_intervals_of_shares_are_never_narrower_than_wilsons():
    from statistics import NormalDist

    values = {name: np.zeros((10, 1)) for name in OBSERVED}
    found = gaussian_simulation._intervals(values, 20, 30)
    z = NormalDist().inv_cdf(0.975)
    assert found.high["tpr_01"][0] == pytest.approx(z**2 / (200 + z**2))
    assert found.high["accuracy"][0] == pytest.approx(z**2 / (300 + z**2))
    assert found.low["tpr_01"][0] == 0
    assert special.ndtr(0) == 0.5
