"""The few functions that numpy and torch spell differently, so that a method is written once for every engine."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

#: A numpy array, a torch tensor or a number.
Array = Any


def is_tensor(x: Array) -> bool:
    """Whether `x` is a torch tensor; does not import torch."""
    return type(x).__module__.partition(".")[0] == "torch"


def tanh(x: Array) -> Array:
    """Hyperbolic tangent, elementwise."""
    return x.tanh() if is_tensor(x) else np.tanh(x)


def exp(x: Array) -> Array:
    """Exponential, elementwise; a Python float stays one."""
    if isinstance(x, float):
        return math.exp(min(x, 700.0))
    return x.exp() if is_tensor(x) else np.exp(x)


def at_most(x: Array, limit: float) -> Array:
    """The smaller of `x` and `limit`, elementwise."""
    if isinstance(x, float):
        return min(x, limit)
    return x.clip(max=limit)


def within(x: Array, low: float, high: float) -> Array:
    """`x` moved into [low, high], elementwise."""
    if isinstance(x, float):
        return min(max(x, low), high)
    return x.clip(low, high)


def as_share(condition: Array, like: Array) -> Array:
    """True as 1 and False as 0, in the number type of `like`."""
    if hasattr(condition, "as_share"):
        return condition.as_share()  # a stand-in of `worker.training.fleet.tape`
    return condition.to(like.dtype) if is_tensor(condition) else np.asarray(condition).astype(np.asarray(like).dtype)


def of_group(values: Array, codes: Array | None) -> Array:
    """Each record's own of `values` `[..., groups]`, `[..., records]`; without codes there is one group."""
    if codes is None:
        return values
    return values.gather(-1, codes) if is_tensor(values) else np.take_along_axis(np.asarray(values), codes, axis=-1)


def members(codes: Array, groups: int, like: Array) -> Array:
    """`[..., records, groups]`: 1 where a record is of a group, else 0, in the number type of `like`."""
    if is_tensor(codes):
        import torch

        # Made on the device: a captured step must not wait for numbers from the processor.
        return (codes.unsqueeze(-1) == torch.arange(groups, device=codes.device)).to(like.dtype)
    return (codes[..., None] == np.arange(groups)).astype(like.dtype)


def joined(first: Array, second: Array) -> Array:
    """Beside each other along the last axis."""
    if is_tensor(first):
        import torch

        return torch.cat([first, second], dim=-1)
    return np.concatenate([first, second], axis=-1)


def largest(x: Array) -> Array:
    """Over the last axis, which stays as one number unless it is the only one."""
    if isinstance(x, float):
        return x
    return x.amax(-1, keepdim=x.ndim > 1) if is_tensor(x) else x.max(axis=-1, keepdims=x.ndim > 1)
