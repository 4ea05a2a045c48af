"""Which subgroup is the worst off, where the seeds hold it apart from every other one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from backend.analysis.significance import FEWEST_PAIRS, LEVEL, MOST_EXACT, holm, wilcoxon
from backend.analysis.table import Floats


@dataclass(frozen=True)
class Worst:
    """The subgroup, its Holm-corrected p-value, and the fewest pairs of seeds that it was compared over."""

    subgroup: str
    p: float
    pairs: int


def worst(settings: Sequence[Mapping[str, Floats]], *, higher_is_better: bool) -> Worst | None:
    """The subgroup that is worse off than each other one under every setting, or None where the seeds leave doubt.

    `settings`: of each setting the metric of every subgroup by seed, `[seeds]`, the same seeds for all subgroups of one
    setting; NaN where one has none. That one subgroup is the worst is shown by the weakest of its comparisons
    (intersection-union test, Berger 1982): its p-value is the largest of the exact one-sided Wilcoxon signed-rank tests
    against each other subgroup under each setting. Any subgroup might have been the one, so Holm's correction is over
    the subgroups. With fewer than six pairs in any comparison there is no answer.

    >>> seeds = np.arange(8.0)
    >>> found = worst([{"a": seeds, "b": seeds + 1 + seeds / 9}], higher_is_better=False)
    >>> found.subgroup, found.p, found.pairs
    ('b', 0.0078125, 8)
    """
    names = sorted(set().union(*settings)) if settings else []
    if len(names) < 2 or any(set(one) != set(names) for one in settings):
        return None
    # The larger number is the worse one from here on.
    signed = [{name: values * (-1.0 if higher_is_better else 1.0) for name, values in one.items()} for one in settings]
    p_of = []
    fewest = None
    for name in names:
        p_values = []
        for one in signed:
            for other in names:
                if other == name:
                    continue
                pairs = int((np.isfinite(one[name]) & np.isfinite(one[other])).sum())
                fewest = pairs if fewest is None else min(fewest, pairs)
                if not FEWEST_PAIRS <= pairs <= MOST_EXACT:
                    return None
                test = wilcoxon(one[name], one[other])
                # Ranks and means have to point the same way.
                worse = test.rank_difference > 0 and test.mean_difference > 0
                # The null distribution is symmetric: half of the two-sided p is in each tail.
                p_values.append(test.p / 2 if worse else 1.0)
                if not worse:
                    break
        p_of.append(max(p_values))
    corrected = holm(p_of)
    best = int(np.argmin(p_of))
    return Worst(names[best], corrected[best], int(fewest or 0)) if corrected[best] < LEVEL else None
