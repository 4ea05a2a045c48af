"""Early stopping: training ends when other rows no longer gain from it."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch

from worker.plugins import Method, Params, param
from worker.training.objective import EpochEnd, Objective


class EarlyStoppingParams(Params):
    """How patient it is."""

    patience: int = param(
        5,
        "Patience",
        "Epochs without a smaller loss on the inference set after which training ends.",
        unit="epochs",
        ge=1,
        le=1000,
        sweepable=True,
    )


class _Stopping(Objective):
    def __init__(self, patience: int) -> None:
        self.patience = patience
        self.least, self.when, self.best = math.inf, 0, {}  # type: tuple[float, int, dict[str, torch.Tensor]]

    def epoch_ended(self, end: EpochEnd) -> bool:
        loss = end.inference_loss()
        if loss < self.least:
            self.least, self.when = loss, end.done
            self.best = {name: value.detach().clone() for name, value in end.module.state_dict().items()}
        over = end.done == end.epochs or end.done - self.when >= self.patience
        if over and self.best:
            end.module.load_state_dict(self.best)
        return over

    def history(self) -> Mapping[str, float]:
        return {"epoch_kept": float(self.when)}

    def tensors(self) -> dict[str, torch.Tensor]:
        if not self.best:
            return {}
        facts = torch.tensor([self.least, float(self.when)], dtype=torch.float64)
        return {"facts": facts, **{f"best.{name}": value for name, value in self.best.items()}}

    def restore(self, tensors: Mapping[str, torch.Tensor]) -> None:
        if "facts" in tensors:
            self.least, self.when = float(tensors["facts"][0]), int(tensors["facts"][1])
            start = len("best.")
            self.best = {name[start:]: value for name, value in tensors.items() if name.startswith("best.")}


class EarlyStopping(Method[EarlyStoppingParams]):
    """The weights of the epoch with the least loss on the inference set; training ends some epochs after it."""

    name = "early_stopping"
    title = "Early stopping"
    summary = "Ordinary training that ends, and returns to, where rows beside the training rows are predicted best."
    citation = "Prechelt 1998, Early stopping, but when?, Neural Networks: Tricks of the Trade"
    needs_inference_set = True
    Params = EarlyStoppingParams

    def objective(self, params: EarlyStoppingParams) -> Objective:
        """What watches the loss."""
        return _Stopping(params.patience)


PLUGIN = EarlyStopping()
