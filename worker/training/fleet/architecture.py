"""Which networks the fleet can train: linear layers with one kind of activation between them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import torch

from worker.datasets._table import Domain
from worker.plugins import Model
from worker.training.engine import Work

Activation = Literal["relu", "tanh", "gelu"]
_NAMES: dict[type[torch.nn.Module], Activation] = {
    torch.nn.ReLU: "relu",
    torch.nn.Tanh: "tanh",
    torch.nn.GELU: "gelu",
}


@dataclass(frozen=True)
class Architecture:
    """Inputs, hidden units and outputs, and the activation after each hidden layer."""

    widths: tuple[int, ...]
    activation: Activation


def architecture_of(work: Work) -> Architecture | str:
    """The run's architecture, or why the fleet cannot train it. Read off the module, so that models declare nothing."""
    return _inspect(work.model, work.model_params.model_dump_json(), work.inputs, work.outputs, work.domain)


@lru_cache(maxsize=64)
def _inspect(model: Model[Any], params: str, inputs: int, outputs: int, domain: Domain) -> Architecture | str:
    with torch.random.fork_rng(devices=[]):
        module = model.build(model.Params.model_validate_json(params), inputs, outputs, domain)
    layers = list(module) if isinstance(module, torch.nn.Sequential) else [module]
    widths, activations = [inputs], []
    for place, layer in enumerate(layers):
        if place % 2 == 0:
            if type(layer) is not torch.nn.Linear or layer.bias is None:
                return f"{type(layer).__name__} is not a linear layer with a bias"
            widths.append(layer.out_features)
        elif type(layer) in _NAMES and getattr(layer, "approximate", "none") == "none":
            activations.append(_NAMES[type(layer)])
        else:
            return f"{type(layer).__name__} is not an activation it knows"
    if len(layers) % 2 == 0 or len(set(activations)) > 1:
        return "its layers do not alternate between linear ones and one kind of activation"
    return Architecture(tuple(widths), activations[0] if activations else "relu")
