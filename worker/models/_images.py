"""What models of images share: how rows become images, and layers that treat every record by itself.

There is no batch normalisation: it mixes the records of a batch, so that a gradient of one record does not exist
(private training), and it depends on which rows are trained together. Group normalisation (Wu and He 2018) treats each
record alone.
"""

from __future__ import annotations

import math
from typing import Literal

import torch

from backend.errors import JobFailed
from worker.datasets._table import Domain

#: Channels that share a mean and a deviation come in about so many groups.
GROUPS = 16

Normalisation = Literal["none", "group"]


class ToImages(torch.nn.Module):
    """`[rows, inputs]` in the units of the data to `[rows, channels, height, width]` from -1 to 1."""

    def __init__(self, shape: tuple[int, int, int], bounds: tuple[float, float] | None) -> None:
        super().__init__()
        low, high = (-1.0, 1.0) if bounds is None else bounds
        self.shape, self.middle, self.reach = shape, (low + high) / 2, (high - low) / 2

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        """Centred by what the values can be, not by what they are: nothing is learned of the data."""
        return (rows.reshape(-1, *self.shape) - self.middle) / self.reach


def to_images(domain: Domain, inputs: int, title: str) -> ToImages:
    """The first layer of a model of images. Raises `JobFailed` where the rows are no images of that size."""
    if domain.image is None or math.prod(domain.image) != inputs:
        raise JobFailed(f"{title} needs images, and the rows of this dataset are none.", fix="Choose another model.")
    return ToImages(domain.image, domain.bounds)


def normalised(kind: Normalisation, channels: int) -> torch.nn.Module:
    """A layer that normalises each record by itself, or one that does nothing."""
    if kind == "none":
        return torch.nn.Identity()
    return torch.nn.GroupNorm(math.gcd(GROUPS, channels), channels)
