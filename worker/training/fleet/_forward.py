"""Forward: from the rows of a batch to logits, losses and the derivative of the losses by the logits.

Layout. All weights of a network lie in one float32 array, layer after layer. A layer of `inputs` x `outputs` holds
`padded inputs` rows of `stride` numbers and one more row for the bias; `stride` is `outputs` padded to a multiple of
16. The last layer of few outputs ("narrow") is held the other way round, one row of weights per output. Padding is
zero and stays zero. `meta` describes the layers, see `layout.py`.

A batch holds up to `capacity` records, a multiple of 48; rows from the batch's end to the next multiple of six are
finite in H and zero in D, so that products may run over them.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from worker.training.fleet import _vector as v
from worker.training.fleet._compile import (
    BIAS,
    FEW_COLUMNS,
    GELU,
    INPUTS,
    NARROW,
    OUTPUTS,
    RELU,
    SQUARED_ERROR,
    STRIDE,
    TANH,
    WEIGHTS,
    H,
    Z,
    compiled,
    f32,
    inlined,
)


@inlined
def dense(a: Any, ia: Any, a_row: Any, a_term: Any, b: Any, ib: Any, b_term: Any, init: Any, ii: Any, init_row: Any,
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
def _dense_rectified(a: Any, ia: Any, a_row: Any, b: Any, ib: Any, b_term: Any, ii: Any, out: Any, io: Any,
                     out_row: Any, rows: Any, columns: Any, terms: Any) -> None:  # fmt: skip
    """out = max(0, a b + bias), the bias being at b[ii]: a layer with its activation, written once."""
    wide = columns - columns % 64
    for p in range(0, wide, 64):
        for m in range(0, rows, v.ROWS):
            v.gemm_wide_rectified(a, ia + m * a_row, a_row, 1, b, ib + p, b_term, b, ii + p, 0,
                                  out, io + m * out_row + p, out_row, terms)  # fmt: skip
    for p in range(wide, columns, 16):
        for m in range(0, rows, v.ROWS):
            v.gemm_narrow_rectified(a, ia + m * a_row, a_row, 1, b, ib + p, b_term, b, ii + p, 0,
                                    out, io + m * out_row + p, out_row, terms)  # fmt: skip


@inlined
def _activate(z: Any, activation: Any) -> Any:
    if activation == RELU:
        return v.positive(z)
    if activation == TANH:
        return v.tanh(z)
    return v.mul(z, v.normal_cdf(z))


@inlined
def _gather(batch: Any, n: Any, padded: Any, rows: Any, x: Any, x_stride: Any, stride: Any, codes: Any) -> None:
    """The batch's numeric columns, zeros behind them; and where the weights of its one-hot columns begin."""
    numeric, columns, active, hot = rows.numeric, rows.columns, rows.active, rows.hot
    wide = columns - columns % 16
    for i in range(n):
        at, r = i * x_stride, batch[i] * columns
        for t in range(0, wide, 16):
            v.store(x, at + t, v.load(numeric, r + t))
        for t in range(wide, columns):
            x[at + t] = numeric[r + t]
    for i in range(n, padded):
        x[i * x_stride : i * x_stride + columns] = f32(0)
    for i in range(n):
        at, r = i * hot, batch[i] * hot
        for t in range(hot):
            codes[at + t] = np.int64(active[r + t]) * stride


@inlined
def _first_layer(n: Any, padded: Any, rows: Any, x: Any, x_stride: Any, codes: Any, meta: Any, weights: Any, work: Any,
                 activation: Any, last: Any) -> None:  # fmt: skip
    """Numeric columns by a product (or one by one, where few), one-hot ones by adding the rows of active weights."""
    stride, columns, hot = meta[0, STRIDE], rows.columns, rows.hot
    w, h, z, bias = meta[0, WEIGHTS], meta[0, H], meta[0, Z], meta[0, BIAS]
    few = columns <= FEW_COLUMNS
    target = z if activation == GELU else h
    if not few and hot == 0 and not last and activation == RELU:
        _dense_rectified(x, 0, x_stride, weights, w, stride, bias, work, h, stride, padded, stride, columns)
        return
    if not few:
        dense(x, 0, x_stride, 1, weights, w, stride, weights, bias, 0, work, target, stride, padded, stride, columns)
    wide = stride - stride % 64
    for p in range(0, wide, 64):
        for i in range(n):
            at = target + i * stride + p
            if few:
                a0, a1 = v.load(weights, bias + p), v.load(weights, bias + p + 16)
                a2, a3 = v.load(weights, bias + p + 32), v.load(weights, bias + p + 48)
                for t in range(columns):
                    s, o = v.splat(x[i * x_stride + t]), w + t * stride + p
                    a0, a1 = v.fma(s, v.load(weights, o), a0), v.fma(s, v.load(weights, o + 16), a1)
                    a2, a3 = v.fma(s, v.load(weights, o + 32), a2), v.fma(s, v.load(weights, o + 48), a3)
            else:
                a0, a1 = v.load(work, at), v.load(work, at + 16)
                a2, a3 = v.load(work, at + 32), v.load(work, at + 48)
            for t in range(hot):
                o = w + codes[i * hot + t] + p
                a0, a1 = v.add(a0, v.load(weights, o)), v.add(a1, v.load(weights, o + 16))
                a2, a3 = v.add(a2, v.load(weights, o + 32)), v.add(a3, v.load(weights, o + 48))
            if not last and activation == RELU:
                a0, a1, a2, a3 = v.positive(a0), v.positive(a1), v.positive(a2), v.positive(a3)
            v.store(work, at, a0)
            v.store(work, at + 16, a1)
            v.store(work, at + 32, a2)
            v.store(work, at + 48, a3)
    for p in range(wide, stride, 16):
        for i in range(n):
            at = target + i * stride + p
            if few:
                a0 = v.load(weights, bias + p)
                for t in range(columns):
                    a0 = v.fma(v.splat(x[i * x_stride + t]), v.load(weights, w + t * stride + p), a0)
            else:
                a0 = v.load(work, at)
            for t in range(hot):
                a0 = v.add(a0, v.load(weights, w + codes[i * hot + t] + p))
            if not last and activation == RELU:
                a0 = v.positive(a0)
            v.store(work, at, a0)
    for at in range(n * stride, padded * stride, 16):
        v.store(work, target + at, v.splat(f32(0)))
    if not last and activation != RELU:
        for at in range(0, padded * stride, 16):
            v.store(work, h + at, _activate(v.load(work, target + at), activation))


@inlined
def _hidden_layer(layer: Any, padded: Any, meta: Any, weights: Any, work: Any, activation: Any, last: Any) -> None:
    stride, before = meta[layer, STRIDE], meta[layer - 1, STRIDE]
    h, z = meta[layer, H], meta[layer, Z]
    if activation == RELU and not last:
        _dense_rectified(work, meta[layer - 1, H], before, weights, meta[layer, WEIGHTS], stride, meta[layer, BIAS],
                         work, h, stride, padded, stride, meta[layer, INPUTS])  # fmt: skip
        return
    target = z if activation == GELU and not last else h
    dense(work, meta[layer - 1, H], before, 1, weights, meta[layer, WEIGHTS], stride, weights, meta[layer, BIAS], 0,
           work, target, stride, padded, stride, meta[layer, INPUTS])  # fmt: skip
    if not last:
        for at in range(0, padded * stride, 16):
            v.store(work, h + at, _activate(v.load(work, target + at), activation))


@inlined
def squared_norms(n: Any, start: Any, stride: Any, work: Any, out: Any) -> None:
    """out[i] = squared norm of row i."""
    for i in range(n):
        s = v.splat(f32(0))
        for p in range(0, stride, 16):
            a = v.load(work, start + i * stride + p)
            s = v.fma(a, a, s)
        out[i] = v.total(s)


@inlined
def _narrow_logits(n: Any, meta: Any, layer: Any, weights: Any, work: Any, logits: Any, squares: Any,
                   capacity: Any) -> None:  # fmt: skip
    """logits[k, i], one dot product each, two classes at a time; and the squared norm of the input, the layer below."""
    stride, h, classes = meta[layer - 1, STRIDE], meta[layer - 1, H], meta[layer, OUTPUTS]
    for k in range(0, classes, 2):
        # An odd last class is computed twice: simpler than a second loop, and only regression has one.
        other = min(k + 1, classes - 1)
        w0 = meta[layer, WEIGHTS] + k * meta[layer, STRIDE]
        w1 = meta[layer, WEIGHTS] + other * meta[layer, STRIDE]
        bias0, bias1 = weights[meta[layer, BIAS] + k], weights[meta[layer, BIAS] + other]
        for i in range(n):
            at = h + i * stride
            s, l0, l1 = v.splat(f32(0)), v.splat(f32(0)), v.splat(f32(0))
            for p in range(0, stride, 16):
                a = v.load(work, at + p)
                s = v.fma(a, a, s)
                l0 = v.fma(a, v.load(weights, w0 + p), l0)
                l1 = v.fma(a, v.load(weights, w1 + p), l1)
            squares[i] = v.total(s)
            logits[k * capacity + i] = v.total(l0) + bias0
            logits[other * capacity + i] = v.total(l1) + bias1


@inlined
def _wide_logits(n: Any, meta: Any, layer: Any, work: Any, logits: Any, capacity: Any) -> None:
    """Turns the last layer's rows into logits[k, i]."""
    stride, h = meta[layer, STRIDE], meta[layer, H]
    for i in range(n):
        for k in range(meta[layer, OUTPUTS]):
            logits[k * capacity + i] = work[h + i * stride + k]


@inlined
def loss_and_errors(batch: Any, n: Any, classes: Any, labels: Any, values: Any, loss_kind: Any, logits: Any,
                    errors: Any, error_squares: Any, losses: Any, capacity: Any) -> None:  # fmt: skip
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
def forward(batch: Any, n: Any, padded: Any, rows: Any, meta: Any, weights: Any, b: Any, activation: Any) -> None:
    """Inputs of the rows in `batch` to logits[k, i], leaving every layer's output in `work`."""
    work, capacity = b.work, b.losses.shape[0]
    x_stride = b.x.shape[0] // capacity
    _gather(batch, n, padded, rows, b.x, x_stride, meta[0, STRIDE], b.codes)
    last = meta.shape[0] - 1
    narrow = meta[last, NARROW] == 1
    _first_layer(n, padded, rows, b.x, x_stride, b.codes, meta, weights, work, activation, last == 0)
    for layer in range(1, last + 1):
        if not (narrow and layer == last):
            _hidden_layer(layer, padded, meta, weights, work, activation, layer == last)
    if narrow:
        _narrow_logits(n, meta, last, weights, work, b.logits, b.input_squares, capacity)
    else:
        _wide_logits(n, meta, last, work, b.logits, capacity)


@compiled
def predict(wanted: Any, rows: Any, meta: Any, weights: Any, b: Any, activation: Any, out: Any) -> None:
    """out[i, k] = logits of row wanted[i], in blocks as large as the buffers allow."""
    outputs, capacity = out.shape[1], b.losses.shape[0]
    for start in range(0, wanted.shape[0], capacity):
        n = min(capacity, wanted.shape[0] - start)
        forward(wanted[start : start + n], n, n + (-n) % v.ROWS, rows, meta, weights, b, activation)
        for i in range(n):
            for k in range(outputs):
                out[start + i, k] = b.logits[k * capacity + i]
