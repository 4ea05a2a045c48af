"""The operating point: which settings meet every constraint, how surely, which of them is best, and what a limit costs.

Everything takes runs in order of setting and seed, as a `RunTable` has them: `values` are `[runs]`, `Blocks` says which
runs are one setting's. A constraint compares one number of a setting, its *effective value*, with a threshold:

* `mean`: the mean over seeds;
* `sure`: the end of the 95 % Student t interval of that mean on the wrong side of the threshold;
* `share`: the value that at least a share p of the seeds are as good as, that is the ceil(p n)-th best.

So every judgement is one comparison, and moving the threshold to the effective value is the smallest relaxation that
admits the setting. Nothing is extrapolated: all that is said is about settings that were trained.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import special

from backend.analysis.intervals import t_factor
from backend.analysis.table import Flags, Floats, Ints, RunTable

Judge = Literal["mean", "sure", "share"]

FEASIBLE, INFEASIBLE, UNKNOWN, EXCLUDED = 0, 1, 2, 3
#: Resamples of the paired bootstrap.
RESAMPLES = 2_000
#: With fewer seeds a bootstrap is far too narrow to be shown: of 3 seeds there are only 10 different resamples.
FEWEST_FOR_BOOTSTRAP = 5
#: Differences of about one rounding error are none.
SLACK = 1e-12


@dataclass(frozen=True)
class Blocks:
    """Which runs are one setting's; all arrays `[settings]` but `place`, `seeds` and `diverged`, which are `[runs]`."""

    starts: Ints
    sizes: Ints
    place: Ints
    seeds: Ints
    diverged: Flags

    @classmethod
    def of(cls, table: RunTable) -> Blocks:
        """Of a table's runs."""
        return cls(table.starts, table.sizes, table.place, table.seeds, table.diverged)

    def __len__(self) -> int:
        return len(self.starts)

    def sums(self, values: Floats) -> Floats:
        """Sum over each setting's runs."""
        return np.add.reduceat(values, self.starts) if len(self) else np.zeros(0)

    def rows(self, setting: int) -> slice:
        """The runs of the setting at that place."""
        return slice(int(self.starts[setting]), int(self.starts[setting] + self.sizes[setting]))


@dataclass(frozen=True)
class Statistics:
    """Mean over the seeds that have a number, its 95 % interval and their count, `[settings]`."""

    mean: Floats
    low: Floats
    high: Floats
    n: Ints


def statistics(values: Floats, blocks: Blocks) -> Statistics:
    """Mean with Student t interval of each setting; NaN without a number, interval NaN below two."""
    finite = np.isfinite(values)
    kept = np.where(finite, values, 0.0)
    n = blocks.sums(finite.astype(np.float64))
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = blocks.sums(kept) / n
        away = np.where(finite, values - mean[blocks.place], 0.0)
        half = t_factor(n.astype(np.int64)) * np.sqrt(blocks.sums(away**2) / (n - 1) / n)
    half = np.where(n >= 2, half, np.nan)
    return Statistics(mean, mean - half, mean + half, n.astype(np.int64))


# --- constraints ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Limit:
    """A constraint as numbers: at most (`upper`) or at least a threshold. `exact`: the same number for every seed."""

    upper: bool
    threshold: float
    judge: Judge = "mean"
    share: float = 1.0
    exact: bool = False

    def holds(self, values: Floats) -> Flags:
        """Which values meet it; a NaN does not."""
        with np.errstate(invalid="ignore"):
            return np.asarray(values <= self.threshold if self.upper else values >= self.threshold, dtype=bool)

    def shortfall(self, effective: Floats) -> Floats:
        """By how much values miss it; negative is room to spare."""
        with np.errstate(invalid="ignore"):
            return effective - self.threshold if self.upper else self.threshold - effective


def worst(columns: Sequence[Floats], limit: Limit) -> Floats:
    """Per run the group that the limit binds hardest: the largest for "at most", the smallest for "at least".

    NaN where any group has no number: an unmeasured group is never taken to be fine.
    """
    stacked = np.stack(columns)
    return np.asarray(stacked.max(axis=0) if limit.upper else stacked.min(axis=0), dtype=np.float64)


def effective(values: Floats, blocks: Blocks, limit: Limit) -> tuple[Floats, Statistics]:
    """The number of each setting that the threshold is compared with, `[settings]`, and its statistics.

    NaN is unknown: nothing measured, or no interval where one is asked for. A diverged run counts as a seed on which
    a `share` does not hold.
    """
    found = statistics(values, blocks)
    if limit.exact or limit.judge == "mean":
        # An infinite epsilon is a number here: what is not private has no bound.
        infinite = blocks.sums(np.isinf(values).astype(np.float64)) > 0
        return (np.where(infinite, np.inf, found.mean) if limit.exact else found.mean), found
    if limit.judge == "sure":
        return (found.high if limit.upper else found.low), found
    cost = np.where(np.isfinite(values), values if limit.upper else -values, np.inf)
    chosen = np.zeros(len(blocks))
    # Settings with as many seeds are sorted together: far faster than one sort of all runs.
    for size in np.unique(blocks.sizes).tolist():
        some = np.flatnonzero(blocks.sizes == size)
        wanted = min(max(int(np.ceil(limit.share * size - 1e-9)), 1), size)
        ordered = np.sort(cost[blocks.starts[some][:, None] + np.arange(size)], axis=1)
        chosen[some] = ordered[:, wanted - 1]
    missing = blocks.sums((~np.isfinite(values) & ~blocks.diverged).astype(np.float64)) > 0
    unknown = np.isinf(chosen) & missing
    return np.where(unknown, np.nan, chosen if limit.upper else -chosen), found


@dataclass(frozen=True)
class Verdicts:
    """`effective` and `shortfall` are `[settings, constraints]`, the rest `[settings]`."""

    effective: Floats
    shortfall: Floats
    status: Ints
    failing: Ints
    unknown: Ints

    @property
    def feasible(self) -> Flags:
        """Settings that are known to meet everything."""
        return np.asarray(self.status == FEASIBLE, dtype=bool)


def judge(effective: Floats, limits: Sequence[Limit], excluded: Flags) -> Verdicts:
    """The status of every setting. What fails one constraint is infeasible, whatever is unknown of the others."""
    settings = len(excluded)
    table = effective.reshape(settings, len(limits))
    upper = np.array([limit.upper for limit in limits], dtype=bool)
    thresholds = np.array([limit.threshold for limit in limits], dtype=np.float64)
    with np.errstate(invalid="ignore"):
        shortfall = np.where(upper, table - thresholds, thresholds - table)
    # A mean of equal numbers may be one rounding error off the threshold that it equals.
    size = np.maximum(np.abs(thresholds), 1e-300) * SLACK
    shortfall = np.where(np.abs(shortfall) <= size, 0.0, shortfall)
    failing = (shortfall > 0).sum(axis=1)
    unknown = np.isnan(shortfall).sum(axis=1)
    status = np.where(failing > 0, INFEASIBLE, np.where(unknown > 0, UNKNOWN, FEASIBLE))
    return Verdicts(table, shortfall, np.where(excluded, EXCLUDED, status), failing, unknown)


# --- how surely -------------------------------------------------------------------------------------------------------


def jointly(columns: Sequence[Floats], limits: Sequence[Limit], blocks: Blocks) -> tuple[Ints, Ints]:
    """On how many seeds all constraints hold at once, of how many, `[settings]`.

    A seed on which something was not measured is left out; one that diverged counts as a failure.
    """
    known = np.ones(len(blocks.place), dtype=bool)
    holds = np.ones(len(blocks.place), dtype=bool)
    for values, limit in zip(columns, limits, strict=True):
        known &= ~np.isnan(values)
        holds &= limit.holds(values)
    known |= blocks.diverged
    holds &= known & ~blocks.diverged
    return blocks.sums(holds.astype(np.float64)).astype(np.int64), blocks.sums(known.astype(np.float64)).astype(
        np.int64
    )


def clopper_pearson(held: Ints, of: Ints, level: float = 0.95) -> tuple[Floats, Floats]:
    """Exact interval of a binomial share (Clopper and Pearson 1934); [0, 1] where nothing was tried.

    >>> [[round(float(x), 3) for x in end] for end in clopper_pearson(np.array([3, 0]), np.array([3, 0]))]
    [[0.292, 0.0], [1.0, 1.0]]
    """
    tail = (1 - level) / 2
    with np.errstate(invalid="ignore"):
        low = np.where(held > 0, special.betaincinv(np.maximum(held, 1), np.maximum(of - held, 0) + 1, tail), 0.0)
        high = np.where(held < of, special.betaincinv(held + 1, np.maximum(of - held, 1), 1 - tail), 1.0)
    return np.where(of > 0, low, 0.0), np.where(of > 0, high, 1.0)


def bootstrap(
    columns: Sequence[Floats], limits: Sequence[Limit], blocks: Blocks, settings: Ints, *, seed: int = 0
) -> Floats:
    """Share of resamples of the seeds in which the means of all constraints hold, for each of these settings.

    Seeds are drawn with replacement, the same draw for all settings and constraints (Efron and Tibshirani 1993): what
    two settings share by sharing seeds stays shared. NaN below `FEWEST_FOR_BOOTSTRAP` seeds or where a constraint was
    never measured. Drawn from a fixed generator, so the same data give the same answer.
    """
    rows = [np.arange(blocks.starts[s], blocks.starts[s] + blocks.sizes[s]) for s in settings.tolist()]
    seeds = np.unique(blocks.seeds[np.concatenate(rows)]) if rows else np.zeros(0, dtype=np.int64)
    answer = np.full(len(settings), np.nan)
    if not len(seeds):
        return answer
    draws = np.random.default_rng(seed).multinomial(len(seeds), np.full(len(seeds), 1 / len(seeds)), RESAMPLES)
    weights = draws.astype(np.float64)
    for i, own in enumerate(rows):
        if len(own) < FEWEST_FOR_BOOTSTRAP:
            continue
        mine = weights[:, np.searchsorted(seeds, blocks.seeds[own])]
        hold = np.ones(RESAMPLES, dtype=bool)
        drawn = np.ones(RESAMPLES, dtype=bool)
        measured = True
        for values, limit in zip(columns, limits, strict=True):
            some = values[own]
            if limit.exact:
                hold &= bool(limit.holds(some[:1])[0])
                continue
            finite = np.isfinite(some)
            if finite.sum() < FEWEST_FOR_BOOTSTRAP:
                measured = False
                break
            total = mine @ finite
            drawn &= total > 0
            with np.errstate(invalid="ignore", divide="ignore"):
                hold &= limit.holds((mine @ np.where(finite, some, 0.0)) / total)
        if measured and drawn.any():
            answer[i] = float(hold[drawn].mean())
    return answer


# --- which is best ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Goal:
    """An objective: `values` per run. `tolerance` None: what the noise over seeds cannot tell apart is a tie."""

    values: Floats
    higher: bool
    tolerance: float | None = None
    weight: float = 1.0
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Ranking:
    """Settings from best to worst, those tied with the first, and how the choice was made.

    `score` is `[settings]`: what the last decision compared, higher is better. `left` are the settings that each step
    kept. `ranges` are those that weights were normalised by. `deciding` are the settings that the choice hangs on, the
    best of each step or the ends of each range with the winner: without any of the others it is the same.
    """

    order: Ints
    ties: Ints
    left: tuple[int, ...]
    score: Floats
    ranges: tuple[tuple[float, float], ...] = ()
    deciding: tuple[int, ...] = ()

    @property
    def winner(self) -> int | None:
        """The best, None where nothing can be ranked."""
        return int(self.order[0]) if len(self.order) else None


def against(values: Floats, blocks: Blocks, best: int) -> Statistics:
    """Difference of every setting to `best`, paired by seed: mean, 95 % interval, common seeds."""
    rows = blocks.rows(best)
    own, theirs = blocks.seeds[rows], values[rows]
    order = np.argsort(own, kind="stable")
    own, theirs = own[order], theirs[order]
    at = np.minimum(np.searchsorted(own, blocks.seeds), len(own) - 1)
    return statistics(np.where(own[at] == blocks.seeds, values - theirs[at], np.nan), blocks)


def apart(difference: Statistics) -> Flags:
    """Which differences the noise over seeds cannot explain: the interval leaves out zero.

    With fewer than two common seeds nothing is known of the noise; then any difference counts as one.
    """
    with np.errstate(invalid="ignore"):
        beyond = (difference.low > SLACK) | (difference.high < -SLACK)
    found = np.where(difference.n >= 2, beyond, ~(np.abs(difference.mean) <= SLACK))
    return np.asarray(found, dtype=bool)


class Facts:
    """Means of goals and who is behind whom, worked out once however often settings are ranked."""

    def __init__(self, goals: Sequence[Goal], blocks: Blocks) -> None:
        self.goals, self.blocks = goals, blocks
        self.means = [statistics(goal.values, blocks).mean for goal in goals]
        self._beaten: dict[tuple[int, int], Flags] = {}

    def beaten(self, goal: int, best: int) -> Flags:
        """Which settings are behind `best` in that goal by more than a tie, `[settings]`."""
        if (goal, best) not in self._beaten:
            self._beaten[goal, best] = self._behind(self.goals[goal], self.means[goal], best)
        return self._beaten[goal, best]

    def _behind(self, goal: Goal, mean: Floats, best: int) -> Flags:
        if goal.tolerance is None:
            return apart(against(goal.values, self.blocks, best))
        side = 1 if goal.higher else -1
        with np.errstate(invalid="ignore"):
            return np.asarray(side * mean < side * mean[best] - goal.tolerance - SLACK, dtype=bool)


def lexicographic(goals: Sequence[Goal], blocks: Blocks, candidates: Flags, facts: Facts | None = None) -> Ranking:
    """One goal after the other: the best of the first, and what counts as tied with it, goes on to the next."""
    facts = facts or Facts(goals, blocks)
    means = [mean * (1 if goal.higher else -1) for goal, mean in zip(goals, facts.means, strict=True)]
    known = candidates.copy()
    for mean in means:
        known &= np.isfinite(mean)
    remaining = np.flatnonzero(known)
    behind: list[Ints] = []
    left: list[int] = []
    bests: list[int] = []
    for i, mean in enumerate(means):
        if not len(remaining):
            break
        ordered = remaining[np.argsort(-mean[remaining], kind="stable")]
        best = int(ordered[0])
        bests.append(best)
        out = facts.beaten(i, best)[ordered]
        behind.append(ordered[out].astype(np.int64))
        remaining = np.sort(ordered[~out])
        left.append(len(remaining))
    if not len(remaining):
        return Ranking(
            np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64), tuple(left), np.full(len(blocks), np.nan)
        )
    last = remaining[np.argsort(-means[-1][remaining], kind="stable")].astype(np.int64)
    order = np.concatenate([last, *behind[::-1]]).astype(np.int64)
    return Ranking(order, last[1:], tuple(left), means[0], deciding=tuple(bests))


def weighted(goals: Sequence[Goal], blocks: Blocks, candidates: Flags, facts: Facts | None = None) -> Ranking:
    """The weighted sum of goals, each from 0 (worst of its range) to 1 (best). Ties: not apart in that sum over seeds.

    A range that is not stated is that of the candidates' means.
    """
    normal, means, ranges, known = normalised(goals, blocks, candidates, facts)
    weights = shares(goals)
    score = np.where(known, normal @ weights, np.nan)
    some = np.flatnonzero(known)
    order = some[np.argsort(-score[some], kind="stable")].astype(np.int64)
    if not len(order):
        return Ranking(order, order, (), score, ranges)
    difference = against(run_score(goals, ranges), blocks, int(order[0]))
    ties = order[1:][~apart(difference)[order[1:]]]
    ends = [int(some[pick(mean[some])]) for mean in means for pick in (np.argmin, np.argmax)]
    return Ranking(order, ties, (len(ties) + 1,), score, ranges, (int(order[0]), *ends))


def shares(goals: Sequence[Goal]) -> Floats:
    """Weights that sum to one."""
    weights = np.array([goal.weight for goal in goals], dtype=np.float64)
    return np.asarray(weights / weights.sum(), dtype=np.float64)


def _scaled(values: Floats, goal: Goal, low: float, high: float) -> Floats:
    span = high - low
    part = (values - low) / span if span > 0 else np.where(np.isfinite(values), 0.5, np.nan)
    return np.asarray(part if goal.higher else 1 - part, dtype=np.float64)


def normalised(
    goals: Sequence[Goal], blocks: Blocks, candidates: Flags, facts: Facts | None = None
) -> tuple[Floats, list[Floats], tuple[tuple[float, float], ...], Flags]:
    """`[settings, goals]` from 0 to 1 within the ranges, the means, the ranges, and which candidates have all goals."""
    means = (facts or Facts(goals, blocks)).means
    known = candidates.copy()
    for mean in means:
        known &= np.isfinite(mean)
    ranges = []
    for goal, mean in zip(goals, means, strict=True):
        some = mean[known]
        low = goal.low if goal.low is not None else (float(some.min()) if len(some) else 0.0)
        high = goal.high if goal.high is not None else (float(some.max()) if len(some) else 0.0)
        ranges.append((low, high))
    columns = [_scaled(mean, goal, *ends) for mean, goal, ends in zip(means, goals, ranges, strict=True)]
    return np.stack(columns, axis=1), means, tuple(ranges), known


def run_score(goals: Sequence[Goal], ranges: Sequence[tuple[float, float]]) -> Floats:
    """The weighted sum of every run."""
    parts = [w * _scaled(goal.values, goal, *ends) for w, goal, ends in zip(shares(goals), goals, ranges, strict=True)]
    return np.asarray(np.sum(parts, axis=0), dtype=np.float64)


@dataclass(frozen=True)
class WeightRoom:
    """Between which shares of the whole one weight may lie before another setting wins, the others in proportion."""

    low: float
    high: float
    wins_below: int | None
    wins_above: int | None


def weight_room(normal: Floats, weights: Floats, known: Flags, winner: int) -> list[WeightRoom]:
    """For each weight how far it can move. The score is linear in it, so each rival gives one crossing.

    With weight t on goal i and the others scaled to 1 - t, the winner is ahead of a rival by t a + (1 - t) b.
    """
    rivals = np.flatnonzero(known & (np.arange(len(known)) != winner))
    answer = []
    for i, weight in enumerate(weights.tolist()):
        others = np.delete(weights, i)
        others = others / others.sum() if others.sum() > 0 else np.full(len(others), 1 / max(1, len(others)))
        ahead = normal[winner] - normal[rivals]
        a, b = ahead[:, i], np.delete(ahead, i, axis=1) @ others
        with np.errstate(invalid="ignore", divide="ignore"):
            crossing = b / (b - a)
        rising = (a < b) & (crossing >= weight - SLACK) & (crossing <= 1)
        falling = (a > b) & (crossing <= weight + SLACK) & (crossing >= 0)
        up = rivals[rising][np.argmin(crossing[rising])] if rising.any() else None
        down = rivals[falling][np.argmax(crossing[falling])] if falling.any() else None
        answer.append(
            WeightRoom(
                max(0.0, float(crossing[falling].max())) if falling.any() else 0.0,
                min(1.0, float(crossing[rising].min())) if rising.any() else 1.0,
                None if down is None else int(down),
                None if up is None else int(up),
            )
        )
    return answer


# --- what a limit costs -----------------------------------------------------------------------------------------------


class Contest:
    """The whole rule by which the best is chosen, to be run for other sets of candidates."""

    def __init__(self, goals: Sequence[Goal], blocks: Blocks, *, by_weight: bool) -> None:
        self.goals, self.blocks, self.by_weight = goals, blocks, by_weight
        self.facts = Facts(goals, blocks)
        self._known: Flags = np.asarray(np.isfinite(np.stack(self.facts.means)).all(axis=0), dtype=bool)

    def rank(self, candidates: Flags) -> Ranking:
        """The ranking of these candidates, `[settings]`."""
        return (weighted if self.by_weight else lexicographic)(self.goals, self.blocks, candidates, self.facts)

    def may_change(self, ranking: Ranking, others: Ints) -> Flags:
        """Which of `others` could change the winner of that ranking if they joined it, parallel to `others`.

        Where none is marked the winner stays, however many join: none is better than the best of any step that it
        reaches, or widens a range. Spares running the rule for thousands of thresholds.
        """
        known = self._known[others]
        winner = ranking.winner
        if winner is None:
            return known
        change = np.zeros(len(others), dtype=bool)
        if self.by_weight:
            parts = []
            for goal, mean, (low, high) in zip(self.goals, self.facts.means, ranking.ranges, strict=True):
                own = mean[others]
                change |= ((goal.low is None) & (own < low)) | ((goal.high is None) & (own > high))
                parts.append(_scaled(own, goal, low, high))
            score = np.stack(parts, axis=1) @ shares(self.goals)
            return np.asarray(known & (change | (score >= ranking.score[winner] - SLACK)), dtype=bool)
        out = np.zeros(len(others), dtype=bool)
        for i, best in enumerate(ranking.deciding):
            ahead = (self.facts.means[i][others] - self.facts.means[i][best]) * (1 if self.goals[i].higher else -1)
            change |= ~out & (ahead >= -SLACK)
            out |= self.facts.beaten(i, best)[others]
        return np.asarray(known & change, dtype=bool)


@dataclass(frozen=True)
class Relaxation:
    """Moving one constraint's threshold to `threshold` admits `admitted` settings and makes `setting` the best."""

    constraint: int
    threshold: float
    setting: int
    admitted: int


@dataclass(frozen=True)
class Tightening:
    """As far as one threshold can move before the winner is lost, and how many feasible settings are left there."""

    constraint: int
    threshold: float
    left: int


def outward(value: float, limit: Limit, digits: int = 3) -> float:
    """A threshold with few digits that still admits `value`.

    >>> outward(0.79876, Limit(upper=False, threshold=0.8)), outward(4.00001, Limit(upper=True, threshold=4))
    (0.798, 4.01)
    """
    if value == 0 or not np.isfinite(value):
        return value
    step = 10.0 ** (np.floor(np.log10(abs(value))) - digits + 1)
    if abs(value - round(value / step) * step) <= SLACK * abs(value):
        return float(f"{value:.{digits}g}")
    moved = (np.ceil if limit.upper else np.floor)(value / step) * step
    return float(f"{moved:.{digits + 1}g}")


def only_failing(verdicts: Verdicts, constraint: int) -> Ints:
    """Settings that fail this constraint, meet all others and are not excluded, the nearest first."""
    short = verdicts.shortfall[:, constraint]
    alone = (verdicts.status == INFEASIBLE) & (verdicts.failing == 1) & (verdicts.unknown == 0) & (short > 0)
    some = np.flatnonzero(alone & np.isfinite(short))
    return some[np.argsort(short[some], kind="stable")].astype(np.int64)


def relaxation(
    verdicts: Verdicts, limits: Sequence[Limit], constraint: int, contest: Contest | None, ranking: Ranking
) -> Relaxation | None:
    """The nearest move of one threshold that changes which setting is best, others staying as they are.

    The whole rule is run with what each threshold admits: what joins may win, or only shift the balance between
    settings that were feasible before. Without a contest: the nearest move that admits any setting.
    """
    nearest = only_failing(verdicts, constraint)
    limit = limits[constraint]
    values = verdicts.effective[:, constraint]
    if contest is None:
        if not len(nearest):
            return None
        threshold = outward(float(values[nearest[0]]), limit)
        admitted = int(meets(limit_at(limit, threshold), values[nearest]).sum())
        return Relaxation(constraint, threshold, int(nearest[0]), admitted)
    before, admitted = ranking.winner, 0
    while admitted < len(nearest):
        marked = np.flatnonzero(contest.may_change(ranking, nearest[admitted:]))
        if not len(marked):
            return None
        threshold = outward(float(values[nearest[admitted + int(marked[0])]]), limit)
        inside = meets(limit_at(limit, threshold), values[nearest])
        admitted = int(inside.sum())
        candidates = verdicts.feasible.copy()
        candidates[nearest[inside]] = True
        ranking = contest.rank(candidates)
        if ranking.winner is not None and ranking.winner != before:
            return Relaxation(constraint, threshold, ranking.winner, admitted)
    return None


def tightening(
    verdicts: Verdicts, limits: Sequence[Limit], constraint: int, contest: Contest, ranking: Ranking
) -> Tightening | None:
    """How far one threshold can move the other way while the best stays the best; None where it cannot at all.

    To the winner's own number if the rule still chooses it among what is left there; otherwise as far as everything
    stays that the choice hangs on.
    """
    winner = ranking.winner
    if winner is None:
        return None
    limit = limits[constraint]
    values = verdicts.effective[:, constraint]
    hangs = values[list(ranking.deciding)]
    for value in (float(values[winner]), float(hangs.max() if limit.upper else hangs.min())):
        threshold = outward(value, limit)
        if not np.isfinite(value) or limit.shortfall(np.array([threshold]))[0] >= 0:
            continue
        left = meets(limit_at(limit, threshold), values) & verdicts.feasible
        if contest.rank(left).winner == winner:
            return Tightening(constraint, threshold, int(left.sum()))
    return None


def meets(limit: Limit, effective: Floats) -> Flags:
    """Which effective values meet the limit as `judge` sees it."""
    with np.errstate(invalid="ignore"):
        return np.asarray(limit.shortfall(effective) <= max(abs(limit.threshold), 1e-300) * SLACK, dtype=bool)


def limit_at(limit: Limit, threshold: float) -> Limit:
    """The same limit at another threshold."""
    return Limit(limit.upper, threshold, limit.judge, limit.share, limit.exact)


def violation(verdicts: Verdicts) -> Floats:
    """How far each setting is from meeting everything, `[settings]`; NaN for excluded and unknown ones.

    The sum over constraints of the shortfall as a share of the spread of that constraint's numbers over all settings:
    units differ, so each is measured by how much settings differ in it. An infinite shortfall stays infinite.
    """
    total = np.zeros(len(verdicts.status))
    for j in range(verdicts.effective.shape[1]):
        values = verdicts.effective[:, j]
        finite = values[np.isfinite(values)]
        spread = float(finite.max() - finite.min()) if len(finite) else 0.0
        missing = np.maximum(verdicts.shortfall[:, j], 0.0)
        largest = float(missing[np.isfinite(missing)].max()) if np.isfinite(missing).any() else 0.0
        scale = spread or largest or 1.0
        total = total + missing / scale
    out = (verdicts.status == EXCLUDED) | (verdicts.unknown > 0)
    return np.where(out, np.nan, total)
