"""RelaxLoss: the training loss is kept at a level that other rows reach too."""

from __future__ import annotations

import torch
from torch.nn import functional

from worker.plugins import Method, Params, param
from worker.training.objective import Objective, Step


class RelaxLossParams(Params):
    """The level, and how far posteriors are flattened."""

    level: float = param(
        0.5, "Target loss", "Mean loss that training does not go below.", unit="nats", ge=0, le=20, sweepable=True
    )
    upper: float = param(
        1.0,
        "Highest confidence",
        "Of the right class in flattened posteriors.",
        unit="probability",
        gt=0,
        le=1,
        advanced=True,
    )


class _Relaxed(Objective):
    #: What a record adds depends on the mean loss of its batch.
    separable = False

    def __init__(self, params: RelaxLossParams) -> None:
        self.params = params

    def losses(self, step: Step) -> torch.Tensor:
        if step.task == "regression":
            return (super().losses(step).mean() - self.params.level).abs().expand(len(step.target))
        logits: torch.Tensor = step.module(self.inputs(step))
        losses = functional.cross_entropy(logits, step.target, reduction="none")
        mean = losses.mean()
        if step.epoch % 2 == 0:
            return (mean - self.params.level).abs().expand_as(losses)
        if mean > self.params.level:
            return losses
        wrong = (logits.argmax(dim=1) != step.target).to(losses.dtype)
        return wrong * functional.cross_entropy(logits, self._flat(logits, step.target), reduction="none") - losses

    def _flat(self, logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """`[records, classes]`: the right class as sure as it is, the others alike. Differentiated as published."""
        classes = logits.shape[1]
        right = logits.softmax(dim=1).gather(1, target[:, None]).clamp(max=self.params.upper)
        others = ((1 - right) / (classes - 1)).expand(-1, classes)
        return others.scatter(1, target[:, None], right)


class RelaxLoss(Method[RelaxLossParams]):
    """Even epochs: |mean loss - level|. Odd epochs: the mean loss while it is above the level, and below it, where the
    model is wrong, cross-entropy to a flattened posterior, less the plain loss of every record.

    As in the authors' published code, whose soft targets keep their gradient. For regression every epoch is an even
    one.
    """

    name = "relax_loss"
    title = "RelaxLoss"
    summary = "Keeps the training loss at a level and flattens what is predicted of other classes."
    citation = "Chen, Yu and Fritz 2022, RelaxLoss: defending membership inference attacks without losing utility, ICLR"
    Params = RelaxLossParams

    def objective(self, params: RelaxLossParams) -> Objective:
        """The relaxed loss."""
        return _Relaxed(params)


PLUGIN = RelaxLoss()
