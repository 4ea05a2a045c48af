"""How differently a model treats the subgroups of an attribute."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from backend.contracts.catalogue import MetricInfo
from backend.contracts.results import Measurement
from worker.metrics._predictions import Floats, Groups, Predictions
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

    def measure(self, predictions: Predictions, groups: Groups) -> Iterator[Measurement]:
        """Every gap that the task has, for every attribute and intersection asked for."""
        ones = np.ones(len(predictions.target))
        loss = groups.sums(predictions.losses, ones)
        classes = predictions.task != "regression"
        binary = classes and predictions.logits.shape[1] == 2
        if classes:
            accuracy = groups.sums(predictions.correct, ones)
        if binary:
            positive, chosen = predictions.target == 1, predictions.predicted == 1
            selected = groups.sums(chosen, ones)
            hits = groups.sums(positive & chosen, positive)
            alarms = groups.sums(~positive & chosen, ~positive)
        for family, members in groups.families.items():
            index = list(members)
            sizes = loss[index, 1]
            smallest = int(sizes[sizes > 0].min()) if np.any(sizes > 0) else 0

            def one(metric: str, value: float | None, family: str = family, n: int = smallest) -> Measurement:
                return Measurement(metric=metric, subgroup=family, split=predictions.split, value=value, n=n)

            losses = _rates(loss[index])
            yield one("loss_gap", _range(losses))
            yield one("worst_group_loss", float(losses.max()) if len(losses) else None)
            if classes:
                rates = _rates(accuracy[index])
                yield one("accuracy_gap", _range(rates))
                yield one("worst_group_accuracy", float(rates.min()) if len(rates) else None)
            if binary:
                yield one("demographic_parity_difference", _range(_rates(selected[index])))
                odds = [_range(_rates(hits[index])), _range(_rates(alarms[index]))]
                known = [gap for gap in odds if gap is not None]
                yield one("equalized_odds_difference", max(known) if known else None)


def _rates(sums: Floats) -> Floats:
    """Numerator / denominator of `[groups, 2]`, without the groups whose denominator is zero."""
    there = sums[:, 1] > 0
    return np.asarray(sums[there, 0] / sums[there, 1])


def _range(rates: Floats) -> float | None:
    return float(rates.max() - rates.min()) if len(rates) >= 2 else None


PLUGIN = Gaps()
