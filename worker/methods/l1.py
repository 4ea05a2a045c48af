"""L1 regularisation: weights that are not needed become small."""

from __future__ import annotations

import torch

from worker.plugins import Method, Params, param
from worker.training.objective import Objective, Step


class L1Params(Params):
    """How strong it is."""

    strength: float = param(
        1e-4,
        "Strength",
        "Times the sum of the absolute weights, added to the mean loss.",
        ge=0,
        sweepable=True,
        log=True,
    )


class _Penalised(Objective):
    def __init__(self, strength: float) -> None:
        self.strength = strength

    def penalty(self, step: Step) -> torch.Tensor:
        return self.strength * sum(p.abs().sum() for p in step.parameters)  # type: ignore[return-value]


class L1(Method[L1Params]):
    """mean loss + strength x sum |w|, over all weights and biases; the subgradient at 0 is 0."""

    name = "l1"
    title = "L1 regularisation"
    summary = "Ordinary training with a penalty on the absolute weights: a simple defence against membership inference."
    citation = "Tibshirani 1996, Regression shrinkage and selection via the lasso, JRSS B 58(1)"
    Params = L1Params

    def objective(self, params: L1Params) -> Objective:
        """The penalty."""
        return _Penalised(params.strength)


PLUGIN = L1()
