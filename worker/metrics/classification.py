"""How well a model predicts: overall and for each subgroup."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from scipy import special

from backend.contracts.catalogue import MetricInfo
from worker.metrics._intervals import auroc_interval, normal, share, wilson
from worker.metrics._predictions import Array, Figure, Floats, Groups, Predictions
from worker.metrics._ranking import rank
from worker.plugins import Metric, NoParams

#: Equal-width bins of predicted probability in the calibration error.
BINS = 15


def _info(name: str, title: str, explanation: str, better: bool | None, **more: Any) -> MetricInfo:
    scale: dict[str, Any] = {"low": 0.0, "high": 1.0, "unit": "share of rows"}
    return MetricInfo(
        name=name,
        title=title,
        explanation=explanation,
        family="classification",
        higher_is_better=better,
        kind="utility",
        **{**scale, **more},
    )


class Classification(Metric[NoParams]):
    """Binary tasks have all of them; with more classes F1 and AUROC are means over classes, and rates are left out.

    Rates have Wilson intervals, mean loss a normal one, AUROC DeLong's. `n` is the number of rows that the figure
    divides by: the positives for a true positive rate.
    """

    name = "classification"
    title = "Prediction quality"
    summary = "Loss, accuracy, AUROC, error rates and calibration, overall and per subgroup."
    citation = "Guo et al. 2017, On calibration of modern neural networks, arXiv:1706.04599 (calibration error)"
    Params = NoParams
    metrics = (
        _info("n", "Rows", "How many rows of the split belong to the subgroup.", None, high=None, unit="rows"),
        _info("loss", "Loss", "Mean cross-entropy of the predictions; lower is better, and 0 is perfect certainty.",
              False, high=None, unit="nats"),
        _info("accuracy", "Accuracy", "Share of rows whose class is predicted rightly.", True),
        _info("balanced_accuracy", "Balanced accuracy",
              "Mean over the classes of the share predicted rightly; 0.5 for a constant guess between two.", True),
        _info("f1", "F1 score", "Harmonic mean of precision and recall of the positive class (mean over more classes).",
              True, unit=""),
        _info("auroc", "AUROC", "Chance that a positive row scores above a negative one; 0.5 is guessing.", True,
              unit=""),
        _info("tpr", "True positive rate", "Share of the positive rows that are predicted positive.", True),
        _info("fpr", "False positive rate", "Share of the negative rows that are predicted positive.", False),
        _info("selection_rate", "Share predicted positive", "Share of rows for which the positive class is predicted.",
              None),
        _info("calibration_error", "Calibration error",
              "How far predicted probabilities lie from observed frequencies, on average over 15 bins.", False,
              unit="probability"),
        _info("majority_share", "Most predicted class",
              "Share of rows that get the class predicted most often; near 1 the model is a constant.", None),
    )  # fmt: skip

    def measure(self, predictions: Predictions, groups: Groups) -> Iterator[Figure]:
        """Every metric that the task has, for every subgroup."""
        n, losses = groups.sizes, predictions.losses
        mean, variance = groups.moments(losses)
        yield Figure("n", groups.names, n, n)
        yield Figure("loss", groups.names, mean, n, *normal(mean, share(variance, n), 0.0))
        if predictions.task == "regression":
            return
        classes = predictions.outputs
        actual = groups.counts(predictions.target, classes)
        predicted = groups.counts(predictions.predicted, classes)
        hits = groups.counts(predictions.target, classes, predictions.correct)
        yield _rate("accuracy", groups, hits.sum(axis=-1), n)
        yield Figure("calibration_error", groups.names, _calibration_error(predictions, groups), n)
        yield _rate("majority_share", groups, predicted.max(axis=-1), n)
        if classes == 2:
            yield from _binary(predictions, groups, actual, predicted, hits)
        else:
            yield from _multiclass(predictions, groups, actual, predicted, hits)


def _rate(metric: str, groups: Groups, hits: Array, n: Array) -> Figure:
    return Figure(metric, groups.names, share(hits, n), n, *wilson(hits, n))


def _calibration_error(p: Predictions, groups: Groups) -> Floats:
    """Sum over bins of |sum of (outcome - probability)| / n: binary tasks take the positive class, others the top one.

    Guo et al. 2017, equation 3, with `BINS` equal-width bins.
    """
    confidence: Floats
    if p.outputs == 2:
        confidence, outcome = special.expit(p.margin), p.target == 1
    else:
        confidence, outcome = p.probabilities.max(axis=-1), p.correct
    bins = np.minimum((confidence * BINS).astype(np.int64), BINS - 1)
    return share(np.abs(groups.counts(bins, BINS, outcome - confidence)).sum(axis=-1), groups.sizes)


def _binary(p: Predictions, groups: Groups, actual: Floats, predicted: Floats, hits: Floats) -> Iterator[Figure]:
    """From counts `[..., groups, 2]` of rows by their class, by the predicted one, and of those predicted rightly."""
    n, positives, negatives = groups.sizes, actual[..., 1], actual[..., 0]
    chosen, tp, tn = predicted[..., 1], hits[..., 1], hits[..., 0]
    yield _rate("tpr", groups, tp, positives)
    yield _rate("fpr", groups, negatives - tn, negatives)
    yield _rate("selection_rate", groups, chosen, n)
    a, b = share(tp, positives), share(tn, negatives)
    spread = (share(a * (1 - a), positives) + share(b * (1 - b), negatives)) / 4
    yield Figure("balanced_accuracy", groups.names, (a + b) / 2, n, *normal((a + b) / 2, spread, 0.0, 1.0))
    yield Figure("f1", groups.names, share(2 * tp, chosen + positives), n)
    ranking = rank(p.margin, p.target == 1, groups)
    yield Figure("auroc", groups.names, ranking.area, n, *auroc_interval(ranking.area, ranking.variance))


def _multiclass(p: Predictions, groups: Groups, actual: Floats, predicted: Floats, hits: Floats) -> Iterator[Figure]:
    """From the same counts: means over the classes that occur; F1 over those that occur or are predicted."""
    n, there = groups.sizes, actual > 0
    recalls = np.where(there, share(hits, actual), 0.0)
    yield Figure("balanced_accuracy", groups.names, share(recalls.sum(axis=-1), there.sum(axis=-1)), n)
    involved = actual + predicted
    scores = np.where(involved > 0, share(2 * hits, involved), 0.0)
    yield Figure("f1", groups.names, share(scores.sum(axis=-1), (involved > 0).sum(axis=-1)), n)
    areas = [rank(p.probabilities[..., c], p.target == c, groups).area for c in range(p.outputs)]
    yield Figure("auroc", groups.names, np.mean(areas, axis=0), n)


PLUGIN = Classification()
