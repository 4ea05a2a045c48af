"""The loss that is trained on, per record: in torch for training, in numpy for evaluation."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from worker.datasets._table import Task

Array = np.ndarray[Any, Any]
Floats = np.ndarray[Any, np.dtype[np.float64]]


def per_record(logits: torch.Tensor, target: torch.Tensor, task: Task) -> torch.Tensor:
    """`[rows]` losses: cross-entropy in nats, or the squared error for regression."""
    if task == "regression":
        return (logits[:, 0] - target) ** 2
    return torch.nn.functional.cross_entropy(logits, target, reduction="none")


def per_record_numpy(logits: Array, target: Array, task: Task) -> Floats:
    """Losses `[..., rows]` in float64, from logits `[..., rows, outputs]`: never the log of a rounded probability.

    With d the logits less that of the right class, the cross-entropy is log sum exp d, computed as
    max d + log1p of what the other classes add: exact to a few ulp whether it is near 0 or large.

    >>> per_record_numpy(np.array([[0.0, 0.0], [1000.0, 0.0]]), np.array([1, 1]), "binary")
    array([6.93147181e-01, 1.00000000e+03])
    """
    if task == "regression":
        return np.asarray((logits[..., 0].astype(np.float64) - target) ** 2)
    if logits.shape[-1] == 2:
        difference = logits[..., 0].astype(np.float64) - logits[..., 1]
        wrong = np.where(target == 1, difference, -difference)
        return np.asarray(np.maximum(wrong, 0) + np.log1p(np.exp(-np.abs(wrong))))
    exact = logits.astype(np.float64)
    right = np.broadcast_to(np.asarray(target, np.int64), exact.shape[:-1])[..., None]
    exact -= np.take_along_axis(exact, right, axis=-1)
    top = exact.max(axis=-1, keepdims=True)
    exact -= top
    np.exp(exact, out=exact)
    np.put_along_axis(exact, exact.argmax(axis=-1, keepdims=True), 0.0, axis=-1)
    return np.asarray(top[..., 0] + np.log1p(exact.sum(axis=-1)))


def predicted_class(logits: Array) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Most probable class `[..., rows]` of logits `[..., rows, outputs]`; the first where several are equal."""
    if logits.shape[-1] == 2:
        return np.asarray((logits[..., 1] > logits[..., 0]).astype(np.int64))
    return np.asarray(logits.argmax(axis=-1))
