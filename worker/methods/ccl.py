"""Convex-concave loss: training losses that spread instead of shrinking to zero."""

from __future__ import annotations

from typing import Literal

import torch
from torch.nn import functional

from worker.plugins import Method, Params, param
from worker.training.objective import Objective, Step


class CclParams(Params):
    """How the two parts are mixed."""

    convex: float = param(
        0.5, "Weight of the convex part", "Of cross-entropy; the concave part has the rest.", ge=0, le=1, sweepable=True
    )
    concave: Literal["exponential", "quadratic"] = param(
        "exponential", "Concave part", "exponential: -exp(p). quadratic: -(p + p^2 / 2).", sweepable=True, advanced=True
    )
    scale: float = param(1.0, "Scale", "Of the whole loss.", gt=0, le=100, advanced=True)


class _ConvexConcave(Objective):
    def __init__(self, params: CclParams) -> None:
        self.params = params

    def losses(self, step: Step) -> torch.Tensor:
        if step.task == "regression":
            return super().losses(step)
        entropy = functional.cross_entropy(step.module(self.inputs(step)), step.target, reduction="none")
        right = torch.exp(-entropy)
        curved = torch.exp(right) if self.params.concave == "exponential" else right + right.square() / 2
        return self.params.scale * (self.params.convex * entropy - (1 - self.params.convex) * curved)


class Ccl(Method[CclParams]):
    """a CE - (1 - a) exp(p_y), or with the first two terms of that series; p_y the probability of the right class.

    As in the authors' published code (CCEL and CCQL). For regression it is plain training.
    """

    name = "ccl"
    title = "Convex-concave loss"
    summary = "Adds a concave loss to cross-entropy, so that training losses vary more and tell less of membership."
    citation = "Liu et al. 2024, Mitigating privacy risk in membership inference by convex-concave loss, ICML"
    Params = CclParams

    def objective(self, params: CclParams) -> Objective:
        """The mixed loss."""
        return _ConvexConcave(params)


PLUGIN = Ccl()
