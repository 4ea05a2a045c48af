"""The compiled entry points: many steps at once, or one step in two halves for a method whose own code is called."""

from __future__ import annotations

from typing import Any

import numpy as np

from worker.training.fleet import _vector as v
from worker.training.fleet._backward import backward, weighted_sum
from worker.training.fleet._compile import OUTPUTS, compiled, f32, inlined
from worker.training.fleet._forward import forward, loss_and_errors, predict
from worker.training.fleet._interpreter import execute
from worker.training.fleet._update import update
from worker.training.recorder import CLIPPED, KEPT, LOSS, RECORDS
from worker.training.streams import Purpose, _fill_normals, _fill_poisson

__all__ = ["advance", "apply", "gradients", "predict"]

MASK, STATISTIC_NOISE = np.uint32(Purpose.MASK), np.uint32(Purpose.STATISTIC_NOISE)


@inlined
def _gradients(step: Any, rows: Any, network: Any, b: Any, rules: Any, totals: Any, want_norms: Any) -> Any:
    """Draws the step's batch, runs it forward and backward, and leaves errors, norms and losses in the buffers.

    `log_keep` is log(1 - q); 0 draws every row. Returns the size of the batch, or minus the size that would be needed
    where the buffers are too small.
    """
    capacity = b.losses.shape[0]
    batch, pool = b.batch, rows.pool
    if rules.log_keep == 0.0:
        n = pool.shape[0]
        for i in range(n):
            batch[i] = i
    else:
        n = _fill_poisson(batch, pool.shape[0], rules.log_keep, rules.mask0, rules.mask1, MASK, np.uint32(step))
    if n > capacity:
        return -n
    for i in range(n):
        batch[i] = pool[batch[i]]
    pass_through(n, rows, network, b, rules, want_norms)
    loss = 0.0
    for i in range(n):
        loss += b.losses[i]
    totals[LOSS] += loss
    totals[RECORDS] += n
    return n


@inlined
def pass_through(n: Any, rows: Any, network: Any, b: Any, rules: Any, want_norms: Any) -> None:
    """Runs the first `n` rows of `b.batch` forward and backward: losses, errors and, if wanted, norms."""
    capacity = b.losses.shape[0]
    batch, logits, meta = b.batch, b.logits, network.meta
    padded = n + (-n) % v.ROWS
    forward(batch, n, padded, rows, meta, network.weights, b, rules.activation)
    classes = meta[meta.shape[0] - 1, OUTPUTS]
    for k in range(classes):
        for i in range(n, min(capacity, n + 16)):
            logits[k * capacity + i] = f32(0)
    loss_and_errors(batch, n, classes, rows.labels, rows.values, rules.loss, logits, b.errors, b.error_squares,
                    b.losses, capacity)  # fmt: skip
    backward(batch, n, padded, rows, network, b, rules.activation, want_norms)


@inlined
def _join(sums: Any, b: Any) -> None:
    """The canaries of an audit join the sum of the rows' scaled gradients."""
    for i in range(b.places.shape[0]):
        at = b.places[i]
        b.before[i] = sums[at]
        sums[at] += b.added[i]


@inlined
def _tally(n: Any, factors: Any, norms: Any, limit: Any, totals: Any) -> None:
    """How many gradients were longer than the limit, and how much of them all was kept."""
    kept, clipped = 0.0, 0.0
    for i in range(n):
        kept += factors[i]
    if limit < np.inf:
        for i in range(n):
            if norms[i] > limit:
                clipped += 1.0
    totals[KEPT] += kept
    totals[CLIPPED] += clipped


@compiled
def gradients(step: Any, rows: Any, network: Any, b: Any, rules: Any, totals: Any, want_norms: Any) -> Any:
    """The first half of a step; see `_gradients`."""
    return _gradients(step, rows, network, b, rules, totals, want_norms)


@compiled
def apply(step: Any, n: Any, factors: Any, limit: Any, noise_std: Any, drawn: Any, rate: Any, rows: Any, network: Any,
          b: Any, rules: Any, totals: Any) -> None:  # fmt: skip
    """The second half: the sum of the scaled gradients, noise and the optimizer."""
    _tally(n, factors, b.norms, limit, totals)
    weighted_sum(n, n + (-n) % v.ROWS, rows, network, b, factors)
    _join(network.sums, b)
    update(step, network, b.noise, b.noisy, noise_std, drawn, rate, rules)


@compiled
def advance(step: Any, stop: Any, rows: Any, network: Any, b: Any, rules: Any, rates: Any, program: Any, scalars: Any,
            multiplier: Any, statistic_std: Any, expected: Any, totals: Any, needed: Any) -> Any:  # fmt: skip
    """Steps from `step` up to `stop` of a recorded method; returns the number of the next step.

    Stops early where the loss is no number, and where a batch needs larger buffers: then needed[0] says how large.
    `multiplier` is the noise on the gradient as a multiple of the method's limit, `statistic_std` that on the sum of
    its statistic, `expected` the expected batch size. Without factors (`program.factors` is -1) gradients are used
    whole and nothing is added.
    """
    capacity = b.losses.shape[0]
    code, states, private = program.code, program.next_state.shape[0], program.factors >= 0
    moved = np.empty(states, np.float64)
    drawn = np.empty(1, np.float32)
    while step < stop:
        n = _gradients(step, rows, network, b, rules, totals, private)
        if n < 0:
            needed[0] = -n
            return step
        factors, limit = b.ones[:n], np.inf
        if private:
            b.registers[:n] = b.norms[:n]
            execute(code, 0, program.split, n, capacity, b.registers, scalars)
            limit = scalars[program.limit]
            at = program.factors * capacity
            factors = b.registers[at : at + n]
        _tally(n, factors, b.norms, f32(limit), totals)
        weighted_sum(n, n + (-n) % v.ROWS, rows, network, b, factors)
        _join(network.sums, b)
        noise_std = multiplier * limit if private else 0.0
        update(step, network, b.noise, b.noisy, f32(noise_std), False, f32(rates[step]), rules)
        if program.share >= 0:
            centred = 0.0
            at = program.share * capacity
            for i in range(n):
                centred += b.registers[at + i] - f32(0.5)
            noise = 0.0
            if statistic_std != 0.0:
                _fill_normals(drawn, rules.own0, rules.own1, STATISTIC_NOISE, np.uint32(step))
                noise = statistic_std * np.float64(drawn[0])
            scalars[0] = 0.5 + (centred + noise) / expected
        execute(code, program.split, code.shape[0], 0, capacity, b.registers, scalars)
        for s in range(states):
            moved[s] = scalars[program.next_state[s]]
        for s in range(states):
            scalars[1 + s] = moved[s]
        step += 1
        if not np.isfinite(totals[LOSS]):
            break
    return step
