"""AUROC and ROC curves of many subgroups from one sort."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from worker.datasets._table import Integers
from worker.metrics._predictions import Flags, Floats


@dataclass(frozen=True)
class Counts:
    """How many positive and negative rows have each of the distinct scores that occur, in ascending order."""

    positive: Integers
    negative: Integers

    @cached_property
    def totals(self) -> tuple[int, int]:
        """Positive and negative rows."""
        return int(self.positive.sum()), int(self.negative.sum())

    def auroc(self) -> tuple[float | None, float | None]:
        """Area under the ROC curve and its variance (DeLong, DeLong and Clarke-Pearson 1988).

        A positive row's placement is the share of the negative rows below it, ties counting one half; the area is the
        mean of the placements, and their variances give its own. The area is None where one class is absent, the
        variance where either has fewer than two rows.
        """
        m, n = self.totals
        if m == 0 or n == 0:
            return None, None
        above = (np.cumsum(self.negative) - 0.5 * self.negative) / n
        below = (np.cumsum(self.positive) - 0.5 * self.positive) / m
        # Sums of products and not `@`: threads of the linear algebra library cost more than they save here.
        area = float((self.positive * above).sum()) / m
        if m < 2 or n < 2:
            return area, None
        of_positive = float((self.positive * (above - area) ** 2).sum()) / (m - 1)
        of_negative = float((self.negative * (below - (1 - area)) ** 2).sum()) / (n - 1)
        return area, of_positive / m + of_negative / n

    def curve(self) -> Curve:
        """Rates of the rule "positive if score >= threshold" at every distinct score, from (0, 0) to (1, 1)."""
        m, n = self.totals
        return Curve(
            fpr=np.append(0.0, np.cumsum(self.negative[::-1]) / max(1, n)),
            tpr=np.append(0.0, np.cumsum(self.positive[::-1]) / max(1, m)),
        )


@dataclass(frozen=True)
class Curve:
    """A ROC curve: `[distinct scores + 1]` rates, ascending."""

    fpr: Floats
    tpr: Floats


class Ranking:
    """Scores `[rows]` with what is positive `[rows]`, sorted once for all subgroups."""

    def __init__(self, scores: np.ndarray[Any, Any], positive: Flags) -> None:
        order = np.argsort(scores)
        ordered = scores[order]
        self.levels = np.empty(len(scores), np.int64)
        self.levels[order] = np.cumsum(np.append(0, ordered[1:] != ordered[:-1]))[: len(scores)]
        self.positive = positive

    def counts(self, mask: Flags) -> Counts:
        """Counts among the rows of one subgroup."""
        levels, positive = self.levels[mask], self.positive[mask]
        size = int(levels.max()) + 1 if len(levels) else 0
        hits = np.bincount(levels[positive], minlength=size)
        misses = np.bincount(levels[~positive], minlength=size)
        occurring = hits + misses > 0
        return Counts(hits[occurring], misses[occurring])
