"""Krippendorff's alpha against the published example and a naive implementation."""

from itertools import permutations

import numpy as np
import pytest

from backend.analysis.agreement import LEVELS, alpha, pairs

X = np.nan
#: Krippendorff, Computing Krippendorff's Alpha-Reliability (2011), section C: four observers, twelve units.
PUBLISHED = np.array(
    [
        [1, 2, 3, 3, 2, 1, 4, 1, 2, X, X, X],
        [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, X, 3],
        [X, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, X],
        [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, X],
    ]
)


def naive(ratings, level):
    """By the definition: pairs of answers, one at a time."""
    units = [[v for v in column if not np.isnan(v)] for column in ratings.T]
    units = [unit for unit in units if len(unit) >= 2]
    values = [v for unit in units for v in unit]

    def difference(a, b):
        if level == "nominal":
            return float(a != b)
        if level == "interval":
            return (a - b) ** 2
        low, high = min(a, b), max(a, b)
        between = sum(low <= v <= high for v in values)
        return (between - (values.count(a) + values.count(b)) / 2) ** 2 if a != b else 0.0

    observed = sum(sum(difference(a, b) for a, b in permutations(unit, 2)) / (len(unit) - 1) for unit in units)
    expected = sum(difference(a, b) for a, b in permutations(values, 2)) / (len(values) - 1)
    return 1 - observed / expected


@pytest.mark.parametrize(("level", "published"), [("nominal", 0.743), ("ordinal", 0.815), ("interval", 0.849)])
def test_the_published_example(level, published):
    found = alpha(PUBLISHED, level)
    assert found.value == pytest.approx(published, abs=5e-4)
    assert found.items == 11
    assert found.answers == 40
    assert found.low < found.value < found.high <= 1


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("seed", range(6))
def test_against_the_definition_with_missing_answers_and_uneven_steps(level, seed):
    rng = np.random.default_rng(seed)
    ratings = rng.choice([-2.0, 0.0, 0.5, 3.0, 10.0], size=(5, 14))
    ratings[rng.random(ratings.shape) < 0.35] = np.nan
    assert alpha(ratings, level).value == pytest.approx(naive(ratings, level), abs=1e-12)


def test_where_it_is_not_defined_it_says_nothing():
    assert alpha(np.array([[1.0, 1.0], [1.0, 1.0]]), "nominal").value is None
    assert alpha(np.array([[1.0, X], [X, 2.0]]), "nominal").items == 0
    alone = alpha(np.array([[1.0], [2.0]]), "nominal")
    assert alone.value == pytest.approx(0.0)
    assert alone.low is None


def test_perfect_agreement_and_chance():
    rng = np.random.default_rng(0)
    same = rng.integers(1, 6, 400).astype(float)
    assert alpha(np.stack([same, same]), "ordinal").value == pytest.approx(1)
    chance = alpha(rng.integers(1, 6, (3, 400)).astype(float), "interval")
    assert chance.low < 0 < chance.high
    assert chance.high - chance.low < 0.3


def test_the_interval_holds_what_it_promises():
    """Of many studies of the same raters, about 95 % of the intervals hold the alpha of a very long study."""
    rng = np.random.default_rng(1)

    def study(items):
        truth = rng.integers(1, 6, items)
        return np.clip(truth + rng.integers(-1, 2, (3, items)), 1, 5).astype(float)

    true = of_variances(study(20_000))
    held = [a.low <= true <= a.high for a in (alpha(study(60), "interval") for _ in range(60))]
    assert np.mean(held) > 0.85


def of_variances(ratings):
    """Interval alpha without missing answers: by variances within and between."""
    within = ratings.var(axis=0, ddof=1).mean()
    return 1 - within / ratings.ravel().var(ddof=1)


def test_pairs_of_raters():
    assert pairs(PUBLISHED)[0] == (0, 1, 9, 8)
    assert len(pairs(PUBLISHED)) == 6
