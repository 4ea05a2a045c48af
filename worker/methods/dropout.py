"""Dropout: each hidden unit is left out at random in every step."""

from __future__ import annotations

import torch

from worker.plugins import Method, Params, param
from worker.training.objective import Objective

#: After which layers units are left out.
ACTIVATIONS = (torch.nn.ReLU, torch.nn.Tanh, torch.nn.GELU, torch.nn.SiLU, torch.nn.ELU)


class DropoutParams(Params):
    """How much is left out."""

    rate: float = param(
        0.5, "Dropout rate", "Chance that a hidden unit is left out of a step.", ge=0, lt=1, sweepable=True
    )


class _WithDropout(Objective):
    def __init__(self, rate: float) -> None:
        self.rate = rate

    def prepare(self, module: torch.nn.Module) -> torch.nn.Module:
        # Forward hooks add no layer: weights keep their names, and a model of any shape can be trained.
        for layer in module.modules():
            if isinstance(layer, ACTIVATIONS):
                layer.register_forward_hook(self._drop)
        return module

    def _drop(self, layer: torch.nn.Module, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.dropout(output, self.rate, training=layer.training)


class Dropout(Method[DropoutParams]):
    """Dropout after every hidden activation; what stays is scaled by 1 / (1 - rate), and all units predict."""

    name = "dropout"
    title = "Dropout"
    summary = "Ordinary training that leaves hidden units out at random: a simple defence against membership inference."
    citation = "Srivastava et al. 2014, Dropout: a simple way to prevent neural networks from overfitting, JMLR 15"
    Params = DropoutParams

    def objective(self, params: DropoutParams) -> Objective:
        """The module with dropout."""
        return _WithDropout(params.rate)


PLUGIN = Dropout()
