"""Label smoothing: the right class is asked for less than certainly."""

from __future__ import annotations

import torch

from worker.plugins import Method, Params, param
from worker.training.objective import Objective, Step


class LabelSmoothingParams(Params):
    """How much is smoothed."""

    smoothing: float = param(
        0.1, "Smoothing", "Share of the label that is spread evenly over all classes.", ge=0, lt=1, sweepable=True
    )


class _Smoothed(Objective):
    def __init__(self, smoothing: float) -> None:
        self.smoothing = smoothing

    def losses(self, step: Step) -> torch.Tensor:
        if step.task == "regression":
            return super().losses(step)
        logits = step.module(self.inputs(step))
        return torch.nn.functional.cross_entropy(logits, step.target, reduction="none", label_smoothing=self.smoothing)


class LabelSmoothing(Method[LabelSmoothingParams]):
    """Cross-entropy to (1 - s) of the label plus s / K on each of the K classes; plain training for regression."""

    name = "label_smoothing"
    title = "Label smoothing"
    summary = "Trains towards labels that are less than certain, so that members are not predicted with certainty."
    citation = "Szegedy et al. 2016, Rethinking the inception architecture for computer vision, CVPR"
    Params = LabelSmoothingParams

    def objective(self, params: LabelSmoothingParams) -> Objective:
        """The smoothed loss."""
        return _Smoothed(params.smoothing)


PLUGIN = LabelSmoothing()
