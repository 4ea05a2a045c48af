"""Utility against membership privacy in one number."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import reduce

import numpy as np

from backend.contracts.catalogue import MetricInfo
from worker.attacks._report import ADVANTAGE
from worker.metrics._predictions import Figure, Groups, Predictions
from worker.plugins import Metric, NoParams
from worker.registry import registry


class MembershipTradeOff(Metric[NoParams]):
    """P1 = 2 acc (1 - adv) / (acc + 1 - adv), adv being the highest advantage of all attacks that a study makes.

    The harmonic mean of accuracy and of what the best attack leaves. An advantage below 0 counts as 0. Which attacks
    were made decides it: compare studies with the same ones. The highest of several is a little higher than the best
    one's own, as every maximum of noisy numbers is.
    """

    name = "membership_trade_off"
    title = "Utility against membership"
    summary = "Highest advantage of all attacks, and its harmonic trade-off with accuracy (P1), per subgroup."
    citation = "Hu, Zhang and Wei 2024, Defending membership inference attacks via privacy-aware sparsity tuning"
    Params = NoParams
    metrics = (
        MetricInfo(
            name="highest_advantage", title="Highest attack advantage", family="membership_trade_off", kind="attack",
            explanation="True less false positive rate of the membership-inference attack that has most of it.",
            higher_is_better=False, low=-1.0, high=1.0,
        ),
        MetricInfo(
            name="p1", title="P1 (accuracy against membership)", family="membership_trade_off", kind="attack",
            explanation="Harmonic mean of accuracy and of one less the highest attack advantage; 1 is best.",
            higher_is_better=True, low=0.0, high=1.0,
        ),
    )  # fmt: skip

    def measure(self, predictions: Predictions, groups: Groups) -> Iterator[Figure]:
        """Nothing of one part alone."""
        yield from ()

    def conclude(self, figures: Mapping[str, Figure]) -> Iterator[Figure]:
        """Of the attacks that have an advantage; nothing where there is none or no accuracy."""
        names = (f"{one.plugin.name}_{ADVANTAGE}" for one in registry().all("attack"))
        found = [figures[name] for name in names if name in figures]
        accuracy = figures.get("accuracy")
        if not found or accuracy is None:
            return
        highest = reduce(np.fmax, (one.value for one in found))
        yield Figure("highest_advantage", found[0].subgroups, highest, found[0].n)
        left = 1 - np.maximum(highest, 0)
        with np.errstate(divide="ignore", invalid="ignore"):
            value = 2 * accuracy.value * left / (accuracy.value + left)
        yield Figure("p1", found[0].subgroups, value, found[0].n)


PLUGIN = MembershipTradeOff()
