"""Feasibility, probability, ranking and sensitivity against naive loops and scipy."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from backend.analysis import operating_point as op
from backend.analysis import operating_words as texts
from backend.analysis.labels import Words
from backend.contracts.operating_points import Constraint


def blocks_of(sizes, *, seeds=None, diverged=None):
    sizes = np.array(sizes, dtype=np.int64)
    place = np.repeat(np.arange(len(sizes)), sizes)
    starts = np.append(0, np.cumsum(sizes)[:-1]).astype(np.int64)
    own = np.concatenate([np.arange(n) for n in sizes]) if seeds is None else np.array(seeds)
    flags = np.zeros(len(place), dtype=bool) if diverged is None else np.array(diverged, dtype=bool)
    return op.Blocks(starts, sizes, place, own, flags)


def rows(blocks, s):
    return range(int(blocks.starts[s]), int(blocks.starts[s] + blocks.sizes[s]))


sizes_of = st.lists(st.integers(1, 6), min_size=1, max_size=8)
number = st.one_of(st.just(float("nan")), st.sampled_from([0.1, 0.2, 0.3, 0.30000001, 0.5, 0.8]))


@st.composite
def columns(draw, count=1):
    sizes = draw(sizes_of)
    total = sum(sizes)
    diverged = draw(st.lists(st.booleans(), min_size=total, max_size=total)) if draw(st.booleans()) else [False] * total
    blocks = blocks_of(sizes, diverged=diverged)
    found = []
    for _ in range(count):
        values = np.array(draw(st.lists(number, min_size=total, max_size=total)))
        found.append(np.where(blocks.diverged, np.nan, values))
    return blocks, found


@given(columns(), st.booleans(), st.sampled_from([0.2, 0.3, 0.5]), st.sampled_from([0.1, 0.5, 0.9, 1.0]))
def test_effective_values_are_those_of_a_loop_over_settings(data, upper, threshold, share):
    blocks, (values,) = data
    for judge in ("mean", "sure", "share"):
        limit = op.Limit(upper, threshold, judge, share)
        effective, found = op.effective(values, blocks, limit)
        for s in range(len(blocks)):
            own = values[list(rows(blocks, s))]
            some = own[np.isfinite(own)]
            assert found.n[s] == len(some)
            if judge == "mean":
                expected = some.mean() if len(some) else math.nan
            elif judge == "sure":
                if len(some) < 2:
                    expected = math.nan
                else:
                    ends = np.array(some.mean()) + stats.t.ppf([0.025, 0.975], len(some) - 1) * stats.sem(some)
                    expected = ends[1] if upper else ends[0]
            else:
                # At least a share of all seeds, diverged ones failing: counted, not ordered.
                passes = int(limit.holds(own).sum())
                missing = int((np.isnan(own) & ~blocks.diverged[list(rows(blocks, s))]).sum())
                need = math.ceil(share * len(own) - 1e-9)
                short = float(limit.shortfall(effective)[s])
                if math.isnan(short):
                    assert missing > 0
                    assert passes < need
                else:
                    assert (short <= 0) == (passes >= need)
                continue
            assert effective[s] == pytest.approx(expected, nan_ok=True)


@given(columns(count=3), st.lists(st.booleans(), min_size=3, max_size=3), st.integers(0, 3))
def test_status_and_joint_seeds_are_those_of_a_loop(data, uppers, excluded_at):
    blocks, found = data
    limits = [op.Limit(u, t) for u, t in zip(uppers, (0.3, 0.2, 0.5), strict=True)]
    effective = np.stack([op.effective(v, blocks, k)[0] for v, k in zip(found, limits, strict=True)], axis=1)
    excluded = np.arange(len(blocks)) == excluded_at
    verdicts = op.judge(effective, limits, excluded)
    held, tried = op.jointly(found, limits, blocks)
    for s in range(len(blocks)):
        says = []
        for j, limit in enumerate(limits):
            value = effective[s, j]
            close = abs(value - limit.threshold) <= 1e-9 * abs(limit.threshold)
            says.append(None if np.isnan(value) else bool(limit.holds(np.array([value]))[0]) or close)
        expected = op.EXCLUDED if excluded[s] else (
            op.INFEASIBLE if False in says else op.UNKNOWN if None in says else op.FEASIBLE
        )  # fmt: skip
        assert verdicts.status[s] == expected
        joint = 0
        of = 0
        for r in rows(blocks, s):
            if blocks.diverged[r]:
                of += 1
            elif not any(np.isnan(v[r]) for v in found):
                of += 1
                joint += all(
                    v[r] <= k.threshold if k.upper else v[r] >= k.threshold for v, k in zip(found, limits, strict=True)
                )
        assert (held[s], tried[s]) == (joint, of)


def test_a_mean_of_equal_numbers_meets_the_threshold_that_it_equals():
    blocks = blocks_of([3])
    values = np.full(3, 0.1)
    assert values.mean() != 0.1  # The mean of three tenths is one rounding error off.
    for upper in (True, False):
        limit = op.Limit(upper, 0.1)
        effective, _ = op.effective(values, blocks, limit)
        assert op.judge(effective[:, None], [limit], np.zeros(1, dtype=bool)).feasible.tolist() == [True]


def test_the_interval_of_a_share_is_scipys_exact_one():
    held, of = np.array([0, 1, 3, 7, 10, 2]), np.array([3, 3, 3, 10, 10, 2])
    low, high = op.clopper_pearson(held, of)
    for i, (k, n) in enumerate(zip(held, of, strict=True)):
        exact = stats.binomtest(int(k), int(n)).proportion_ci(method="exact")
        assert (low[i], high[i]) == pytest.approx((exact.low, exact.high))


def test_an_unmeasured_group_makes_the_worst_group_unknown():
    limit = op.Limit(upper=False, threshold=0.5)
    found = op.worst([np.array([0.9, 0.7]), np.array([0.8, np.nan])], limit)
    assert found[0] == 0.8
    assert np.isnan(found[1])
    assert op.worst([np.array([0.9]), np.array([0.8])], op.Limit(True, 1.0))[0] == 0.9


def test_the_bootstrap_is_that_of_a_loop_over_resamples():
    rng = np.random.default_rng(3)
    blocks = blocks_of([8, 6, 3])
    values = [rng.normal(0.5, 0.1, 17), rng.normal(0.5, 0.1, 17)]
    values[0][2] = np.nan
    limits = [op.Limit(True, 0.52), op.Limit(False, 0.45)]
    got = op.bootstrap(values, limits, blocks, np.array([0, 1, 2]), seed=5)
    draws = np.random.default_rng(5).multinomial(8, np.full(8, 1 / 8), op.RESAMPLES)
    for s in (0, 1):
        hits = used = 0
        for counts in draws:
            drawn = [r for r in rows(blocks, s) for _ in range(counts[blocks.seeds[r]])]
            means = [np.array([v[r] for r in drawn if np.isfinite(v[r])]) for v in values]
            if any(len(m) == 0 for m in means):
                continue
            used += 1
            hits += means[0].mean() <= 0.52 and means[1].mean() >= 0.45
        assert got[s] == pytest.approx(hits / used)
    assert 0 < got[0] < 1
    assert np.isnan(got[2])  # Three seeds are too few.


def test_settings_that_share_seeds_share_resamples():
    blocks = blocks_of([10, 10])
    noise = np.random.default_rng(0).normal(0, 1, 10)
    got = op.bootstrap([np.concatenate([noise, noise])], [op.Limit(True, 0.1)], blocks, np.array([0, 1]))
    assert got[0] == got[1]
    assert 0.05 < got[0] < 0.95


# --- ranking ----------------------------------------------------------------------------------------------------------


def test_differences_are_paired_by_seed_and_not_by_place():
    blocks = blocks_of([3, 4], seeds=[5, 7, 9, 1, 5, 7, 9])
    values = np.array([1.0, 2.0, 4.0, 99.0, 1.5, 2.6, 4.7])
    difference = op.against(values, blocks, 0)
    paired = np.array([0.5, 0.6, 0.7])
    low, high = stats.ttest_1samp(paired, 0).confidence_interval(0.95)
    assert difference.n.tolist() == [3, 3]
    assert difference.mean[1] == pytest.approx(0.6)
    assert (difference.low[1], difference.high[1]) == pytest.approx((low, high))


def naive_lexicographic(goals, blocks, candidates):
    def mean(goal, s):
        return float(np.mean([goal.values[r] for r in rows(blocks, s)])) * (1 if goal.higher else -1)

    left = [s for s in range(len(blocks)) if candidates[s] and all(np.isfinite(mean(g, s)) for g in goals)]
    for goal in goals:
        best = max(left, key=lambda s: (mean(goal, s), -s))
        kept = []
        for s in left:
            if goal.tolerance is not None:
                tie = mean(goal, s) >= mean(goal, best) - goal.tolerance - 1e-12
            else:
                d = [a - b for a, b in zip(goal.values[list(rows(blocks, s))], goal.values[list(rows(blocks, best))],
                                           strict=True)]  # fmt: skip
                if np.std(d) == 0:
                    tie = abs(np.mean(d)) <= 1e-12
                else:
                    ci = stats.ttest_1samp(d, 0).confidence_interval(0.95)
                    tie = ci.low <= 0 <= ci.high
            if tie:
                kept.append(s)
        left = kept
    return max(left, key=lambda s: (mean(goals[-1], s), -s)), set(left)


@given(st.integers(0, 10_000), st.sampled_from([None, 0.0, 0.05, 0.3]))
def test_lexicographic_choice_is_that_of_a_loop(seed, tolerance):
    rng = np.random.default_rng(seed)
    settings, seeds = int(rng.integers(2, 9)), int(rng.integers(3, 7))
    blocks = blocks_of([seeds] * settings)
    base = np.repeat(rng.normal(0, 0.2, settings), seeds)
    goals = [
        op.Goal(base + rng.normal(0, 0.1, len(base)), True, tolerance),
        op.Goal(rng.normal(0, 0.1, len(base)), False, tolerance),
    ]
    candidates = rng.random(settings) < 0.8
    if not candidates.any():
        return
    ranking = op.lexicographic(goals, blocks, candidates)
    winner, left = naive_lexicographic(goals, blocks, candidates)
    assert ranking.winner == winner
    assert set(ranking.ties.tolist()) == left - {winner}
    assert sorted(ranking.order.tolist()) == np.flatnonzero(candidates).tolist()


def test_with_one_seed_any_difference_counts_since_nothing_is_known_of_the_noise():
    blocks = blocks_of([1, 1])
    ranking = op.lexicographic([op.Goal(np.array([0.8, 0.81]), True)], blocks, np.ones(2, dtype=bool))
    assert ranking.winner == 1
    assert ranking.ties.tolist() == []


@given(st.integers(0, 10_000))
def test_weights_may_move_as_far_as_a_grid_says(seed):
    rng = np.random.default_rng(seed)
    settings, count = int(rng.integers(2, 8)), int(rng.integers(2, 4))
    blocks = blocks_of([2] * settings)
    goals = [
        op.Goal(rng.normal(0, 1, 2 * settings), bool(rng.random() < 0.5), weight=float(rng.uniform(0.2, 3)))
        for _ in range(count)
    ]
    ranking = op.weighted(goals, blocks, np.ones(settings, dtype=bool))
    normal, _, _, known = op.normalised(goals, blocks, np.ones(settings, dtype=bool))
    assert normal.min() == pytest.approx(0)
    assert normal.max() == pytest.approx(1)
    weights = op.shares(goals)
    assert ranking.winner == int(np.argmax(normal @ weights))
    rooms = op.weight_room(normal, weights, known, ranking.winner)
    for i, room in enumerate(rooms):
        assert room.low <= weights[i] + 1e-9
        assert room.high >= weights[i] - 1e-9
        for t in np.linspace(0, 1, 101):
            others = weights.copy()
            others[i] = 0
            w = others / others.sum() * (1 - t)
            w[i] = t
            scores = normal @ w
            ahead = scores[ranking.winner] >= scores.max() - 1e-9
            if room.low + 1e-6 < t < room.high - 1e-6:
                assert ahead
            elif t < room.low - 1e-6 or t > room.high + 1e-6:
                assert not ahead or scores[ranking.winner] == pytest.approx(np.sort(scores)[-2], abs=1e-6)
        if room.wins_above is not None and room.high < 0.999:
            t = room.high + 1e-6
            others = weights.copy()
            others[i] = 0
            w = others / others.sum() * (1 - t)
            w[i] = t
            assert (normal @ w)[room.wins_above] == pytest.approx((normal @ w).max(), abs=1e-4)


# --- sensitivity ------------------------------------------------------------------------------------------------------


@st.composite
def contests(draw):
    """Settings with few distinct numbers, so that ties, tolerances and equal numbers matter."""
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    settings, count = draw(st.integers(3, 16)), draw(st.integers(1, 3))
    blocks = blocks_of([draw(st.sampled_from([1, 3, 4]))] * settings)
    runs = len(blocks.place)
    effective = rng.choice([0.1, 0.2, 0.35, 0.4, 0.50001, 0.6, 0.7, 0.8004, np.nan], (settings, 2))
    goals = []
    for _ in range(count):
        values = rng.integers(0, 5, settings)[blocks.place] + rng.normal(0, 0.6, runs)
        values[rng.random(runs) < 0.03] = np.nan
        ends = (-1.0, 6.0) if rng.random() < 0.3 else (None, None)
        tolerance = rng.choice([None, 0.0, 1.0])
        goals.append(op.Goal(values, bool(rng.random() < 0.5), tolerance, float(rng.uniform(0.5, 3)), *ends))
    limits = [op.Limit(True, 0.4), op.Limit(False, 0.5)]
    return blocks, effective, goals, limits, rng.random(settings) < 0.1, draw(st.booleans())


@given(contests())
def test_what_a_limit_costs_is_what_the_whole_rule_says_at_every_threshold(case):
    blocks, effective, goals, limits, excluded, by_weight = case
    rank = op.weighted if by_weight else op.lexicographic
    contest = op.Contest(goals, blocks, by_weight=by_weight)

    def decided(j, threshold):
        moved = [*limits]
        moved[j] = op.limit_at(limits[j], threshold)
        feasible = op.judge(effective, moved, excluded).feasible
        return rank(goals, blocks, feasible).winner, int(feasible.sum())

    verdicts = op.judge(effective, limits, excluded)
    ranking = rank(goals, blocks, verdicts.feasible)
    for j, limit in enumerate(limits):
        outside = [v for v in effective[:, j] if limit.shortfall(np.array([v]))[0] > 0]
        tried = sorted({op.outward(float(v), limit) for v in outside}, reverse=not limit.upper)
        expected = next((t for t in tried if decided(j, t)[0] not in (None, ranking.winner)), None)
        found = op.relaxation(verdicts, limits, j, contest, ranking)
        assert (found and found.threshold) == expected
        if found is not None:
            winner, feasible = decided(j, found.threshold)
            assert (found.setting, found.admitted) == (winner, feasible - int(verdicts.feasible.sum()))
        if ranking.winner is None:
            continue
        tight = op.tightening(verdicts, limits, j, contest, ranking)
        if tight is not None:
            assert limit.shortfall(np.array([tight.threshold]))[0] < 0
            assert decided(j, tight.threshold) == (ranking.winner, tight.left)
        own = op.outward(float(effective[ranking.winner, j]), limit)
        if limit.shortfall(np.array([own]))[0] < 0 and decided(j, own)[0] == ranking.winner:
            assert tight is not None
            assert tight.threshold == own


def test_a_later_objective_alone_can_make_a_relaxation_worth_it():
    # The second setting is tied in accuracy and far better in the second objective; the first objective alone
    # would never name it.
    blocks = blocks_of([1, 1, 1])
    goals = [op.Goal(np.array([0.80, 0.79, 0.5]), True, 0.02), op.Goal(np.array([0.3, 0.1, 0.0]), False)]
    limits = [op.Limit(True, 4)]
    verdicts = op.judge(np.array([[4.0], [5.0], [8.0]]), limits, np.zeros(3, dtype=bool))
    contest = op.Contest(goals, blocks, by_weight=False)
    found = op.relaxation(verdicts, limits, 0, contest, contest.rank(verdicts.feasible))
    assert found == op.Relaxation(0, 5.0, 1, 1)


def test_without_an_objective_the_nearest_setting_is_named():
    limits = [op.Limit(False, 0.8)]
    verdicts = op.judge(np.array([[0.7], [0.79], [0.1]]), limits, np.zeros(3, dtype=bool))
    none = np.zeros(0, dtype=np.int64)
    found = op.relaxation(verdicts, limits, 0, None, op.Ranking(none, none, (), np.zeros(3)))
    assert found == op.Relaxation(0, 0.79, 1, 1)


def test_the_least_violating_setting_is_measured_by_the_spread_of_each_constraint():
    effective = np.array([[10.0, 0.5], [2.0, 0.79], [np.nan, 0.9], [1.0, 0.1]])
    limits = [op.Limit(True, 1.0), op.Limit(False, 0.8)]
    verdicts = op.judge(effective, limits, np.array([False, False, False, True]))
    total = op.violation(verdicts)
    assert total[0] == pytest.approx(9 / 9 + 0.3 / 0.8)
    assert total[1] == pytest.approx(1 / 9 + 0.01 / 0.8)
    assert np.isnan(total[2:]).all()  # Unknown, and left out.


# --- words ------------------------------------------------------------------------------------------------------------


def told(constraint, effective, mean, short, **more):
    one = Constraint.model_validate(constraint)
    limit = op.Limit(one.operator == "<=", one.threshold, one.judge, one.share, one.metric == "epsilon")
    miss = texts.Miss(one, effective, mean, short, more.get("group"), more.get("seeds", 3), more.get("size", 3))
    return texts.reason(Words(), limit, miss)


def test_reasons_name_the_number_the_limit_and_by_how_much():
    epsilon = {"metric": "epsilon", "operator": "<=", "threshold": 4}
    assert told(epsilon, 8.0, 8.0, 4.0) == "ε 8, at most 4 asked: 4 too high"
    assert told(epsilon, math.inf, math.inf, math.inf) == "Not private: no ε bounds it, at most 4 asked"
    loss = {"metric": "loss", "operator": "<=", "threshold": 0.3, "judge": "sure"}
    assert "upper end of the 95 % interval; mean 0.29" in told(loss, 0.35, 0.29, 0.05)
    assert told(loss, math.nan, 0.29, math.nan, seeds=1) == "Unknown: loss has no interval, measured on one seed"
    assert "was not measured on the test split" in told(loss, math.nan, math.nan, math.nan, seeds=0)


def test_rivals_are_tested_in_pairs_and_corrected():
    rng = np.random.default_rng(1)
    winner = rng.normal(0, 0.1, 10)
    near, far = winner + rng.normal(0, 0.1, 10), winner - 1 - rng.random(10)
    said = texts.rival_sentences(
        "A", "loss", [texts.Rival("B", winner, near, True), texts.Rival("C", winner, far, False)]
    )
    p = [stats.wilcoxon(winner, other).pvalue for other in (near, far)]
    corrected = [max(2 * min(p), p[0]), 2 * min(p)]
    assert said[0] == f"A and B cannot be told apart on loss: Holm-corrected p = {corrected[0]:.2g} over 10 seeds"
    assert said[1] == f"A is told apart from C on loss: Holm-corrected p = {corrected[1]:.2g} over 10 seeds"
    few = texts.rival_sentences("A", "loss", [texts.Rival("B", winner[:3], near[:3], True)])
    assert few == ["A and B cannot be told apart on loss (3 seeds, too few for a test)"]
