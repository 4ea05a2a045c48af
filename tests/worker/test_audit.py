"""The mathematics of audits: pinned, compared with naive sums, and right as often as it says."""

import math

import numpy as np
import pytest

from worker.privacy.audit import LEVEL, many_run, one_run, one_run_epsilon, one_run_p, rates_epsilon, upper


def naive_p(m, r, v, epsilon, delta):
    """The formula of the paper's appendix, term by term in Python's own arithmetic."""
    q = 1 / (1 + math.exp(-epsilon))
    mass = [math.comb(r, k) * q**k * (1 - q) ** (r - k) for k in range(r + 1)]
    most = max((sum(mass[v - i : v]) / i for i in range(1, v + 1)), default=0.0)
    return min(1.0, sum(mass[v:]) + 2 * m * delta * most)


def responses(epsilon, canaries, random):
    """Randomised response: each bit is told truly with probability e^epsilon / (1 + e^epsilon); exactly epsilon-DP."""
    included = random.random(canaries) < 0.5
    true = random.random(canaries) < 1 / (1 + math.exp(-epsilon))
    told = np.where(true, included, ~included)
    # Which of those that were told "in" are guessed first is chance.
    return told + 0.5 * random.random(canaries), included


def test_the_published_pin():
    assert one_run_epsilon(1000, 100, 75, 1e-4) == pytest.approx(0.673, abs=5e-4)


@pytest.mark.parametrize("delta", [0.0, 1e-5, 1e-3])
@pytest.mark.parametrize(("r", "v"), [(20, 0), (20, 11), (20, 20), (60, 45)])
@pytest.mark.parametrize("epsilon", [0.0, 0.5, 3.0])
def test_the_p_value_is_the_formula(r, v, epsilon, delta):
    assert one_run_p(200, r, v, epsilon, delta) == pytest.approx(naive_p(200, r, v, epsilon, delta), abs=1e-12)


def test_the_bound_is_where_the_p_value_crosses():
    bound = one_run_epsilon(500, 80, 70, 1e-5)
    assert one_run_p(500, 80, 70, bound - 1e-3, 1e-5) < LEVEL <= one_run_p(500, 80, 70, bound + 1e-3, 1e-5)
    assert one_run_epsilon(500, 80, 40, 1e-5) == 0
    assert one_run_epsilon(500, 80, 80, 0.1) == 0, "with such a delta nothing can be refuted"


@pytest.mark.parametrize("sizes", [[60], [20, 60, 200]])
def test_one_run_is_exceeded_as_rarely_as_it_says_and_is_not_vacuous(sizes):
    random = np.random.default_rng(3)
    epsilon, repetitions = 1.0, 600
    found = [one_run(*responses(epsilon, 400, random), sizes, delta=0.0, claim=epsilon) for _ in range(repetitions)]
    wrong = sum(one.epsilon > epsilon for one in found)
    assert wrong <= LEVEL * repetitions + 3 * math.sqrt(LEVEL * repetitions)
    assert wrong == sum(one.p_at_claim < LEVEL for one in found), "bound and p-value say the same"
    assert np.mean([one.epsilon for one in found]) > 0.3
    broken = [one_run(*responses(4.0, 400, random), sizes, delta=0.0, claim=1.0) for _ in range(20)]
    assert all(one.epsilon > 1 and one.p_at_claim < 1e-3 for one in broken)


def test_many_runs_are_exceeded_as_rarely_as_they_say_and_are_not_vacuous():
    random = np.random.default_rng(4)
    epsilon, models, repetitions = 1.0, 200, 400
    told = 1 / (1 + math.exp(-epsilon))
    found = []
    for _ in range(repetitions):
        inside = (random.random(models) < told).astype(float)
        outside = (random.random(models) >= told).astype(float)
        found.append(many_run(inside, outside, delta=0.0, claim=epsilon))
    wrong = sum(one.epsilon > epsilon for one in found)
    assert wrong <= LEVEL * repetitions + 3 * math.sqrt(LEVEL * repetitions)
    assert wrong == sum(one.p_at_claim < LEVEL for one in found)
    assert np.mean([one.epsilon for one in found]) > 0.3


def test_many_runs_choose_the_threshold_on_models_that_do_not_judge_it():
    random = np.random.default_rng(5)
    # Nothing to find: with a threshold chosen on the judging half the bound would be above 0 far more often.
    found = [many_run(random.normal(size=16), random.normal(size=16), delta=0.0, claim=0.1) for _ in range(400)]
    assert np.mean([one.epsilon > 0 for one in found]) <= LEVEL


def test_many_runs_that_are_told_apart_reach_what_their_number_allows():
    found = many_run(np.ones(64), np.zeros(64), delta=1e-5, claim=1.0)
    high = upper(0, 32, 0.025)
    assert found.epsilon == pytest.approx(math.log((1 - 1e-5 - high) / high))
    assert (found.correct, found.guesses) == (64, 64)
    assert found.p_at_claim < LEVEL
    assert many_run(np.ones(64), np.zeros(64), delta=1e-5, claim=3.0).p_at_claim > LEVEL


def test_rates_in_both_directions():
    assert rates_epsilon(0.1, 0.5, 0.0) == pytest.approx(math.log(5))
    assert rates_epsilon(0.5, 0.1, 0.0) == pytest.approx(math.log(5))
    assert rates_epsilon(0.6, 0.5, 0.0) == 0
    assert rates_epsilon(1.0, 1.0, 1e-5) == 0


def test_scores_that_are_not_numbers_and_too_few_canaries():
    scores, included = np.full(10, np.nan), np.arange(10) % 2 == 0
    assert one_run(scores, included, [4], delta=1e-5, claim=1.0).epsilon == 0
    with pytest.raises(ValueError, match="at least 2 canaries"):
        one_run(scores[:1], included[:1], [4], delta=1e-5, claim=1.0)
    with pytest.raises(ValueError, match="at least 4 models"):
        many_run(np.ones(3), np.zeros(9), delta=1e-5, claim=1.0)
