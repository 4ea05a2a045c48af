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
from worker.training.streams import GROUP, Purpose, _normal_group

BETA1, BETA2, EPSILON = f32(0.9), f32(0.999), f32(1e-8)
#: 1 - beta, rounded once: in float32 the difference would be off by 5e-5.
REST1, REST2 = f32(0.1), f32(0.001)
NOISE = np.uint32(Purpose.NOISE)
#: Normals drawn at a time: whole groups of the generator, few enough to stay near.
CHUNK = 8 * GROUP


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
        m = BETA1 * first[i] + REST1 * g
        s = BETA2 * second[i] + REST2 * g * g
        first[i] = m
        second[i] = s
        weights[i] = keep * w - rate * (m * correction1) / (np.sqrt(s * correction2) + EPSILON)


@inlined
def _step_row(at: Any, count: Any, noise: Any, noisy: Any, network: Any, rules: Any, noise_std: Any, rate: Any,
              correction1: Any, correction2: Any) -> None:  # fmt: skip
    w, g = network.weights[at : at + count], network.sums[at : at + count]
    first, second = network.first[at : at + count], network.second[at : at + count]
    inverse_batch, decay = rules.inverse_batch, rules.decay
    if noisy.shape[0] > 0:
        for i in range(count):
            noisy[at + i] = g[i] + noise_std * noise[i]
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
def update(step: Any, network: Any, noise: Any, noisy: Any, noise_std: Any, drawn: Any, rate: Any,
           rules: Any) -> None:  # fmt: skip
    """One optimizer step on the noisy mean gradient, (sums + noise_std * N(0, 1)) * inverse_batch.

    The noise of a layer is drawn in the order inputs x outputs, then the biases, whatever the layout. It is drawn a
    little at a time, just before it is used, so that it never leaves the first-level cache; for a narrow layer, which
    is held the other way round, at once. `drawn`: `noise` holds all of it already. Otherwise it only needs to have room
    for `CHUNK` numbers, and behind them for all of a narrow layer and one of its rows. `noisy` receives the noisy sum,
    unless it is empty.
    """
    meta = network.meta
    correction1 = f32(1.0 / (1.0 - 0.9 ** (step + 1.0)))
    correction2 = f32(1.0 / (1.0 - 0.999 ** (step + 1.0)))
    draw = noise_std != f32(0) and not drawn
    held = -1
    for layer in range(meta.shape[0]):
        inputs, outputs, stride = meta[layer, INPUTS], meta[layer, OUTPUTS], meta[layer, STRIDE]
        w, logical = meta[layer, WEIGHTS], meta[layer, LOGICAL]
        narrow = meta[layer, NARROW] == 1
        rows, length = (outputs, inputs) if narrow else (inputs, outputs)
        base, spare = 0, logical + inputs * outputs + outputs
        if draw and narrow:
            # Whole groups, from the one in which the layer begins.
            first = logical - logical % (4 * GROUP)
            groups = (spare - first + 4 * GROUP - 1) // (4 * GROUP)
            _normal_group(noise[CHUNK:], first // 4, groups * GROUP, rules.own0, rules.own1, NOISE, np.uint32(step))
            base, spare = CHUNK - first, CHUNK + groups * 4 * GROUP
        for j in range(rows + 1):
            # The last row is the bias.
            count = outputs if j == rows else length
            at = meta[layer, BIAS] if j == rows else w + j * stride
            start = logical + (inputs * outputs if j == rows else j * outputs)
            done = 0
            while done < count:
                piece = count - done
                if narrow and j < rows:
                    row = noise[spare : spare + length]
                    for c in range(length):
                        row[c] = noise[base + logical + c * outputs + j]
                elif narrow or not draw:
                    row = noise[base + start : base + start + count]
                else:
                    chunk = (start + done) // CHUNK
                    if chunk != held:
                        _normal_group(noise[:CHUNK], chunk * (CHUNK // 4), CHUNK // 4, rules.own0, rules.own1, NOISE,
                                      np.uint32(step))  # fmt: skip
                        held = chunk
                    o = start + done - chunk * CHUNK
                    piece = min(piece, CHUNK - o)
                    row = noise[o : o + piece]
                _step_row(at + done, piece, row, noisy, network, rules, noise_std, rate, correction1, correction2)
                done += piece
