"""PAST: L1 regularisation that weighs each parameter by how much it tells of membership."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import torch

from worker.plugins import Method, Params, param
from worker.training.losses import per_record
from worker.training.objective import Objective, Step


class PastParams(Params):
    """How strong, how focused, and when."""

    strength: float = param(
        1e-4, "Strength", "Times the weighted sum of absolute weights.", ge=0, sweepable=True, log=True
    )
    focus: float = param(
        2.5,
        "Focusing exponent",
        "Of the sensitivity: 0 is plain L1, larger values spare parameters that tell little.",
        ge=0,
        le=10,
        sweepable=True,
    )
    tuning_epochs: int = param(
        20,
        "Tuning epochs",
        "The last epochs of training, in which the penalty counts; before them training is plain.",
        unit="epochs",
        ge=1,
        le=1000,
        sweepable=True,
    )
    recompute: Literal["once", "epoch", "step"] = param(
        "epoch",
        "Sensitivity is computed",
        "Once when tuning begins, in each of its epochs, or in each step.",
        sweepable=True,
    )
    sample: int = param(
        1000,
        "Sample",
        "Members, and as many rows of the inference set, through which the loss gap is seen.",
        unit="rows",
        ge=2,
        le=1_000_000,
        advanced=True,
    )


class _Tuned(Objective):
    separable = False

    def __init__(self, params: PastParams) -> None:
        self.params = params
        self.weights: list[torch.Tensor] = []

    def penalty(self, step: Step) -> torch.Tensor | None:
        params = self.params
        if step.epoch < step.epochs - params.tuning_epochs:
            return None
        due = {"once": False, "epoch": step.first_of_epoch, "step": True}[params.recompute]
        if due or not self.weights:
            gap = loss_gap(step, params.sample)
            found = torch.autograd.grad(gap, step.parameters, allow_unused=True)
            gradients = [torch.zeros_like(p) if g is None else g for p, g in zip(step.parameters, found, strict=True)]
            self.weights = sensitivity(gradients, modules(step.module, step.parameters))
        weighted = (
            (w.to(p.device) ** params.focus * p.abs()).sum() for w, p in zip(self.weights, step.parameters, strict=True)
        )
        return params.strength * torch.stack(list(weighted)).sum()

    def tensors(self) -> dict[str, torch.Tensor]:
        return {f"weight.{number}": weight for number, weight in enumerate(self.weights)}

    def restore(self, tensors: Mapping[str, torch.Tensor]) -> None:
        self.weights = [tensors[f"weight.{number}"] for number in range(len(tensors))]


def loss_gap(step: Step, sample: int) -> torch.Tensor:
    """|mean loss of members - mean loss of the inference set|, over at most `sample` rows of each."""
    (members, inside), (others, outside) = step.members(sample), step.inference(sample)
    training = step.module.training
    step.module.eval()
    means = [per_record(step.module(x), y, step.task).mean() for x, y in ((members, inside), (others, outside))]
    step.module.train(training)
    return (means[0] - means[1]).abs()


def modules(module: torch.nn.Module, parameters: Sequence[torch.nn.Parameter]) -> list[list[int]]:
    """Which of the parameters belong to one module (layer), by their numbers."""
    numbers = {id(p): number for number, p in enumerate(parameters)}
    found = ([numbers[id(p)] for p in one.parameters(recurse=False) if id(p) in numbers] for one in module.modules())
    return [group for group in found if group]


def sensitivity(gradients: Sequence[torch.Tensor], groups: Sequence[Sequence[int]]) -> list[torch.Tensor]:
    """gamma_i = |M| |g_i| / sum over j in M of |g_j|, M being the module of parameter i (Hu, Zhang and Wei 2024).

    The gammas of a module add up to its number of parameters, so that they spend what plain L1 spends. Where the
    gradient of a whole module is 0, each is 1. Magnitudes are taken, which the paper's formula leaves open.
    """
    weights = [torch.ones_like(g) for g in gradients]
    for group in groups:
        total = torch.stack([gradients[i].abs().sum() for i in group]).sum()
        count = sum(gradients[i].numel() for i in group)
        if total > 0:
            for i in group:
                weights[i] = count * gradients[i].abs() / total
    return weights


class Past(Method[PastParams]):
    """mean loss + strength x sum gamma_i^focus |w_i| in the tuning epochs; gamma is not differentiated."""

    name = "past"
    title = "PAST"
    summary = "Privacy-aware sparsity tuning: shrinks the parameters whose gradient of the loss gap is largest."
    citation = "Hu, Zhang and Wei 2024, Defending membership inference attacks via privacy-aware sparsity tuning"
    needs_inference_set = True
    Params = PastParams

    def objective(self, params: PastParams) -> Objective:
        """The penalty of the tuning phase."""
        return _Tuned(params)


PLUGIN = Past()
