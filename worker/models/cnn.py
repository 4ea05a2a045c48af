"""A small convolutional network for small images."""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from pydantic import Field

from worker.datasets._table import Domain
from worker.models._images import Normalisation, normalised, to_images
from worker.models._layers import ACTIVATIONS
from worker.plugins import Model, Params, param


class CnnParams(Params):
    """Shape of the network."""

    channels: list[Annotated[int, Field(ge=1, le=512)]] = param(
        [16, 32],
        "Channels",
        "Channels of each convolution, first to last; each halves height and width.",
        unit="channels",
        min_length=1,
        max_length=4,
    )
    kernel: int = param(
        3,
        "Kernel",
        "Height and width of each convolution's kernel; images are padded by half of it.",
        unit="pixels",
        ge=1,
        le=11,
    )
    dense: int = param(
        64, "Dense layer", "Units between the convolutions and the classes; 0 has none.", unit="units", ge=0, le=8192
    )
    activation: Literal["relu", "tanh", "gelu"] = param(
        "relu", "Activation", "Nonlinearity after each layer. tanh often suits private training.", sweepable=True
    )
    normalisation: Normalisation = param(
        "none",
        "Normalisation",
        "Of each convolution's channels: none, or in groups within each image. Batch normalisation mixes the records "
        "of a batch, which private training forbids.",
        sweepable=True,
    )


class Cnn(Model[CnnParams]):
    """Convolutions, each followed by a nonlinearity and max pooling over 2 by 2 pixels, then one dense layer."""

    name = "cnn"
    title = "Convolutional network"
    summary = "A small convolutional network for images of 28 by 28 or 32 by 32 pixels; trains on a processor too."
    citation = (
        "LeCun, Bottou, Bengio and Haffner 1998, Gradient-based learning applied to document recognition, IEEE 86"
    )
    images = True
    Params = CnnParams

    def build(self, params: CnnParams, inputs: int, outputs: int, domain: Domain) -> torch.nn.Module:
        """`[rows, inputs]` to `[rows, outputs]` logits; the inputs are images, flat, as `domain` says."""
        first = to_images(domain, inputs, self.title)
        wide, height, width = first.shape
        layers: list[torch.nn.Module] = [first]
        for channels in params.channels:
            layers += [
                torch.nn.Conv2d(wide, channels, params.kernel, padding=params.kernel // 2),
                normalised(params.normalisation, channels),
                ACTIVATIONS[params.activation](),
                # Of an odd number of pixels the last column or row is pooled by itself.
                torch.nn.MaxPool2d(2, ceil_mode=True),
            ]
            # An even kernel sees one place more than there are pixels.
            more = 1 - params.kernel % 2
            wide, height, width = channels, (height + more + 1) // 2, (width + more + 1) // 2
        layers.append(torch.nn.Flatten())
        units = wide * height * width
        if params.dense:
            layers += [torch.nn.Linear(units, params.dense), ACTIVATIONS[params.activation]()]
            units = params.dense
        return torch.nn.Sequential(*layers, torch.nn.Linear(units, outputs))


PLUGIN = Cnn()
