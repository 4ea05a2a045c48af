"""Backward: squared gradient norms per record, and the sum of gradients, each scaled by its record's factor.

Ghost norms (Goodfellow 2015, arXiv:1510.01799): the gradient of record i in a linear layer is the outer product of its
input a and its backpropagated error d, so its squared norm is (|a|^2 + 1) |d|^2, the 1 being the bias. No gradient of
a single record is ever formed; the sum of gradients, each scaled by a factor, is one product of A with the scaled D.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from worker.training.fleet import _vector as v
from worker.training.fleet._compile import (
    BIAS,
    GELU,
    INPUTS,
    NARROW,
    OUTPUTS,
    PADDED,
    RELU,
    STRIDE,
    TANH,
    WEIGHTS,
    D,
    H,
    Z,
    f32,
    inlined,
)
from worker.training.fleet._forward import dense, squared_norms


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
def _narrow_backward(n: Any, padded: Any, meta: Any, layer: Any, weights: Any, work: Any, errors: Any, activation: Any,
                     squares: Any, capacity: Any) -> None:  # fmt: skip
    """Errors of the hidden layer below a narrow last one, and their squared norms."""
    below = layer - 1
    stride, h, d = meta[below, STRIDE], meta[below, H], meta[below, D]
    z = meta[below, Z] if activation == GELU else h
    classes, w, w_stride = meta[layer, OUTPUTS], meta[layer, WEIGHTS], meta[layer, STRIDE]
    if classes == 2 and activation == RELU:
        # The commonest network, for which the compiler gets a loop without a choice in it.
        for i in range(n):
            e0, e1 = v.splat(errors[i]), v.splat(errors[capacity + i])
            s = v.splat(f32(0))
            at = i * stride
            for p in range(0, stride, 16):
                g = v.fma(e1, v.load(weights, w + w_stride + p), v.mul(e0, v.load(weights, w + p)))
                g = v.where_positive(v.load(work, h + at + p), g)
                v.store(work, d + at + p, g)
                s = v.fma(g, g, s)
            squares[i] = v.total(s)
    else:
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
    for at in range(d + n * stride, d + padded * stride, 16):
        v.store(work, at, v.splat(f32(0)))


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
    h, d = meta[below, H], meta[below, D]
    z = meta[below, Z] if activation == GELU else h
    dense(work, meta[layer, D], stride, 1, turned, 0, under, zeros, 0, 0, work, d, under, padded, under, outputs)
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
def backward(
    batch: Any, n: Any, padded: Any, rows: Any, network: Any, b: Any, activation: Any, want_norms: Any
) -> None:
    """Errors of every layer into D, from errors[k, i]; gradient norms[i] if wanted."""
    meta, weights, work = network.meta, network.weights, b.work
    capacity = b.losses.shape[0]
    norms, error_squares, input_squares = b.norms, b.error_squares, b.input_squares
    last = meta.shape[0] - 1
    narrow = meta[last, NARROW] == 1
    if want_norms:
        for i in range(n):
            norms[i] = f32(0)
    for layer in range(last, -1, -1):
        if want_norms:
            if layer == 0:
                for i in range(n):
                    norms[i] += (rows.squares[batch[i]] + f32(1)) * error_squares[i]
            else:
                if not (narrow and layer == last):
                    squared_norms(n, meta[layer - 1, H], meta[layer - 1, STRIDE], work, input_squares)
                for i in range(n):
                    norms[i] += (input_squares[i] + f32(1)) * error_squares[i]
        if layer == last and not narrow:
            _wide_errors(n, padded, meta, layer, work, b.errors, capacity)
        if layer == 0:
            break
        if narrow and layer == last:
            _narrow_backward(n, padded, meta, layer, weights, work, b.errors, activation, error_squares, capacity)
        else:
            _backward(n, padded, layer, meta, weights, work, b.turned, b.zeros, activation, error_squares)
    if want_norms:
        for i in range(n):
            norms[i] = np.sqrt(norms[i])


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


@inlined
def _narrow_sum(n: Any, classes: Any, h: Any, below: Any, work: Any, errors: Any, sums: Any, w: Any, stride: Any,
                capacity: Any) -> None:  # fmt: skip
    """Sum of outer products of the scaled errors with the layer below, two classes at a time, kept in registers."""
    for k in range(0, classes, 2):
        other = min(k + 1, classes - 1)
        for p in range(0, below - 48, 64):
            a0, a1, a2, a3 = v.splat(f32(0)), v.splat(f32(0)), v.splat(f32(0)), v.splat(f32(0))
            c0, c1, c2, c3 = v.splat(f32(0)), v.splat(f32(0)), v.splat(f32(0)), v.splat(f32(0))
            for i in range(n):
                e, u = v.splat(errors[k * capacity + i]), v.splat(errors[other * capacity + i])
                at = h + i * below + p
                h0, h1, h2, h3 = v.load(work, at), v.load(work, at + 16), v.load(work, at + 32), v.load(work, at + 48)
                a0, a1, a2, a3 = v.fma(e, h0, a0), v.fma(e, h1, a1), v.fma(e, h2, a2), v.fma(e, h3, a3)
                c0, c1, c2, c3 = v.fma(u, h0, c0), v.fma(u, h1, c1), v.fma(u, h2, c2), v.fma(u, h3, c3)
            o, q = w + k * stride + p, w + other * stride + p
            v.store(sums, o, a0)
            v.store(sums, o + 16, a1)
            v.store(sums, o + 32, a2)
            v.store(sums, o + 48, a3)
            v.store(sums, q, c0)
            v.store(sums, q + 16, c1)
            v.store(sums, q + 32, c2)
            v.store(sums, q + 48, c3)
        for p in range(below - below % 64, below, 16):
            a0, c0 = v.splat(f32(0)), v.splat(f32(0))
            for i in range(n):
                h0 = v.load(work, h + i * below + p)
                a0 = v.fma(v.splat(errors[k * capacity + i]), h0, a0)
                c0 = v.fma(v.splat(errors[other * capacity + i]), h0, c0)
            v.store(sums, w + k * stride + p, a0)
            v.store(sums, w + other * stride + p, c0)


@inlined
def _scatter(n: Any, hot: Any, codes: Any, factors: Any, start: Any, stride: Any, work: Any, sums: Any, w: Any,
             bias: Any) -> None:  # fmt: skip
    """Scales each record's error and adds it to the bias and to the rows of its active one-hot columns."""
    wide = stride - stride % 64
    for p in range(0, wide, 64):
        b0, b1, b2, b3 = v.splat(f32(0)), v.splat(f32(0)), v.splat(f32(0)), v.splat(f32(0))
        for i in range(n):
            at, f = start + i * stride + p, v.splat(factors[i])
            g0, g1 = v.mul(f, v.load(work, at)), v.mul(f, v.load(work, at + 16))
            g2, g3 = v.mul(f, v.load(work, at + 32)), v.mul(f, v.load(work, at + 48))
            b0, b1, b2, b3 = v.add(b0, g0), v.add(b1, g1), v.add(b2, g2), v.add(b3, g3)
            for t in range(hot):
                o = w + codes[i * hot + t] + p
                v.store(sums, o, v.add(g0, v.load(sums, o)))
                v.store(sums, o + 16, v.add(g1, v.load(sums, o + 16)))
                v.store(sums, o + 32, v.add(g2, v.load(sums, o + 32)))
                v.store(sums, o + 48, v.add(g3, v.load(sums, o + 48)))
        v.store(sums, bias + p, b0)
        v.store(sums, bias + p + 16, b1)
        v.store(sums, bias + p + 32, b2)
        v.store(sums, bias + p + 48, b3)
    for p in range(wide, stride, 16):
        b0 = v.splat(f32(0))
        for i in range(n):
            at = start + i * stride + p
            g0 = v.mul(v.splat(factors[i]), v.load(work, at))
            b0 = v.add(b0, g0)
            for t in range(hot):
                o = w + codes[i * hot + t] + p
                v.store(sums, o, v.add(g0, v.load(sums, o)))
        v.store(sums, bias + p, b0)


@inlined
def weighted_sum(n: Any, padded: Any, rows: Any, network: Any, b: Any, factors: Any) -> None:
    """sums = sum over records of factors[i] times the record's gradient, in the layout of the weights."""
    meta, sums, work, errors = network.meta, network.sums, b.work, b.errors
    capacity = b.losses.shape[0]
    last = meta.shape[0] - 1
    for layer in range(last + 1):
        stride, w = meta[layer, STRIDE], meta[layer, WEIGHTS]
        if layer == last and meta[last, NARROW] == 1:
            below = meta[layer - 1, STRIDE]
            for k in range(meta[layer, OUTPUTS]):
                s = f32(0)
                for i in range(n):
                    e = factors[i] * errors[k * capacity + i]
                    errors[k * capacity + i] = e
                    s += e
                sums[meta[layer, BIAS] + k] = s
            _narrow_sum(n, meta[layer, OUTPUTS], meta[layer - 1, H], below, work, errors, sums, w, stride, capacity)
            continue
        d = meta[layer, D]
        if layer > 0:
            _scale_errors(n, padded, d, stride, factors, work, sums, meta[layer, BIAS])
            dense(work, meta[layer - 1, H], 1, meta[layer - 1, STRIDE], work, d, stride, b.zeros, 0, 0, sums, w, stride,
                  meta[layer, PADDED], stride, padded)  # fmt: skip
            continue
        columns, x_stride = rows.columns, b.x.shape[0] // capacity
        for i in range(n):
            for t in range(i * x_stride, i * x_stride + columns):
                b.x[t] *= factors[i]
        whole = columns + (-columns) % v.ROWS
        dense(b.x, 0, 1, x_stride, work, d, stride, b.zeros, 0, 0, sums, w, stride, whole, stride, padded)
        # The product goes on to a multiple of six, over rows of one-hot columns, which begin at zero here.
        sums[w + columns * stride : w + meta[0, PADDED] * stride] = f32(0)
        _scatter(n, rows.hot, b.codes, factors, d, stride, work, sums, w, meta[0, BIAS])
