"""Statistics against scipy and against naive versions."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import stats

from backend.analysis.frontier import frontier
from backend.analysis.intervals import grouped, mean_interval, t_factor
from backend.analysis.significance import bonferroni, holm, midranks, smallest_p, wilcoxon

coarse = st.one_of(st.integers(-4, 4).map(float), st.just(float("nan")), st.floats(-1e6, 1e6))
ordinary = st.floats(-1e3, 1e3).map(lambda v: round(v, 6))


# --- frontier ---------------------------------------------------------------------------------------------------------


def dominated(i, points, x_higher, y_higher):
    """The definition, pair by pair."""

    def better_or_equal(a, b, higher):
        return a >= b if higher else a <= b

    x, y = points[i]
    for u, v in points:
        if np.isnan(u) or np.isnan(v):
            continue
        no_worse = better_or_equal(u, x, x_higher) and better_or_equal(v, y, y_higher)
        if no_worse and (u != x or v != y):
            return True
    return False


@given(
    st.lists(st.tuples(coarse, coarse), max_size=40),
    st.booleans(),
    st.booleans(),
)
def test_the_frontier_is_that_of_the_definition(points, x_higher, y_higher):
    x = np.array([p[0] for p in points], dtype=float)
    y = np.array([p[1] for p in points], dtype=float)
    found = frontier(x, y, x_higher=x_higher, y_higher=y_higher)
    for i, (a, b) in enumerate(points):
        expected = not np.isnan(a) and not np.isnan(b) and not dominated(i, points, x_higher, y_higher)
        assert found[i] == expected


def test_equal_points_stand_beside_each_other():
    x, y = np.array([1.0, 1.0, 2.0, 1.0]), np.array([1.0, 1.0, 0.0, 2.0])
    assert frontier(x, y, x_higher=False, y_higher=False).tolist() == [True, True, True, False]


def test_the_frontier_of_many_points_is_fast():
    import time

    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 100_000))
    start = time.perf_counter()
    frontier(x, y, x_higher=False, y_higher=True)
    assert time.perf_counter() - start < 0.5


# --- intervals --------------------------------------------------------------------------------------------------------


@given(hnp.arrays(float, st.integers(2, 30), elements=ordinary))
def test_intervals_are_those_of_scipy(values):
    mean, low, high = mean_interval(values)
    assert mean == pytest.approx(values.mean(), abs=1e-9)
    if values.std() < 1e-9:
        return
    expected = stats.t.interval(0.95, len(values) - 1, loc=values.mean(), scale=stats.sem(values))
    assert (low, high) == pytest.approx(expected, rel=1e-9, abs=1e-7)


@given(st.lists(st.tuples(st.integers(0, 4), st.one_of(ordinary, st.just(float("nan")))), max_size=40))
def test_grouped_intervals_are_those_of_each_group(rows):
    groups = np.array([g for g, _ in rows], dtype=np.int64)
    values = np.array([v for _, v in rows], dtype=float)
    mean, low, high, n = grouped(values, groups, 5)
    for g in range(5):
        own = values[groups == g]
        one = mean_interval(own)
        assert n[g] == np.isfinite(own).sum()
        for found, expected in zip((mean[g], low[g], high[g]), one, strict=True):
            if expected is None or np.isnan(expected):
                assert np.isnan(found)
            else:
                assert found == pytest.approx(expected, rel=1e-6, abs=1e-6)


def test_one_seed_has_no_interval():
    assert mean_interval(np.array([3.0, np.nan])) == (3.0, None, None)
    assert np.isnan(t_factor(np.array([0, 1]))).all()


# --- paired tests -----------------------------------------------------------------------------------------------------


@given(
    st.lists(
        st.floats(-10, 10).filter(lambda v: abs(v) > 1e-6),
        min_size=1,
        max_size=20,
        unique_by=lambda v: round(abs(v), 9),
    )
)
def test_the_exact_test_is_that_of_scipy(differences):
    d = np.array(differences)
    ours = wilcoxon(d, np.zeros_like(d))
    theirs = stats.wilcoxon(d, method="exact")
    assert ours.p == pytest.approx(theirs.pvalue, rel=1e-9)
    assert ours.statistic == pytest.approx(theirs.statistic)
    assert ours.pairs == len(d)


@given(st.lists(st.integers(-4, 4), min_size=1, max_size=9))
def test_with_ties_it_is_the_share_of_all_signs(differences):
    d = np.array(differences, dtype=float)
    test = wilcoxon(d, np.zeros_like(d))
    kept = d[d != 0]
    assert test.zeros == len(d) - len(kept)
    if len(kept) == 0:
        assert test.p == 1
        return
    ranks = stats.rankdata(np.abs(kept))
    middle = ranks.sum() / 2
    away = abs(ranks[kept > 0].sum() - middle)
    sums = [abs(ranks[np.array(signs)].sum() - middle) for signs in itertools.product([True, False], repeat=len(kept))]
    assert test.p == pytest.approx(np.mean(np.array(sums) >= away - 1e-9))


@given(hnp.arrays(float, st.integers(1, 30), elements=st.integers(-5, 5).map(float)))
def test_ranks_are_those_of_scipy(values):
    assert midranks(values).tolist() == stats.rankdata(values).tolist()


def test_pairs_with_a_missing_value_are_left_out():
    a = np.array([1.0, 2, 3, 4, 5, 6, np.nan, 8])
    b = np.array([0.0, 0, 0, 0, 0, 0, 0, np.nan])
    assert wilcoxon(a, b).pairs == 6
    assert wilcoxon(a, b).p == 2 / 2**6


@pytest.mark.parametrize("pairs", range(1, 12))
def test_the_smallest_p_is_that_of_all_differences_of_one_sign(pairs):
    d = np.arange(1.0, pairs + 1)
    test = wilcoxon(d, np.zeros(pairs))
    assert test.p == pytest.approx(smallest_p(pairs))
    assert test.reachable == (pairs >= 6)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_corrections(p):
    adjusted = holm(p)
    m = len(p)
    order = sorted(range(m), key=lambda i: p[i])
    expected, running = [0.0] * m, 0.0
    for rank, i in enumerate(order):
        running = max(running, min(1.0, (m - rank) * p[i]))
        expected[i] = running
    assert adjusted == pytest.approx(expected)
    assert all(a <= b + 1e-12 for a, b in zip(adjusted, bonferroni(p), strict=True))
    assert all(a >= b for a, b in zip(adjusted, p, strict=True))


def test_holm_equals_scipys_step_down_on_a_known_case():
    p = [0.01, 0.02, 0.03, 0.04]
    assert holm(p) == pytest.approx([0.04, 0.06, 0.06, 0.06])
    assert stats.false_discovery_control(p).max() <= max(holm(p))
