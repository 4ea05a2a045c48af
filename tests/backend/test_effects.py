"""Sizes of paired differences and numbers of seeds, against scipy and against naive enumeration."""

import itertools

import numpy as np
import pytest
from scipy import stats

from backend.analysis.effects import bca_reduction, effect, rank_biserial, sign_flip
from backend.analysis.power import power_of_t, seeds_for_effect, seeds_for_floor
from backend.analysis.significance import LEVEL, smallest_p, wilcoxon


def pairs(n, shift, seed=0):
    rng = np.random.default_rng(seed)
    b = 0.2 + 0.02 * rng.standard_normal(n)
    return b - shift + 0.01 * rng.standard_normal(n), b


@pytest.mark.parametrize("n", range(1, 10))
@pytest.mark.parametrize("shift", [0.0, 0.005, 0.05])
def test_sign_flips_are_those_of_the_definition(n, shift):
    a, b = pairs(n, shift, n)
    d = a - b
    sums = [abs(sum(s * x for s, x in zip(signs, d, strict=True))) for signs in itertools.product((1, -1), repeat=n)]
    assert sign_flip(a, b) == pytest.approx(np.mean([s >= abs(d.sum()) - 1e-12 for s in sums]))
    if n > 1:
        both = stats.permutation_test((d,), np.mean, permutation_type="samples", n_resamples=np.inf).pvalue
        assert sign_flip(a, b) == pytest.approx(both)


def test_many_pairs_are_drawn_and_agree_with_the_enumeration():
    a, b = pairs(16, 0.004, 3)
    more = np.append(a, b[0]), np.append(b, b[0])  # a pair without difference changes nothing
    assert sign_flip(*more) == pytest.approx(sign_flip(a, b), abs=0.01)
    assert sign_flip(np.zeros(30), np.ones(30)) == pytest.approx(1 / 20_001)
    assert sign_flip(np.zeros(3), np.zeros(3)) == 1.0


def test_rank_biserial_is_kerbys_difference():
    a, b = pairs(12, 0.004, 1)
    found = stats.wilcoxon(a, b)
    total = 12 * 13 / 2
    assert abs(rank_biserial(a, b)) == pytest.approx((total - 2 * found.statistic) / total)
    assert rank_biserial(b + 1, b) == 1.0
    assert rank_biserial(b, b) == 0.0


@pytest.mark.parametrize(("n", "shift"), [(6, 0.05), (10, 0.02), (12, 0.0), (30, 0.1)])
def test_the_interval_of_a_reduction_is_scipys(n, shift):
    a, b = pairs(n, shift, n)
    expected = stats.bootstrap(
        (a, b),
        lambda x, y, axis=-1: 100 * (1 - x.mean(axis=axis) / y.mean(axis=axis)),
        paired=True,
        vectorized=True,
        n_resamples=20_000,
        method="BCa",
        rng=np.random.default_rng(5),
    ).confidence_interval
    width = expected.high - expected.low
    assert bca_reduction(a, b) == pytest.approx((expected.low, expected.high), abs=0.06 * width)
    assert bca_reduction(a, b) == bca_reduction(a, b)


def test_a_share_of_nothing_has_no_interval():
    a, b = pairs(8, 0.05)
    assert bca_reduction(a, b - 0.2) == (None, None)
    assert effect(a, -b).reduction is None
    assert bca_reduction(a[:3], b[:3]) == (None, None)
    assert effect(a * np.nan, b).pairs == 0


def test_the_interval_of_the_difference_is_students():
    a, b = pairs(10, 0.02)
    found = effect(a, b)
    expected = stats.ttest_rel(a, b).confidence_interval()
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))
    assert found.reduction == pytest.approx(100 * (1 - a.mean() / b.mean()))
    assert found.reduction_low < found.reduction < found.reduction_high


@pytest.mark.parametrize("tests", [1, 3, 6, 18, 25, 26, 54, 500])
def test_the_floor_is_where_a_unanimous_outcome_passes(tests):
    n = seeds_for_floor(tests)
    assert smallest_p(n) * tests < LEVEL <= smallest_p(n - 1) * tests
    unanimous = np.arange(1.0, n + 1)
    assert wilcoxon(unanimous, np.zeros(n)).p * tests < LEVEL
    assert sign_flip(unanimous, np.zeros(n)) * tests < LEVEL


@pytest.mark.parametrize(("ratio", "seeds"), [(0.5, 20), (1.0, 8), (2.0, 5)])
def test_power_is_what_a_simulation_finds(ratio, seeds):
    draws = np.random.default_rng(2).standard_normal((20_000, seeds)) + ratio
    simulated = (stats.ttest_1samp(draws, 0, axis=1).pvalue < LEVEL).mean()
    assert power_of_t(ratio, 1.0, seeds) == pytest.approx(simulated, abs=0.012)


def test_the_number_of_seeds_gives_the_power_to_the_signed_rank_test_too():
    needed = seeds_for_effect(0.8, 1.0)
    rng = np.random.default_rng(4)
    passed = [wilcoxon(rng.standard_normal(needed) + 0.8, np.zeros(needed)).p < LEVEL for _ in range(600)]
    assert 0.76 < np.mean(passed) < 0.9
    assert seeds_for_effect(0.8, 1.0, tests=20) > needed
    assert seeds_for_effect(10.0, 1.0, tests=6) == seeds_for_floor(6)
    assert seeds_for_effect(0.001, 1.0) is None
    assert seeds_for_effect(0.0, 1.0) is None
