"""What methods of adversarial training share: the perturbation that a model is trained to withstand."""

from __future__ import annotations

from typing import Literal

import torch

from worker.plugins import Params, param
from worker.training.adversary import Ball, ascend
from worker.training.losses import per_record
from worker.training.objective import Objective, Step


class AdversaryParams(Params):
    """The perturbation and how it is sought."""

    norm: Literal["linf", "l2"] = param(
        "linf",
        "Norm",
        "linf: every feature moves by at most the perturbation. l2: their distance does.",
        sweepable=True,
    )
    perturbation: float = param(
        0.1,
        "Perturbation",
        "How far inputs may be moved, in the units of the features (pixels from 0 to 1, say); 0 is plain training.",
        unit="feature units",
        ge=0,
        le=1e6,
        sweepable=True,
        refers_to="bounds",
    )
    steps: int = param(
        10, "Attack steps", "Steps of gradient ascent for each batch.", unit="steps", ge=1, le=1000, sweepable=True
    )
    step_size: float | None = param(
        None,
        "Attack step size",
        "In the units of the features. Empty: 2.5 times the perturbation divided by the steps.",
        gt=0,
        le=1e6,
        sweepable=True,
        advanced=True,
    )
    random_start: bool = param(
        True, "Random start", "Whether the attack begins at a random point of the ball.", advanced=True
    )

    def ball(self, step: Step) -> Ball:
        """Where inputs may be moved to."""
        return Ball(self.norm, self.perturbation, step.domain.bounds)

    @property
    def stride(self) -> float:
        """Length of a step."""
        return self.step_size or 2.5 * self.perturbation / self.steps


class Perturbed(Objective):
    """Training on the inputs that PGD finds."""

    def __init__(self, params: AdversaryParams) -> None:
        self.params = params

    def inputs(self, step: Step) -> torch.Tensor:
        """`[records, inputs]`; each record's depends on that record and the weights alone."""
        params = self.params
        if not params.perturbation:
            return step.features
        ball = params.ball(step)
        start = ball.random(step.features) if params.random_start else None
        with evaluating(step.module):
            return ascend(
                lambda moved: per_record(step.module(moved), step.target, step.task),
                step.features,
                ball,
                steps=params.steps,
                step_size=params.stride,
                start=start,
                quietly=step.quietly,
            )


class evaluating:  # noqa: N801
    """Within it a module is in evaluation mode, and afterwards in the one it was in."""

    def __init__(self, module: torch.nn.Module) -> None:
        self.module = module

    def __enter__(self) -> None:
        self.training = self.module.training
        self.module.eval()

    def __exit__(self, *_: object) -> None:
        self.module.train(self.training)
