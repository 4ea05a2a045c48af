"""How much better a model is on the rows that it was trained on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from backend.contracts.catalogue import MetricInfo
from worker.metrics._intervals import normal, share
from worker.metrics._predictions import Array, Figure, Groups, Observed, Predictions
from worker.plugins import Metric, NoParams


def _info(name: str, title: str, explanation: str, better: bool | None, **more: Any) -> MetricInfo:
    return MetricInfo(
        name=name,
        title=title,
        explanation=explanation,
        family="generalisation",
        higher_is_better=better,
        kind="utility",
        **more,
    )


class Generalisation(Metric[NoParams]):
    """Training rows against test rows, overall and per subgroup: what membership inference lives on.

    `n` is the smaller number of rows. Intervals are normal ones of a difference of two means.
    """

    name = "generalisation"
    title = "Generalisation"
    summary = "Loss and accuracy on the training rows against the test rows, overall and per subgroup."
    citation = "Yeom et al. 2018, Privacy risk in machine learning: analyzing the connection to overfitting, CSF"
    Params = NoParams
    metrics = (
        _info("train_accuracy", "Accuracy on training rows", "Share of the training rows predicted rightly.", None,
              low=0.0, high=1.0, unit="share of rows"),
        _info("generalisation_gap", "Generalisation gap", "Accuracy on the training rows less that on the test rows.",
              False, low=-1.0, high=1.0, unit="share of rows"),
        _info("loss_generalisation_gap", "Generalisation gap of the loss",
              "Mean loss on the test rows less that on the training rows.", False, unit="nats"),
    )  # fmt: skip

    def measure(self, predictions: Predictions, groups: Groups) -> Iterator[Figure]:
        """Nothing of one part alone."""
        yield from ()

    def compare(self, trained: Observed, tested: Observed) -> Iterator[Figure]:
        """The differences."""
        groups = tested.groups
        yield _difference(
            "loss_generalisation_gap", tested, trained, tested.predictions.losses, trained.predictions.losses
        )
        if tested.predictions.task == "regression":
            return
        right = trained.predictions.correct, tested.predictions.correct
        mean, _ = trained.groups.moments(right[0].astype(float))
        yield Figure("train_accuracy", groups.names, mean, trained.groups.sizes)
        yield _difference("generalisation_gap", trained, tested, *(one.astype(float) for one in right))


def _difference(metric: str, first: Observed, second: Observed, values: Array, less: Array) -> Figure:
    (mean, variance), (other, its) = first.groups.moments(values), second.groups.moments(less)
    n, m = first.groups.sizes, second.groups.sizes
    difference = mean - other
    interval = normal(difference, share(variance, n) + share(its, m))
    return Figure(metric, first.groups.names, difference, (n < m) * n + (n >= m) * m, *interval)


PLUGIN = Generalisation()
