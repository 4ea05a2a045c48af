"""L2 regularisation: large weights cost more than they help."""

from __future__ import annotations

import torch

from worker.plugins import Method, Params, param
from worker.training.objective import Objective, Step


class L2Params(Params):
    """How strong it is."""

    strength: float = param(
        1e-3,
        "Strength",
        "Times the sum of the squared weights, added to the mean loss.",
        ge=0,
        sweepable=True,
        log=True,
    )


class _Penalised(Objective):
    def __init__(self, strength: float) -> None:
        self.strength = strength

    def penalty(self, step: Step) -> torch.Tensor:
        return self.strength * sum(p.square().sum() for p in step.parameters)  # type: ignore[return-value]


class L2(Method[L2Params]):
    """mean loss + strength x sum w^2, over all weights and biases: SGD's weight decay of twice the strength."""

    name = "l2"
    title = "L2 regularisation"
    summary = "Ordinary training with a penalty on the squared weights: a simple defence against membership inference."
    citation = "Hoerl and Kennard 1970, Ridge regression, Technometrics 12(1)"
    Params = L2Params

    def objective(self, params: L2Params) -> Objective:
        """The penalty."""
        return _Penalised(params.strength)


PLUGIN = L2()
