"""Seeds that a study needs: for p to pass its correction at all, and to find an effect with 80 % power."""

from __future__ import annotations

import math

from scipy import special, stats

from backend.analysis.significance import LEVEL, smallest_p

POWER = 0.8
#: More seeds than this are not looked for.
MOST_SEEDS = 1000


def seeds_for_floor(tests: int, level: float = LEVEL) -> int:
    """Fewest pairs with which the smallest exact two-sided p, 2^(1 - n), passes when corrected for `tests` tests.

    Holm's first step and Bonferroni ask the same: p times the number of tests below the level. Exact tests by ranks
    and by flipped signs have the same floor.

    >>> [seeds_for_floor(tests) for tests in (1, 6, 25, 26, 54)]
    [6, 8, 10, 11, 12]
    """
    seeds = 1
    while smallest_p(seeds) * max(1, tests) >= level:
        seeds += 1
    return seeds


def most_tests(seeds: int, level: float = LEVEL) -> int:
    """The largest family in which one test can still pass with so many pairs.

    >>> [most_tests(seeds) for seeds in (5, 6, 10, 12)]
    [0, 1, 25, 102]
    """
    return max(0, math.ceil(level / smallest_p(seeds)) - 1)


def power_of_t(effect: float, deviation: float, seeds: int, level: float = LEVEL) -> float:
    """Power of the paired t test, two-sided: noncentral t with n - 1 degrees and shift sqrt(n) effect / deviation.

    `effect` is the mean paired difference to be found, `deviation` the standard deviation of the paired differences.
    """
    if seeds < 2:
        return 0.0
    if deviation <= 0:
        return 1.0 if effect else 0.0
    critical = float(special.stdtrit(seeds - 1, 1 - level / 2))
    shift = abs(effect) / deviation * math.sqrt(seeds)
    law = stats.nct(seeds - 1, shift)
    return float(law.sf(critical) + law.cdf(-critical))


def seeds_for_effect(
    effect: float, deviation: float, *, tests: int = 1, power: float = POWER, level: float = LEVEL
) -> int | None:
    """Fewest seeds that find the effect with this power, the level divided by `tests` (Bonferroni).

    Never fewer than the exact tests' floor. The signed-rank test loses little on the t test for normal differences
    (asymptotic relative efficiency 3 / pi), for which the number is divided by that. None beyond `MOST_SEEDS`.
    """
    if not effect or not math.isfinite(effect) or not math.isfinite(deviation):
        return None
    own = level / max(1, tests)
    low, high = 1, 2
    while power_of_t(effect, deviation, high, own) < power:
        low, high = high, 2 * high
        if low > MOST_SEEDS:
            return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if power_of_t(effect, deviation, middle, own) >= power else (middle, high)
    needed = max(seeds_for_floor(tests, level), math.ceil(high * math.pi / 3))
    return needed if needed <= MOST_SEEDS else None
