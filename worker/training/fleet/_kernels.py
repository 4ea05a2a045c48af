"""Compiled steps of one network's training: forward, backward with per-record norms, weighted sum, update.

Ghost norms (Goodfellow 2015, arXiv:1510.01799): the gradient of record i in a linear layer is the outer product of its
input a and its backpropagated error d, so its squared norm is (|a|^2 + 1) |d|^2, the 1 being the bias. No gradient of
a single record is ever formed; the sum of gradients, each scaled by a factor, is one product of A with the scaled D.

Layout. All weights of a network lie in one float32 array, layer after layer. A layer of `inputs` x `outputs` holds
`padded inputs` rows of `stride` numbers and one more row for the bias; `stride` is `outputs` padded to a multiple of
16. The last layer of few outputs ("narrow") is held the other way round, one row of weights per output. Padding is
zero and stays zero. `meta` describes the layers, see `layout.py`.

A batch holds up to `capacity` records, a multiple of 48; rows beyond the batch are zero.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from worker.training.fleet import _vector as v
from worker.training.streams import _fill_normals, _fill_poisson

f32 = np.float32
# Without `nnan` and `ninf`, which would let the compiler hide a run that diverges.
FAST = {"contract", "reassoc", "nsz", "arcp"}
compiled: Any = njit(nogil=True, cache=True, fastmath=FAST, boundscheck=False)
# Inlined before anything is compiled: of a function that several others call, the compiler would keep several
# versions that differ in the last bit, and which one runs would depend on whether it was compiled now or loaded.
inlined: Any = njit(nogil=True, fastmath=FAST, boundscheck=False, inline="always")

#: Columns of `meta`, one row per layer.
INPUTS, PADDED, OUTPUTS, STRIDE, WEIGHTS, BIAS, H, Z, D, NARROW, LOGICAL = range(11)
RELU, TANH, GELU = range(3)
CROSS_ENTROPY, SQUARED_ERROR = range(2)
SGD, ADAM, ADAMW = range(3)
#: Sums over the records of an epoch, in float64, as `worker.training.recorder` numbers them.
LOSS, RECORDS, CLIPPED, KEPT = range(4)


@inlined
def _dense(a: Any, ia: Any, a_row: Any, a_term: Any, b: Any, ib: Any, b_term: Any, init: Any, ii: Any, init_row: Any,
           out: Any, io: Any, out_row: Any, rows: Any, columns: Any, terms: Any) -> None:  # fmt: skip
    """out[m, c] = init[m, c] + sum_t a[m, t] b[t, c]; `rows` a multiple of 6, `columns` of 16."""
    wide = columns - columns % 64
    for p in range(0, wide, 64):
        for m in range(0, rows, v.ROWS):
            v.gemm_wide(a, ia + m * a_row, a_row, a_term, b, ib + p, b_term, init, ii + m * init_row + p, init_row,
                        out, io + m * out_row + p, out_row, terms)  # fmt: skip
    for p in range(wide, columns, 16):
        for m in range(0, rows, v.ROWS):
            v.gemm_narrow(a, ia + m * a_row, a_row, a_term, b, ib + p, b_term, init, ii + m * init_row + p, init_row,
                          out, io + m * out_row + p, out_row, terms)  # fmt: skip


@inlined
def _activate(z: Any, activation: Any) -> Any:
    if activation == RELU:
        return v.positive(z)
    if activation == TANH:
        return v.tanh(z)
    return v.mul(z, v.normal_cdf(z))


@inlined
def _backward_activation(g: Any, h: Any, z: Any, activation: Any) -> Any:
    """g times the derivative of the activation, from its output h or, for GELU, its input z."""
    if activation == RELU:
        return v.where_positive(h, g)
    if activation == TANH:
        return v.mul(g, v.sub(v.splat(f32(1)), v.mul(h, h)))
    density = v.mul(v.splat(f32(0.3989422804014327)), v.exp(v.mul(v.splat(f32(-0.5)), v.mul(z, z))))
    return v.mul(g, v.fma(z, density, v.normal_cdf(z)))


@inlined
def _first_layer(batch: Any, n: Any, padded: Any, active: Any, x: Any, x_stride: Any, numeric: Any, meta: Any,
                 weights: Any, work: Any, activation: Any, last: Any) -> None:  # fmt: skip
    """Numeric columns by a dense product, one-hot columns by adding the rows of weights that are active."""
    stride, columns = meta[0, STRIDE], meta[0, STRIDE]
    w, h, z = meta[0, WEIGHTS], meta[0, H], meta[0, Z]
    hot = active.shape[1]
    target = z if activation == GELU else h
    _dense(x, 0, x_stride, 1, weights, w, stride, weights, meta[0, BIAS], 0, work, target, stride, padded, columns,
           numeric)  # fmt: skip
    wide = columns - columns % 64
    for p in range(0, wide, 64):
        for i in range(n):
            r = batch[i]
            at = target + i * stride + p
            a0, a1 = v.load(work, at), v.load(work, at + 16)
            a2, a3 = v.load(work, at + 32), v.load(work, at + 48)
            for t in range(hot):
                o = w + np.intp(active[r, t]) * stride + p
                a0, a1 = v.add(a0, v.load(weights, o)), v.add(a1, v.load(weights, o + 16))
                a2, a3 = v.add(a2, v.load(weights, o + 32)), v.add(a3, v.load(weights, o + 48))
            if last:
                v.store(work, at, a0)
                v.store(work, at + 16, a1)
                v.store(work, at + 32, a2)
                v.store(work, at + 48, a3)
            else:
                if activation == GELU:
                    v.store(work, at, a0)
                    v.store(work, at + 16, a1)
                    v.store(work, at + 32, a2)
                    v.store(work, at + 48, a3)
                q = h + i * stride + p
                a0, a1 = _activate(a0, activation), _activate(a1, activation)
                a2, a3 = _activate(a2, activation), _activate(a3, activation)
                v.store(work, q, a0)
                v.store(work, q + 16, a1)
                v.store(work, q + 32, a2)
                v.store(work, q + 48, a3)
    for p in range(wide, columns, 16):
        for i in range(n):
            r = batch[i]
            at = target + i * stride + p
            a0 = v.load(work, at)
            for t in range(hot):
                a0 = v.add(a0, v.load(weights, w + np.intp(active[r, t]) * stride + p))
            v.store(work, at, a0)
            if not last:
                v.store(work, h + i * stride + p, _activate(a0, activation))


@inlined
def _hidden_layer(layer: Any, padded: Any, meta: Any, weights: Any, work: Any, activation: Any, last: Any) -> None:
    stride, before = meta[layer, STRIDE], meta[layer - 1, STRIDE]
    h, z = meta[layer, H], meta[layer, Z]
    target = z if activation == GELU and not last else h
    _dense(work, meta[layer - 1, H], before, 1, weights, meta[layer, WEIGHTS], stride, weights, meta[layer, BIAS], 0,
           work, target, stride, padded, stride, meta[layer, INPUTS])  # fmt: skip
    if not last:
        for at in range(0, padded * stride, 16):
            v.store(work, h + at, _activate(v.load(work, target + at), activation))


@inlined
def _squares(n: Any, start: Any, stride: Any, work: Any, out: Any) -> None:
    """out[i] = squared norm of row i."""
    for i in range(n):
        s = v.splat(f32(0))
        for p in range(0, stride, 16):
            a = v.load(work, start + i * stride + p)
            s = v.fma(a, a, s)
        out[i] = v.total(s)


@inlined
def _narrow_logits(n: Any, meta: Any, layer: Any, weights: Any, work: Any, logits: Any, capacity: Any) -> None:
    """logits[k, i], one dot product each; the input is the hidden layer below."""
    stride, h = meta[layer - 1, STRIDE], meta[layer - 1, H]
    for k in range(meta[layer, OUTPUTS]):
        w = meta[layer, WEIGHTS] + k * meta[layer, STRIDE]
        bias = weights[meta[layer, BIAS] + k]
        for i in range(n):
            at = h + i * stride
            s0, s1 = v.splat(f32(0)), v.splat(f32(0))
            for p in range(0, stride - 16, 32):
                s0 = v.fma(v.load(work, at + p), v.load(weights, w + p), s0)
                s1 = v.fma(v.load(work, at + p + 16), v.load(weights, w + p + 16), s1)
            if stride % 32:
                s0 = v.fma(v.load(work, at + stride - 16), v.load(weights, w + stride - 16), s0)
            logits[k * capacity + i] = v.total(v.add(s0, s1)) + bias


@inlined
def _wide_logits(n: Any, meta: Any, layer: Any, work: Any, logits: Any, capacity: Any) -> None:
    """Turns the last layer's rows into logits[k, i]."""
    stride, h = meta[layer, STRIDE], meta[layer, H]
    for i in range(n):
        for k in range(meta[layer, OUTPUTS]):
            logits[k * capacity + i] = work[h + i * stride + k]


@inlined
def _errors(batch: Any, n: Any, classes: Any, labels: Any, values: Any, loss_kind: Any, logits: Any, errors: Any,
            error_squares: Any, losses: Any, capacity: Any) -> None:  # fmt: skip
    """Loss of each record and its derivative by the logits, errors[k, i]."""
    if loss_kind == SQUARED_ERROR:
        for i in range(n):
            d = logits[i] - values[batch[i]]
            losses[i] = d * d
            errors[i] = f32(2) * d
            error_squares[i] = f32(4) * d * d
        return
    for i in range(0, n, 16):
        m = v.load(logits, i)
        for k in range(1, classes):
            m = v.larger(v.load(logits, k * capacity + i), m)
        s = v.splat(f32(0))
        for k in range(classes):
            e = v.exp(v.sub(v.load(logits, k * capacity + i), m))
            v.store(errors, k * capacity + i, e)
            s = v.add(s, e)
        v.store(losses, i, s)
        inverse = v.div(v.splat(f32(1)), s)
        v.store(error_squares, i, m)
        for k in range(classes):
            v.store(errors, k * capacity + i, v.mul(v.load(errors, k * capacity + i), inverse))
    for i in range(n):
        c = labels[batch[i]]
        losses[i] = np.log(losses[i]) + error_squares[i] - logits[c * capacity + i]
        # p - 1 for the true class is minus the sum of the others: exact where p rounds to 1.
        rest, squares = f32(0), f32(0)
        for k in range(classes):
            if k != c:
                e = errors[k * capacity + i]
                rest += e
                squares += e * e
        errors[c * capacity + i] = -rest
        error_squares[i] = squares + rest * rest


@inlined
def _narrow_backward(n: Any, meta: Any, layer: Any, weights: Any, work: Any, errors: Any, activation: Any,
                     squares: Any, capacity: Any) -> None:  # fmt: skip
    """Errors of the hidden layer below a narrow last one, and their squared norms."""
    below = layer - 1
    stride, h, z, d = meta[below, STRIDE], meta[below, H], meta[below, Z], meta[below, D]
    classes, w, w_stride = meta[layer, OUTPUTS], meta[layer, WEIGHTS], meta[layer, STRIDE]
    for i in range(n):
        s = v.splat(f32(0))
        at = i * stride
        for p in range(0, stride, 16):
            g = v.mul(v.splat(errors[i]), v.load(weights, w + p))
            for k in range(1, classes):
                g = v.fma(v.splat(errors[k * capacity + i]), v.load(weights, w + k * w_stride + p), g)
            g = _backward_activation(g, v.load(work, h + at + p), v.load(work, z + at + p), activation)
            v.store(work, d + at + p, g)
            s = v.fma(g, g, s)
        squares[i] = v.total(s)


@inlined
def _wide_errors(n: Any, padded: Any, meta: Any, layer: Any, work: Any, errors: Any, capacity: Any) -> None:
    """Writes errors[k, i] into the last layer's rows."""
    stride, d = meta[layer, STRIDE], meta[layer, D]
    for i in range(padded):
        for k in range(meta[layer, OUTPUTS]):
            work[d + i * stride + k] = errors[k * capacity + i] if i < n else f32(0)


@inlined
def _backward(n: Any, padded: Any, layer: Any, meta: Any, weights: Any, work: Any, turned: Any, zeros: Any,
              activation: Any, squares: Any) -> None:  # fmt: skip
    """Errors of layer - 1 from those of `layer`: D_below = (D W^T) * activation'."""
    below = layer - 1
    stride, under = meta[layer, STRIDE], meta[below, STRIDE]
    inputs, outputs, w = meta[layer, INPUTS], meta[layer, OUTPUTS], meta[layer, WEIGHTS]
    for j in range(inputs):
        for k in range(outputs):
            turned[k * under + j] = weights[w + j * stride + k]
    for k in range(outputs):
        # What another layer left there would give padding an error, and the norm a part that is not the record's.
        turned[k * under + inputs : (k + 1) * under] = f32(0)
    h, z, d = meta[below, H], meta[below, Z], meta[below, D]
    _dense(work, meta[layer, D], stride, 1, turned, 0, under, zeros, 0, 0, work, d, under, padded, under, outputs)
    for i in range(n):
        s = v.splat(f32(0))
        at = i * under
        for p in range(0, under, 16):
            g = _backward_activation(
                v.load(work, d + at + p), v.load(work, h + at + p), v.load(work, z + at + p), activation
            )
            v.store(work, d + at + p, g)
            s = v.fma(g, g, s)
        squares[i] = v.total(s)


@inlined
def _forward(batch: Any, n: Any, padded: Any, numeric: Any, active: Any, x: Any, meta: Any, weights: Any, work: Any,
             logits: Any, activation: Any, capacity: Any) -> None:  # fmt: skip
    """Inputs of the rows in `batch` to logits[k, i], leaving every layer's output in `work`."""
    columns, x_stride = numeric.shape[1], x.shape[0] // capacity
    for i in range(n):
        for t in range(columns):
            x[i * x_stride + t] = numeric[batch[i], t]
    for i in range(n, padded):
        for t in range(columns):
            x[i * x_stride + t] = f32(0)
    last = meta.shape[0] - 1
    narrow = meta[last, NARROW] == 1
    _first_layer(batch, n, padded, active, x, x_stride, columns, meta, weights, work, activation, last == 0)
    for layer in range(1, last + 1):
        if not (narrow and layer == last):
            _hidden_layer(layer, padded, meta, weights, work, activation, layer == last)
    if narrow:
        _narrow_logits(n, meta, last, weights, work, logits, capacity)
    else:
        _wide_logits(n, meta, last, work, logits, capacity)


@compiled
def predict(rows: Any, numeric: Any, active: Any, x: Any, meta: Any, weights: Any, work: Any, logits: Any, out: Any,
            activation: Any, capacity: Any) -> None:  # fmt: skip
    """out[i, k] = logits of rows[i], in blocks of `capacity`."""
    outputs = out.shape[1]
    for start in range(0, rows.shape[0], capacity):
        n = min(capacity, rows.shape[0] - start)
        padded = n + (-n) % v.ROWS
        _forward(rows[start : start + n], n, padded, numeric, active, x, meta, weights, work, logits, activation,
                 capacity)  # fmt: skip
        for i in range(n):
            for k in range(outputs):
                out[start + i, k] = logits[k * capacity + i]


@compiled
def gradients(key0: Any, key1: Any, purpose: Any, step: Any, log_keep: Any, pool: Any, numeric: Any, active: Any,
              row_squares: Any, labels: Any, values: Any, meta: Any, weights: Any, work: Any, x: Any, turned: Any,
              zeros: Any, batch: Any, norms: Any, losses: Any, logits: Any, errors: Any, scratch: Any,
              totals: Any, activation: Any, loss_kind: Any, want_norms: Any) -> Any:  # fmt: skip
    """Draws the step's batch, runs it forward and backward, and leaves errors, norms and losses in the buffers.

    `pool` lists the rows that may be drawn. `log_keep` is log(1 - q); 0 draws every row. Returns the size of the
    batch, or minus the size that would be needed where the buffers are too small.
    """
    capacity = losses.shape[0]
    layers = meta.shape[0]
    if log_keep == 0.0:
        n = pool.shape[0]
        for i in range(n):
            batch[i] = i
    else:
        n = _fill_poisson(batch, pool.shape[0], log_keep, key0, key1, purpose, step)
    if n > capacity:
        return -n
    for i in range(n):
        batch[i] = pool[batch[i]]
    padded = n + (-n) % v.ROWS
    last = layers - 1
    narrow = meta[last, NARROW] == 1
    input_squares, error_squares = scratch[:capacity], scratch[capacity : 2 * capacity]
    _forward(batch, n, padded, numeric, active, x, meta, weights, work, logits, activation, capacity)
    classes = meta[last, OUTPUTS]
    for k in range(classes):
        for i in range(n, min(capacity, n + 16)):
            logits[k * capacity + i] = f32(0)
    _errors(batch, n, classes, labels, values, loss_kind, logits, errors, error_squares, losses, capacity)
    loss = 0.0
    for i in range(n):
        loss += losses[i]
    totals[LOSS] += loss
    totals[RECORDS] += n
    if want_norms:
        for i in range(n):
            norms[i] = f32(0)
    for layer in range(last, -1, -1):
        if want_norms:
            if layer == 0:
                for i in range(n):
                    norms[i] += (row_squares[batch[i]] + f32(1)) * error_squares[i]
            else:
                _squares(n, meta[layer - 1, H], meta[layer - 1, STRIDE], work, input_squares)
                for i in range(n):
                    norms[i] += (input_squares[i] + f32(1)) * error_squares[i]
        if layer == last and not narrow:
            _wide_errors(n, padded, meta, layer, work, errors, capacity)
        if layer == 0:
            break
        if narrow and layer == last:
            _narrow_backward(n, meta, layer, weights, work, errors, activation, error_squares, capacity)
            under = meta[layer - 1, STRIDE]
            start = meta[layer - 1, D]
            work[start + n * under : start + padded * under] = f32(0)
        else:
            _backward(n, padded, layer, meta, weights, work, turned, zeros, activation, error_squares)
    if want_norms:
        for i in range(n):
            norms[i] = np.sqrt(norms[i])
    return n


@inlined
def _scale_errors(n: Any, padded: Any, start: Any, stride: Any, factors: Any, work: Any, sums: Any, bias: Any) -> None:
    """D[i] *= factors[i], in place; the bias' gradient is the sum over records."""
    for p in range(0, stride, 16):
        total = v.splat(f32(0))
        for i in range(n):
            at = start + i * stride + p
            d = v.mul(v.splat(factors[i]), v.load(work, at))
            v.store(work, at, d)
            total = v.add(total, d)
        v.store(sums, bias + p, total)
        for i in range(n, padded):
            v.store(work, start + i * stride + p, v.splat(f32(0)))


@compiled
def weighted_sum(n: Any, factors: Any, batch: Any, active: Any, columns: Any, meta: Any, work: Any, x: Any,
                 zeros: Any, errors: Any, sums: Any, norms: Any, limit: Any, totals: Any,
                 capacity: Any) -> None:  # fmt: skip
    """sums = sum over records of factors[i] times the record's gradient, in the layout of the weights."""
    layers = meta.shape[0]
    last = layers - 1
    narrow = meta[last, NARROW] == 1
    padded = n + (-n) % v.ROWS
    kept = 0.0
    for i in range(n):
        kept += factors[i]
        if norms[i] > limit:
            totals[CLIPPED] += 1.0
    totals[KEPT] += kept
    for layer in range(layers):
        stride, w = meta[layer, STRIDE], meta[layer, WEIGHTS]
        if narrow and layer == last:
            below = meta[layer - 1, STRIDE]
            h = meta[layer - 1, H]
            for k in range(meta[layer, OUTPUTS]):
                s = f32(0)
                for i in range(n):
                    e = factors[i] * errors[k * capacity + i]
                    errors[k * capacity + i] = e
                    s += e
                for i in range(n, padded):
                    errors[k * capacity + i] = f32(0)
                sums[meta[layer, BIAS] + k] = s
            _narrow_sum(n, meta[layer, OUTPUTS], h, below, work, errors, sums, w, stride, capacity)
            continue
        _scale_errors(n, padded, meta[layer, D], stride, factors, work, sums, meta[layer, BIAS])
        if layer == 0:
            x_stride = x.shape[0] // capacity
            rows = columns + (-columns) % v.ROWS
            sums[w + columns * stride : w + meta[0, PADDED] * stride] = f32(0)
            _dense(x, 0, 1, x_stride, work, meta[0, D], stride, zeros, 0, 0, sums, w, stride, rows, stride, padded)
            # The product wrote into the first one-hot rows too, where numeric columns do not fill a block of six:
            # their inputs are zero there, so what it wrote is zero.
            _scatter(n, batch, active, meta[0, D], stride, work, sums, w)
        else:
            below = meta[layer - 1, STRIDE]
            _dense(work, meta[layer - 1, H], 1, below, work, meta[layer, D], stride, zeros, 0, 0, sums, w, stride,
                   meta[layer, PADDED], stride, padded)  # fmt: skip


@inlined
def _narrow_sum(n: Any, classes: Any, h: Any, below: Any, work: Any, errors: Any, sums: Any, w: Any, stride: Any,
                capacity: Any) -> None:  # fmt: skip
    for k in range(classes):
        for p in range(0, below - 48, 64):
            a0, a1, a2, a3 = v.splat(f32(0)), v.splat(f32(0)), v.splat(f32(0)), v.splat(f32(0))
            for i in range(n):
                e = v.splat(errors[k * capacity + i])
                at = h + i * below + p
                a0, a1 = v.fma(e, v.load(work, at), a0), v.fma(e, v.load(work, at + 16), a1)
                a2, a3 = v.fma(e, v.load(work, at + 32), a2), v.fma(e, v.load(work, at + 48), a3)
            o = w + k * stride + p
            v.store(sums, o, a0)
            v.store(sums, o + 16, a1)
            v.store(sums, o + 32, a2)
            v.store(sums, o + 48, a3)
        for p in range(below - below % 64, below, 16):
            a0 = v.splat(f32(0))
            for i in range(n):
                a0 = v.fma(v.splat(errors[k * capacity + i]), v.load(work, h + i * below + p), a0)
            v.store(sums, w + k * stride + p, a0)


@inlined
def _scatter(n: Any, batch: Any, active: Any, start: Any, stride: Any, work: Any, sums: Any, w: Any) -> None:
    """Adds each record's scaled error to the rows of its active one-hot columns."""
    hot = active.shape[1]
    wide = stride - stride % 64
    for p in range(0, wide, 64):
        for i in range(n):
            at, r = start + i * stride + p, batch[i]
            g0, g1 = v.load(work, at), v.load(work, at + 16)
            g2, g3 = v.load(work, at + 32), v.load(work, at + 48)
            for t in range(hot):
                o = w + np.intp(active[r, t]) * stride + p
                v.store(sums, o, v.add(g0, v.load(sums, o)))
                v.store(sums, o + 16, v.add(g1, v.load(sums, o + 16)))
                v.store(sums, o + 32, v.add(g2, v.load(sums, o + 32)))
                v.store(sums, o + 48, v.add(g3, v.load(sums, o + 48)))
    for p in range(wide, stride, 16):
        for i in range(n):
            g0 = v.load(work, start + i * stride + p)
            for t in range(hot):
                o = w + np.intp(active[batch[i], t]) * stride + p
                v.store(sums, o, v.add(g0, v.load(sums, o)))


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
               rate: Any, decay: Any, keep: Any, beta1: Any, beta2: Any, eps: Any, correction1: Any,
               correction2: Any) -> None:  # fmt: skip
    for i in range(weights.shape[0]):
        w = weights[i]
        g = (sums[i] + noise_std * noise[i]) * inverse_batch + decay * w
        m = beta1 * first[i] + (f32(1) - beta1) * g
        s = beta2 * second[i] + (f32(1) - beta2) * g * g
        first[i] = m
        second[i] = s
        weights[i] = keep * w - rate * (m * correction1) / (np.sqrt(s * correction2) + eps)


@inlined
def _step_row(at: Any, count: Any, noise: Any, weights: Any, sums: Any, first: Any, second: Any, inverse_batch: Any,
              noise_std: Any, optimizer: Any, rate: Any, momentum: Any, decay: Any, beta1: Any, beta2: Any, eps: Any,
              correction1: Any, correction2: Any) -> None:  # fmt: skip
    w, g = weights[at : at + count], sums[at : at + count]
    if optimizer == SGD:
        if momentum == f32(0):
            _plain_step(w, g, noise, inverse_batch, noise_std, f32(1) - rate * decay, rate)
        else:
            _momentum_step(w, g, noise, first[at : at + count], inverse_batch, noise_std, rate, momentum, decay)
    else:
        decoupled = optimizer == ADAMW
        keep = f32(1) - rate * decay if decoupled else f32(1)
        _adam_step(w, g, noise, first[at : at + count], second[at : at + count], inverse_batch, noise_std, rate,
                   f32(0) if decoupled else decay, keep, beta1, beta2, eps, correction1, correction2)  # fmt: skip


@compiled
def update(key0: Any, key1: Any, purpose: Any, step: Any, meta: Any, weights: Any, sums: Any, noise: Any, first: Any,
           second: Any, inverse_batch: Any, noise_std: Any, drawn: Any, optimizer: Any, rate: Any, momentum: Any,
           decay: Any, beta1: Any, beta2: Any, eps: Any, correction1: Any, correction2: Any) -> None:  # fmt: skip
    """One optimizer step on the noisy mean gradient, (sums + noise_std * N(0, 1)) * inverse_batch.

    The noise of a layer is drawn in the order inputs x outputs, then the biases, whatever the layout. `noise` has
    room for all of it and, behind that, for one row of the narrow layer. `drawn`: it holds the noise already.
    """
    logical_total = 0
    for layer in range(meta.shape[0]):
        logical_total += meta[layer, INPUTS] * meta[layer, OUTPUTS] + meta[layer, OUTPUTS]
    if noise_std != f32(0) and not drawn:
        _fill_normals(noise[:logical_total], key0, key1, purpose, step)
    for layer in range(meta.shape[0]):
        inputs, outputs, stride = meta[layer, INPUTS], meta[layer, OUTPUTS], meta[layer, STRIDE]
        w, logical = meta[layer, WEIGHTS], meta[layer, LOGICAL]
        rows, length = (outputs, inputs) if meta[layer, NARROW] == 1 else (inputs, outputs)
        for j in range(rows):
            if meta[layer, NARROW] == 1:
                row = noise[logical_total : logical_total + length]
                for c in range(length):
                    row[c] = noise[logical + c * outputs + j]
            else:
                row = noise[logical + j * outputs : logical + (j + 1) * outputs]
            _step_row(w + j * stride, length, row, weights, sums, first, second, inverse_batch, noise_std, optimizer,
                      rate, momentum, decay, beta1, beta2, eps, correction1, correction2)  # fmt: skip
        bias = noise[logical + inputs * outputs : logical + inputs * outputs + outputs]
        _step_row(meta[layer, BIAS], outputs, bias, weights, sums, first, second, inverse_batch, noise_std, optimizer,
                  rate, momentum, decay, beta1, beta2, eps, correction1, correction2)  # fmt: skip
