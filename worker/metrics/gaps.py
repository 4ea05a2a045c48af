"""How differently a model treats the subgroups of an attribute."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from backend.contracts.catalogue import MetricInfo
from worker.metrics._intervals import share
from worker.metrics._predictions import Array, Figure, Floats, Groups, Predictions
from worker.plugins import Metric, NoParams


def _info(name: str, title: str, explanation: str, better: bool | None, **more: Any) -> MetricInfo:
    scale: dict[str, Any] = {"low": 0.0, "high": 1.0, "unit": "share of rows"}
    return MetricInfo(
        name=name,
        title=title,
        explanation=explanation,
        family="gaps",
        higher_is_better=better,
        kind="fairness",
        **{**scale, **more},
    )


class Gaps(Metric[NoParams]):
    """One figure per attribute or intersection; `subgroup` holds its name, such as "sex" or "sex & race".

    Each compares the best treated subgroup with the worst, as fairlearn's differences "between groups" do. Subgroups
    without rows (or without positives, for a true positive rate) are left out; with fewer than two left the gap is
    None. `n` is the size of the smallest subgroup compared: it decides how far the figure can be trusted. A gap is
    small for a useless model too, so read it beside the loss.
    """

    name = "gaps"
    title = "Subgroup gaps"
    summary = "Largest differences between subgroups: loss, accuracy, demographic parity, equalised odds."
    citation = "Hardt, Price and Srebro 2016, Equality of opportunity in supervised learning, arXiv:1610.02413"
    Params = NoParams
    metrics = (
        _info("loss_gap", "Loss gap", "Mean loss of the subgroup with the highest, less that with the lowest.",
              False, high=None, unit="nats"),
        _info("accuracy_gap", "Accuracy gap", "Accuracy of the subgroup predicted best, less that of the worst.",
              False),
        _info("worst_group_accuracy", "Worst subgroup's accuracy", "Accuracy of the subgroup predicted worst.", True),
        _info("worst_group_loss", "Worst subgroup's loss", "Mean loss of the subgroup with the highest.", False,
              high=None, unit="nats"),
        _info("demographic_parity_difference", "Demographic parity difference",
              "Largest difference between subgroups in the share predicted positive.", False),
        _info("equalized_odds_difference", "Equalised odds difference",
              "Largest difference between subgroups in true or in false positive rate, whichever is larger.", False),
    )  # fmt: skip

    def measure(self, predictions: Predictions, groups: Groups) -> Iterator[Figure]:
        """Every gap that the task has, for every attribute and intersection asked for."""
        families = tuple(groups.families)
        smallest = np.array([_smallest(groups.sizes[list(members)]) for members in groups.families.values()])

        def figure(metric: str, of: Callable[[Floats], Floats], rates: Array) -> Figure:
            each = [of(rates[..., list(members)]) for members in groups.families.values()]
            return Figure(metric, families, np.stack(each, axis=-1) if each else np.zeros(0), smallest)

        loss = share(groups.sums(predictions.losses), groups.sizes)
        yield figure("loss_gap", _range, loss)
        yield figure("worst_group_loss", _highest, loss)
        if predictions.task == "regression":
            return
        accuracy = share(groups.sums(predictions.correct), groups.sizes)
        yield figure("accuracy_gap", _range, accuracy)
        yield figure("worst_group_accuracy", lambda rates: -_highest(-rates), accuracy)
        if predictions.outputs == 2:
            chosen = groups.counts(predictions.target, 2, predictions.predicted)
            rows = groups.counts(predictions.target, 2)
            selected = share(chosen.sum(axis=-1), groups.sizes)
            yield figure("demographic_parity_difference", _range, selected)
            alarms, hits = (share(chosen[..., c], rows[..., c]) for c in range(2))
            odds = [figure("equalized_odds_difference", _range, rates) for rates in (hits, alarms)]
            yield replace(odds[0], value=np.fmax(odds[0].value, odds[1].value))


def _smallest(sizes: Array) -> int:
    """Rows of the smallest subgroup that has any."""
    return int(sizes[sizes > 0].min()) if np.any(sizes > 0) else 0


def _highest(rates: Floats) -> Floats:
    """`[..., groups]` to `[...]`: the highest of those that are defined; NaN where none is."""
    known = ~np.isnan(rates)
    return np.where(known.any(axis=-1), np.where(known, rates, -np.inf).max(axis=-1, initial=-np.inf), np.nan)


def _range(rates: Floats) -> Floats:
    """`[..., groups]` to `[...]`: the highest less the lowest; NaN where fewer than two are defined."""
    several = (~np.isnan(rates)).sum(axis=-1) >= 2
    return np.where(several, _highest(rates) + _highest(-rates), np.nan)


PLUGIN = Gaps()
