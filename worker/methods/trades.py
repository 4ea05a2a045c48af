"""TRADES: accuracy on clean inputs against how much perturbed ones change the prediction."""

from __future__ import annotations

import torch
from torch.nn import functional

from worker.methods._adversarial import AdversaryParams, evaluating
from worker.plugins import Method, param
from worker.training.adversary import ascend
from worker.training.losses import per_record
from worker.training.objective import Objective, Step

#: Deviation of the noise with which the search begins, as in the authors' published code.
START = 1e-3


class TradesParams(AdversaryParams):
    """The perturbation and what it counts."""

    strength: float = param(
        6.0,
        "Strength",
        "Weight of the change of prediction against the clean loss (beta, 1 / lambda in the paper).",
        ge=0,
        le=1000,
        sweepable=True,
        log=True,
    )


class _Traded(Objective):
    def __init__(self, params: TradesParams) -> None:
        self.params = params

    def losses(self, step: Step) -> torch.Tensor:
        params = self.params
        clean = step.module(step.features)
        losses = per_record(clean, step.target, step.task)
        if not params.perturbation or not params.strength:
            return losses
        ball, fixed = params.ball(step), clean.detach()
        start = ball.project(step.features + START * torch.randn_like(step.features), step.features)
        with evaluating(step.module):
            fixed = step.module(step.features).detach()
            moved = ascend(
                lambda here: change(step.module(here), fixed, step.task),
                step.features,
                ball,
                steps=params.steps,
                step_size=params.stride,
                start=start if params.random_start else step.features,
            )
        return losses + params.strength * change(step.module(moved), clean, step.task)


def change(moved: torch.Tensor, clean: torch.Tensor, task: str) -> torch.Tensor:
    """`[records]` Kullback-Leibler divergence of the clean prediction from the moved one; for regression its square."""
    if task == "regression":
        return (moved[:, 0] - clean[:, 0]) ** 2
    return functional.kl_div(moved.log_softmax(dim=1), clean.log_softmax(dim=1), reduction="none", log_target=True).sum(
        dim=1
    )


class Trades(Method[TradesParams]):
    """Clean loss plus strength x KL(f(x) || f(x')), x' being sought to maximise that divergence."""

    name = "trades"
    title = "TRADES"
    summary = "Adversarial training that weighs accuracy on clean inputs against stability under perturbation."
    citation = "Zhang et al. 2019, Theoretically principled trade-off between robustness and accuracy, ICML"
    Params = TradesParams

    def objective(self, params: TradesParams) -> Objective:
        """The two parts."""
        return _Traded(params)


PLUGIN = Trades()
