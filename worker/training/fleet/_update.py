"""Noise and the optimizer: one step of the weights from the sum of scaled gradients."""

from __future__ import annotations

from typing import Any

import numpy as np

from worker.training.fleet._compile import (
    ADAMW,
    BIAS,
    INPUTS,
    LOGICAL,
    NARROW,
    OUTPUTS,
    SGD,
    STRIDE,
    WEIGHTS,
    f32,
    inlined,
)
from worker.training.streams import Purpose, _fill_normals

BETA1, BETA2, EPSILON = f32(0.9), f32(0.999), f32(1e-8)
NOISE = np.uint32(Purpose.NOISE)


@inlined
def _plain_step(weights: Any, sums: Any, noise: Any, inverse_batch: Any, noise_std: Any, keep: Any, rate: Any) -> None:
    """SGD without momentum on a contiguous row: w = keep * w - rate * mean gradient."""
    for i in range(weights.shape[0]):
        weights[i] = keep * weights[i] - rate * ((sums[i] + noise_std * noise[i]) * inverse_batch)


@inlined
def _momentum_step(weights: Any, sums: Any, noise: Any, first: Any, inverse_batch: Any, noise_std: Any,
                   rate: Any, momentum: Any, decay: Any) -> None:  # fmt: skip
    for i in range(weights.shape[0]):
        g = (sums[i] + noise_std * noise[i]) * inverse_batch + decay * weights[i]
        g = momentum * first[i] + g
        first[i] = g
        weights[i] -= rate * g


@inlined
def _adam_step(weights: Any, sums: Any, noise: Any, first: Any, second: Any, inverse_batch: Any, noise_std: Any,
               rate: Any, decay: Any, keep: Any, correction1: Any, correction2: Any) -> None:  # fmt: skip
    for i in range(weights.shape[0]):
        w = weights[i]
        g = (sums[i] + noise_std * noise[i]) * inverse_batch + decay * w
        m = BETA1 * first[i] + (f32(1) - BETA1) * g
        s = BETA2 * second[i] + (f32(1) - BETA2) * g * g
        first[i] = m
        second[i] = s
        weights[i] = keep * w - rate * (m * correction1) / (np.sqrt(s * correction2) + EPSILON)


@inlined
def _step_row(at: Any, count: Any, noise: Any, network: Any, rules: Any, noise_std: Any, rate: Any, correction1: Any,
              correction2: Any) -> None:  # fmt: skip
    w, g = network.weights[at : at + count], network.sums[at : at + count]
    first, second = network.first[at : at + count], network.second[at : at + count]
    inverse_batch, decay = rules.inverse_batch, rules.decay
    if rules.optimizer == SGD:
        if rules.momentum == f32(0):
            _plain_step(w, g, noise, inverse_batch, noise_std, f32(1) - rate * decay, rate)
        else:
            _momentum_step(w, g, noise, first, inverse_batch, noise_std, rate, rules.momentum, decay)
    else:
        decoupled = rules.optimizer == ADAMW
        keep = f32(1) - rate * decay if decoupled else f32(1)
        _adam_step(w, g, noise, first, second, inverse_batch, noise_std, rate, f32(0) if decoupled else decay, keep,
                   correction1, correction2)  # fmt: skip


@inlined
def update(step: Any, network: Any, noise: Any, noise_std: Any, drawn: Any, rate: Any, rules: Any) -> None:
    """One optimizer step on the noisy mean gradient, (sums + noise_std * N(0, 1)) * inverse_batch.

    The noise of a layer is drawn in the order inputs x outputs, then the biases, whatever the layout. `noise` has
    room for all of it and, behind that, for one row of the narrow layer. `drawn`: it holds the noise already.
    """
    meta = network.meta
    correction1 = f32(1.0 / (1.0 - 0.9 ** (step + 1.0)))
    correction2 = f32(1.0 / (1.0 - 0.999 ** (step + 1.0)))
    logical_total = 0
    for layer in range(meta.shape[0]):
        logical_total += meta[layer, INPUTS] * meta[layer, OUTPUTS] + meta[layer, OUTPUTS]
    if noise_std != f32(0) and not drawn:
        _fill_normals(noise[:logical_total], rules.own0, rules.own1, NOISE, np.uint32(step))
    for layer in range(meta.shape[0]):
        inputs, outputs, stride = meta[layer, INPUTS], meta[layer, OUTPUTS], meta[layer, STRIDE]
        w, logical = meta[layer, WEIGHTS], meta[layer, LOGICAL]
        narrow = meta[layer, NARROW] == 1
        length = inputs if narrow else outputs
        for j in range(outputs if narrow else inputs):
            if narrow:
                row = noise[logical_total : logical_total + length]
                for c in range(length):
                    row[c] = noise[logical + c * outputs + j]
            else:
                row = noise[logical + j * outputs : logical + (j + 1) * outputs]
            _step_row(w + j * stride, length, row, network, rules, noise_std, rate, correction1, correction2)
        bias = noise[logical + inputs * outputs : logical + inputs * outputs + outputs]
        _step_row(meta[layer, BIAS], outputs, bias, network, rules, noise_std, rate, correction1, correction2)
