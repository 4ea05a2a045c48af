"""What a method minimises where that is more than the loss of the batch: penalties, other losses, other inputs.

An objective is written in torch for one run and one batch, as its paper writes it; the engine differentiates it. It may
hold what it learns (weights of an attack model, a moving average), which `tensors` gives to checkpoints.

All randomness of a step comes from torch's generator, which the engine seeds from the run's own stream before each
step: a run that goes on from a checkpoint draws what it would have drawn.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch

from worker.datasets._table import Domain, Task
from worker.training.losses import per_record

Tensors = tuple[torch.Tensor, torch.Tensor]


@dataclass(frozen=True)
class Step:
    """One step as an objective sees it. Tensors lie on the run's device."""

    #: The run's model, in training mode, and what of it is trained.
    module: torch.nn.Module
    parameters: list[torch.nn.Parameter]
    #: `[records, inputs]` and `[records]`: the batch. Never empty.
    features: torch.Tensor
    target: torch.Tensor
    task: Task
    domain: Domain
    #: From 0; `per_epoch` steps are one epoch.
    number: int
    per_epoch: int
    epochs: int
    #: So many rows of the training part or of the inference set, drawn at random without replacement (all where there
    #: are not so many). The inference set is there for methods that declare `needs_inference_set`.
    members: Callable[[int], Tensors]
    inference: Callable[[int], Tensors]
    #: Runs the module without what gradients per record need: for gradients by the inputs. Leaves no trace.
    quietly: Callable[[Callable[[], torch.Tensor]], torch.Tensor] = lambda compute: compute()

    @property
    def epoch(self) -> int:
        """From 0."""
        return self.number // self.per_epoch

    @property
    def first_of_epoch(self) -> bool:
        """Whether an epoch begins with this step."""
        return self.number % self.per_epoch == 0


@dataclass(frozen=True)
class EpochEnd:
    """The end of an epoch as an objective sees it."""

    module: torch.nn.Module
    #: Epochs done, of so many.
    done: int
    epochs: int
    #: Mean loss over the inference set, in evaluation mode.
    inference_loss: Callable[[], float]


class Objective:
    """The loss of the batch. Subclasses change what they need.

    What is minimised is the sum of `losses` over the batch, divided by the expected batch size, plus `penalty`.
    """

    #: Whether a record's loss and input depend on that record and on released weights alone: what a private method
    #: needs. `penalty` then must not touch the data either.
    separable: bool = True

    def prepare(self, module: torch.nn.Module) -> torch.nn.Module:
        """The module that is trained, such as with dropout between its layers. Weights and their names stay."""
        return module

    def inputs(self, step: Step) -> torch.Tensor:
        """`[records, inputs]` that the model is trained on."""
        return step.features

    def losses(self, step: Step) -> torch.Tensor:
        """`[records]` losses of the batch."""
        return per_record(step.module(self.inputs(step)), step.target, step.task)

    def penalty(self, step: Step) -> torch.Tensor | None:
        """A number, added to the mean loss; also where the batch is empty, with no rows to look at."""
        return None

    def epoch_ended(self, end: EpochEnd) -> bool:
        """After each epoch; True ends the training here. May change the module's weights, in place."""
        return False

    def history(self) -> Mapping[str, float]:
        """What is worth recording at the end of an epoch, by name."""
        return {}

    def tensors(self) -> dict[str, torch.Tensor]:
        """What a checkpoint keeps of it."""
        return {}

    def restore(self, tensors: Mapping[str, torch.Tensor]) -> None:
        """The inverse. Tensors lie on the processor."""
