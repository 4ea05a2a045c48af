"""Modified-entropy membership inference (Song and Mittal 2021): entropy that knows which class is right."""

from __future__ import annotations

from typing import Any

import numpy as np

from worker.attacks._references import confidence
from worker.attacks._target import Target
from worker.plugins import Attack, NoParams


class ModifiedEntropy(Attack[NoParams]):
    """Score = (1 - p_y) log p_y + sum over the other classes of p log(1 - p): low if sure and wrong.

    All logarithms come from logits, so that no probability is rounded to 0 or 1. Not defined for regression. Song and
    Mittal choose a threshold for each class on a shadow model; here all rows are ranked together.
    """

    name = "modified_entropy"
    title = "Modified-entropy attack"
    summary = (
        "Guesses that rows were trained on whose prediction is sure and right; a sure wrong one speaks against it."
    )
    citation = (
        "Song and Mittal 2021, Systematic evaluation of privacy risks of machine learning models, arXiv:2003.10595"
    )
    Params = NoParams

    def undefined(self, target: Target, params: NoParams) -> str | None:
        """Regression has no entropy."""
        return "Predictions of a regression have no entropy." if target.task == "regression" else None

    def score(self, target: Target, params: NoParams) -> np.ndarray[Any, Any]:
        """Minus the modified entropy, `[..., candidates]`."""
        total = np.zeros(target.logits.shape[:-1])
        for label in range(target.logits.shape[-1]):
            odds = confidence(target.logits, np.full(len(target.target), label), target.task)
            # log p = -log(1 + e^-odds), log(1 - p) = -log(1 + e^odds)
            log_p, log_rest = -np.logaddexp(0, -odds), -np.logaddexp(0, odds)
            total += np.where(target.target == label, np.exp(log_rest) * log_p, np.exp(log_p) * log_rest)
        return total


PLUGIN = ModifiedEntropy()
