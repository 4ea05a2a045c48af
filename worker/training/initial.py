"""Initial weights from a run's own stream: the same for every run of a seed."""

from __future__ import annotations

import math

import torch

from worker.training.engine import Work
from worker.training.streams import Purpose, words

#: Layers filled from the stream; all others keep what they set themselves, from a generator seeded by the stream.
FILLED = (torch.nn.Linear, torch.nn.Conv1d, torch.nn.Conv2d, torch.nn.Conv3d)
#: Number of the draw that seeds torch's generator; layers count from 0.
SEEDING = 2**31


def build(work: Work) -> torch.nn.Module:
    """The model with its initial weights."""
    low, high = words(work.streams.shared, Purpose.WEIGHTS, SEEDING, 2)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(low) | int(high) << 32 & (2**63 - 1))
        module = work.model.build(work.model_params, work.inputs, work.outputs, work.domain)
    layers = [layer for layer in module.modules() if isinstance(layer, FILLED)]
    with torch.no_grad():
        for number, layer in enumerate(layers):
            _fill(layer, number, work)
    return module


def _fill(layer: torch.nn.Module, number: int, work: Work) -> None:
    """Weights, then biases, uniform within 1 / sqrt(fan-in): the default of torch's linear and convolution layers."""
    parameters = [p for p in (layer.weight, layer.bias) if isinstance(p, torch.Tensor)]
    bound = 1 / math.sqrt(max(1, parameters[0][0].numel()))
    drawn = work.streams.initial_uniforms(number, sum(p.numel() for p in parameters))
    values = torch.from_numpy((2 * drawn - 1) * bound)
    start = 0
    for parameter in parameters:
        stop = start + parameter.numel()
        parameter.copy_(values[start:stop].reshape(parameter.shape))
        start = stop
