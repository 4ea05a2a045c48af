"""Entropy membership inference (Song and Mittal 2021): a sure prediction suggests a training row."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import special

from worker.attacks._target import Target
from worker.plugins import Attack, NoParams


class Entropy(Attack[NoParams]):
    """Score = minus the entropy of the predicted distribution, in nats. Looks at no target: sure and wrong counts too.

    Not defined for regression, whose predictions have no distribution.
    """

    name = "entropy"
    title = "Entropy attack"
    summary = "Guesses that rows were trained on whose prediction is sure, whether it is right or wrong."
    citation = (
        "Song and Mittal 2021, Systematic evaluation of privacy risks of machine learning models, arXiv:2003.10595"
    )
    Params = NoParams

    def undefined(self, target: Target, params: NoParams) -> str | None:
        """Regression has no entropy."""
        return "Predictions of a regression have no entropy." if target.task == "regression" else None

    def score(self, target: Target, params: NoParams) -> np.ndarray[Any, Any]:
        """Sum over classes of p log p, `[..., candidates]`."""
        log_p = special.log_softmax(target.logits.astype(np.float64), axis=-1)
        return np.asarray((np.exp(log_p) * log_p).sum(axis=-1))


PLUGIN = Entropy()
