"""Fully connected networks, and the linear model as the one without hidden layers."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Literal

import torch
from pydantic import Field

from worker.datasets._table import Domain
from worker.models._layers import ACTIVATIONS
from worker.plugins import Model, Params, param


class MlpParams(Params):
    """Shape of the network."""

    hidden: list[Annotated[int, Field(ge=1, le=8192)]] = param(
        [64],
        "Hidden layers",
        "Units of each hidden layer, first to last. An empty list is a linear model (logistic regression).",
        unit="units",
        max_length=16,
    )
    activation: Literal["relu", "tanh", "gelu"] = param(
        "relu", "Activation", "Nonlinearity after each hidden layer. tanh often suits private training.", sweepable=True
    )


class Mlp(Model[MlpParams]):
    """Linear layers with a nonlinearity between them."""

    name = "mlp"
    title = "Multilayer perceptron"
    summary = "A fully connected network for tables; without hidden layers it is logistic or linear regression."
    citation = "Rumelhart, Hinton and Williams 1986, Learning representations by back-propagating errors, Nature 323"
    Params = MlpParams

    def build(self, params: MlpParams, inputs: int, outputs: int, domain: Domain) -> torch.nn.Module:
        """`[rows, inputs]` to `[rows, outputs]` logits."""
        widths = [inputs, *params.hidden]
        layers: list[torch.nn.Module] = []
        for wide, narrow in pairwise(widths):
            layers += [torch.nn.Linear(wide, narrow), ACTIVATIONS[params.activation]()]
        return torch.nn.Sequential(*layers, torch.nn.Linear(widths[-1], outputs))


PLUGIN = Mlp()
