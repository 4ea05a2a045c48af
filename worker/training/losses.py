"""The loss that is trained on, per record: in torch for training, in numpy for evaluation."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from scipy import special

from worker.datasets._table import Task

Floats = np.ndarray[Any, np.dtype[np.float64]]


def per_record(logits: torch.Tensor, target: torch.Tensor, task: Task) -> torch.Tensor:
    """`[rows]` losses: cross-entropy in nats, or the squared error for regression."""
    if task == "regression":
        return (logits[:, 0] - target) ** 2
    return torch.nn.functional.cross_entropy(logits, target, reduction="none")


def per_record_numpy(logits: np.ndarray[Any, Any], target: np.ndarray[Any, Any], task: Task) -> Floats:
    """`[rows]` losses in float64, from logits: never the log of a rounded probability."""
    exact = logits.astype(np.float64)
    if task == "regression":
        return np.asarray((exact[:, 0] - target) ** 2)
    return np.asarray(special.logsumexp(exact, axis=1) - exact[np.arange(len(target)), target])
