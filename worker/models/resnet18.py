"""ResNet-18 for small images."""

from __future__ import annotations

import torch

from worker.datasets._table import Domain
from worker.models._images import Normalisation, normalised, to_images
from worker.plugins import Model, Params, param

#: Of the four stages: how many times as wide as the first, and by how much each shrinks height and width.
STAGES = ((1, 1), (2, 2), (4, 2), (8, 2))
BLOCKS = 2


class ResNet18Params(Params):
    """Shape of the network."""

    width: int = param(
        64,
        "Width",
        "Channels of the first stage; the others have 2, 4 and 8 times as many. 64 is the published network "
        "(11 million weights); private training keeps a gradient of every record of a batch.",
        unit="channels",
        ge=1,
        le=256,
    )
    normalisation: Normalisation = param(
        "group",
        "Normalisation",
        "In groups of channels within each image, or none. The published network's batch normalisation mixes the "
        "records of a batch, which private training forbids.",
        sweepable=True,
    )


class Block(torch.nn.Module):
    """Two convolutions beside a shortcut (He et al. 2016, figure 2)."""

    def __init__(self, wide: int, channels: int, stride: int, normalisation: Normalisation) -> None:
        super().__init__()
        self.first = _convolution(wide, channels, 3, stride, normalisation)
        self.middle = torch.nn.ReLU()
        self.second = _convolution(channels, channels, 3, 1, normalisation)
        same = wide == channels and stride == 1
        self.shortcut = torch.nn.Identity() if same else _convolution(wide, channels, 1, stride, normalisation)
        self.last = torch.nn.ReLU()

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """`[rows, channels, height, width]`, height and width divided by the stride."""
        inner = self.second(self.middle(self.first(images)))
        answer: torch.Tensor = self.last(inner + self.shortcut(images))
        return answer


class ResNet18(Model[ResNet18Params]):
    """He et al.'s 18 layers as used for CIFAR: a stem of one 3 by 3 convolution, no pooling before the first stage."""

    name = "resnet18"
    title = "ResNet-18"
    summary = (
        "The residual network of 18 layers for images of 28 by 28 or 32 by 32 pixels; at full width made for a GPU."
    )
    citation = "He, Zhang, Ren and Sun 2016, Deep residual learning for image recognition, CVPR"
    images = True
    Params = ResNet18Params

    def build(self, params: ResNet18Params, inputs: int, outputs: int, domain: Domain) -> torch.nn.Module:
        """`[rows, inputs]` to `[rows, outputs]` logits; the inputs are images, flat, as `domain` says."""
        first = to_images(domain, inputs, self.title)
        wide = params.width
        layers: list[torch.nn.Module] = [
            first, _convolution(first.shape[0], wide, 3, 1, params.normalisation), torch.nn.ReLU(),
        ]  # fmt: skip
        for times, stride in STAGES:
            for number in range(BLOCKS):
                channels = params.width * times
                layers.append(Block(wide, channels, stride if number == 0 else 1, params.normalisation))
                wide = channels
        return torch.nn.Sequential(
            *layers, torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(), torch.nn.Linear(wide, outputs)
        )


def _convolution(
    wide: int, channels: int, kernel: int, stride: int, normalisation: Normalisation
) -> torch.nn.Sequential:
    # A bias before a normalisation of the channels would be taken out again only where each channel is a group.
    return torch.nn.Sequential(
        torch.nn.Conv2d(wide, channels, kernel, stride, padding=kernel // 2), normalised(normalisation, channels)
    )


PLUGIN = ResNet18()
