"""Inputs that make a model wrong: projected gradient ascent within a ball around each record.

Madry et al. 2018, Towards deep learning models resistant to adversarial attacks. A perturbation is measured in the
units of the features: of pixels in [0, 1], say. Features that are bounded stay within their bounds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch

Norm = Literal["linf", "l2"]
#: Keeps the direction of a gradient that is 0 finite.
TINY = 1e-12


@dataclass(frozen=True)
class Ball:
    """Inputs within `radius` of a record, in the norm, and within the features' bounds."""

    norm: Norm
    radius: float
    bounds: tuple[float, float] | None = None

    def project(self, moved: torch.Tensor, around: torch.Tensor) -> torch.Tensor:
        """The nearest points of the balls, `[records, inputs]`.

        Bounds are applied last: coordinates that are moved back to them come nearer to a record within the bounds, so
        that the point stays in its ball.
        """
        change = moved - around
        if self.norm == "linf":
            change = change.clamp(-self.radius, self.radius)
        else:
            lengths = change.norm(dim=1, keepdim=True)
            change = change * (self.radius / lengths.clamp(min=max(self.radius, TINY)))
        return self.within(around + change)

    def within(self, points: torch.Tensor) -> torch.Tensor:
        """Moved to the bounds where they are beyond them."""
        return points if self.bounds is None else points.clamp(*self.bounds)

    def random(self, around: torch.Tensor) -> torch.Tensor:
        """Uniform in each ball, then within the bounds."""
        if self.norm == "linf":
            change = (2 * torch.rand_like(around) - 1) * self.radius
        else:
            change = torch.randn_like(around)
            far = torch.rand(len(around), 1, device=around.device) ** (1 / around.shape[1])
            change = change / change.norm(dim=1, keepdim=True).clamp(min=TINY) * (far * self.radius)
        return self.within(around + change)

    def steepest(self, gradient: torch.Tensor) -> torch.Tensor:
        """The step of length 1 in the norm along which a linear function grows most."""
        if self.norm == "linf":
            return gradient.sign()
        lengths: torch.Tensor = gradient.norm(dim=1, keepdim=True)
        return gradient / lengths.clamp(min=TINY)


def ascend(
    losses: Callable[[torch.Tensor], torch.Tensor],
    around: torch.Tensor,
    ball: Ball,
    *,
    steps: int,
    step_size: float,
    start: torch.Tensor | None = None,
    quietly: Callable[[Callable[[], torch.Tensor]], torch.Tensor] = lambda compute: compute(),
) -> torch.Tensor:
    """Perturbed records `[records, inputs]` after so many steps of projected gradient ascent on `losses` `[records]`.

    Without `start` it begins at the records themselves. Each record is perturbed by itself: its result does not depend
    on the others.
    """
    moved = (around if start is None else start).detach()
    for _ in range(steps):
        here = moved.clone().requires_grad_(True)

        def gradient(here: torch.Tensor = here) -> torch.Tensor:
            return torch.autograd.grad(losses(here).sum(), here)[0]

        moved = ball.project(moved + step_size * ball.steepest(quietly(gradient)), around)
    return moved.detach()
