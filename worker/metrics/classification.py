"""How well a model predicts: overall and for each subgroup."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from backend.contracts.catalogue import MetricInfo
from backend.contracts.results import Measurement
from worker.metrics._intervals import NONE, Interval, auroc_interval, normal, wilson
from worker.metrics._predictions import Groups, Predictions
from worker.metrics._ranking import Ranking
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

    def measure(self, predictions: Predictions, groups: Groups) -> Iterator[Measurement]:
        """Every metric that the task has, for every subgroup."""
        if predictions.task == "regression":
            yield from _losses(predictions, groups)
            return
        yield from _losses(predictions, groups)
        right = groups.sums(predictions.correct, np.ones(len(predictions.target)))
        for g, (correct, n) in enumerate(right):
            yield _rate("accuracy", predictions, groups, g, correct, n)
        yield from _calibration(predictions, groups)
        yield from _majority(predictions, groups)
        yield from (_binary if predictions.logits.shape[1] == 2 else _multiclass)(predictions, groups)


def _one(
    metric: str, p: Predictions, groups: Groups, g: int, value: float | None, n: float, interval: Interval = NONE
) -> Measurement:
    low, high = NONE if value is None else interval
    return Measurement(
        metric=metric, subgroup=groups.names[g], split=p.split, value=value, n=int(n), low=low, high=high
    )


def _rate(metric: str, p: Predictions, groups: Groups, g: int, hits: float, n: float) -> Measurement:
    return _one(metric, p, groups, g, float(hits / n) if n else None, n, wilson(hits, n))


def _losses(p: Predictions, groups: Groups) -> Iterator[Measurement]:
    for g, mask in enumerate(groups.masks):
        losses = p.losses[mask]
        n = len(losses)
        yield _one("n", p, groups, g, float(n), n)
        value = float(losses.mean()) if n else None
        spread = float(losses.var(ddof=1)) / n if n > 1 else 0.0
        yield _one("loss", p, groups, g, value, n, normal(value, spread, 0.0) if value is not None else NONE)


def _calibration(p: Predictions, groups: Groups) -> Iterator[Measurement]:
    """Sum over bins of |sum of (outcome - probability)| / n: binary tasks take the positive class, others the top one.

    Guo et al. 2017, equation 3, with `BINS` equal-width bins.
    """
    if p.logits.shape[1] == 2:
        confidence, outcome = p.probabilities[:, 1], p.target == 1
    else:
        confidence, outcome = p.probabilities.max(axis=1), p.correct
    bins = np.minimum((confidence * BINS).astype(np.int64), BINS - 1)
    difference = np.zeros((len(p.target), BINS))
    difference[np.arange(len(p.target)), bins] = outcome - confidence
    total = np.abs(groups.weights @ difference).sum(axis=1)
    for g, n in enumerate(groups.masks.sum(axis=1)):
        yield _one("calibration_error", p, groups, g, float(total[g] / n) if n else None, n)


def _majority(p: Predictions, groups: Groups) -> Iterator[Measurement]:
    counts = groups.sums(*(p.predicted == c for c in range(p.logits.shape[1])))
    for g, row in enumerate(counts):
        yield _rate("majority_share", p, groups, g, row.max(), row.sum())


def _binary(p: Predictions, groups: Groups) -> Iterator[Measurement]:
    positive, chosen = p.target == 1, p.predicted == 1
    ranking = Ranking(p.margin, positive)
    table = groups.sums(positive & chosen, ~positive & chosen, positive & ~chosen, ~positive & ~chosen)
    for g, (tp, fp, fn, tn) in enumerate(table):
        positives, negatives = tp + fn, fp + tn
        n = positives + negatives
        yield _rate("tpr", p, groups, g, tp, positives)
        yield _rate("fpr", p, groups, g, fp, negatives)
        yield _rate("selection_rate", p, groups, g, tp + fp, n)
        balanced, variance = None, 0.0
        if positives and negatives:
            a, b = tp / positives, tn / negatives
            balanced = float((a + b) / 2)
            variance = float((a * (1 - a) / positives + b * (1 - b) / negatives) / 4)
        interval = NONE if balanced is None else normal(balanced, variance, 0.0, 1.0)
        yield _one("balanced_accuracy", p, groups, g, balanced, n, interval)
        yield _one("f1", p, groups, g, float(2 * tp / (2 * tp + fp + fn)) if tp + fp + fn else None, n)
        area, spread = ranking.counts(groups.masks[g]).auroc()
        yield _one("auroc", p, groups, g, area, n, auroc_interval(area, spread))


def _multiclass(p: Predictions, groups: Groups) -> Iterator[Measurement]:
    classes = range(p.logits.shape[1])
    rankings = [Ranking(p.probabilities[:, c], p.target == c) for c in classes]
    for g, mask in enumerate(groups.masks):
        target, predicted, n = p.target[mask], p.predicted[mask], int(mask.sum())
        present = [c for c in classes if np.any(target == c)]
        recalls = [float(np.mean(predicted[target == c] == c)) for c in present]
        yield _one("balanced_accuracy", p, groups, g, float(np.mean(recalls)) if present else None, n)
        yield _one("f1", p, groups, g, _mean_f1(target, predicted, classes), n)
        areas = [ranking.counts(mask).auroc()[0] for ranking in rankings]
        known = [a for a in areas if a is not None]
        yield _one("auroc", p, groups, g, float(np.mean(known)) if len(known) == len(areas) else None, n)


def _mean_f1(target: np.ndarray[Any, Any], predicted: np.ndarray[Any, Any], classes: range) -> float | None:
    """Mean F1 over the classes that occur among targets or predictions."""
    scores: list[float] = []
    for c in classes:
        involved = int(np.sum(target == c) + np.sum(predicted == c))
        if involved:
            scores.append(2 * float(np.sum((target == c) & (predicted == c))) / involved)
    return float(np.mean(scores)) if scores else None


PLUGIN = Classification()
