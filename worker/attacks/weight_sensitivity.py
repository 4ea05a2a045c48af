"""Which weights tell members from others: how few of them carry the gap between their losses."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from backend.contracts.catalogue import MetricInfo
from backend.contracts.results import ALL
from worker.metrics._figures import Figure
from worker.plugins import Params, Probe, param
from worker.training.engine import Examples
from worker.training.losses import per_record

if TYPE_CHECKING:
    from worker.evaluate import Prepared
    from worker.training.engine import Trained

#: Weights whose sensitivities are summed, and the sensitivity below which a weight tells little (as in the paper).
TOP, LITTLE = 0.2, 0.1
#: A weight smaller than this counts as none.
NOUGHT = 1e-3


class WeightSensitivityParams(Params):
    """How many rows are looked at."""

    rows: int = param(
        1000, "Rows", "At most so many of the training and of the test rows.", unit="rows", ge=2, le=1_000_000,
        advanced=True,
    )  # fmt: skip


def _info(name: str, title: str, explanation: str, better: bool | None) -> MetricInfo:
    return MetricInfo(
        name=f"weight_sensitivity_{name}", title=title, explanation=explanation, family="weight_sensitivity",
        higher_is_better=better, low=0.0, high=1.0, unit="share of weights", kind="attack", per_subgroup=False,
    )  # fmt: skip


class WeightSensitivity(Probe[WeightSensitivityParams]):
    """|gradient of the gap between the mean losses of members and of test rows| by each weight.

    The gap is that of rows which no defence has seen; the training rows of a run come first in its table's order.
    """

    name = "weight_sensitivity"
    title = "Sensitivity of weights"
    summary = "How unevenly the gradient of the member and non-member loss gap is spread over the weights; sparsity."
    citation = "Hu, Zhang and Wei 2024, Defending membership inference attacks via privacy-aware sparsity tuning"
    Params = WeightSensitivityParams
    metrics = (
        _info("top_fifth", "Sensitivity held by a fifth of the weights",
              "Share of all sensitivity to membership that the most sensitive 20 % of the weights hold.", None),
        _info("little", "Weights that tell little", "Share of the weights with less than a tenth of the mean "
              "sensitivity of all.", None),
        _info("sparsity", "Sparsity", "Share of the weights that are smaller than 0.001.", None),
    )  # fmt: skip

    def probe(self, prepared: Prepared, trained: Trained, params: WeightSensitivityParams) -> Iterator[Figure]:
        """Three figures of the whole model."""
        data, model = prepared.data, trained.module()
        weights = [p for p in model.parameters() if p.requires_grad]
        means = [_mean_loss(model, part, params.rows, data.task) for part in (data.train, data.test)]
        gradients = torch.autograd.grad((means[0] - means[1]).abs(), weights, allow_unused=True)
        known = [torch.zeros_like(w) if g is None else g.abs() for w, g in zip(weights, gradients, strict=True)]
        sensitivity = np.sort(torch.cat([g.flatten() for g in known]).double().numpy())[::-1]
        size = torch.cat([w.detach().flatten() for w in weights]).abs().numpy()
        total, count = sensitivity.sum(), len(sensitivity)
        top = sensitivity[: max(1, round(TOP * count))].sum() / total if total > 0 else np.nan
        little = np.mean(sensitivity < LITTLE * total / count) if total > 0 else np.nan
        for name, value in (("top_fifth", top), ("little", little), ("sparsity", np.mean(size < NOUGHT))):
            yield Figure(f"{self.name}_{name}", (ALL,), np.array([value]), np.array([count]))


def _mean_loss(model: torch.nn.Module, part: Examples, rows: int, task: Any) -> torch.Tensor:
    some = part.at(np.arange(min(rows, len(part))))
    return per_record(model(torch.from_numpy(some.features)), torch.from_numpy(some.target), task).mean()


PLUGIN = WeightSensitivity()
