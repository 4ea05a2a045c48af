"""One step of a stack in torch: forward, backward with per-record norms, weighted sum, update. No autograd, no host.

Ghost norms (Goodfellow 2015, arXiv:1510.01799): the gradient of record i in a linear layer is the outer product of its
input a and its backpropagated error d, so its squared norm is |a|^2 |d|^2, where a ends with a 1 for the bias. No
gradient of a single record is ever formed; the sum of gradients, each scaled by a factor, is one product of A with the
scaled D.

R runs, B records, all arrays with the runs first. On a processor with one thread every number of a run is the same bits
whatever R is, because only operations are used for which this holds; tests look after it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch

from worker.datasets._table import Task
from worker.training.fleet import philox
from worker.training.fleet.stack_plan import Layer, Plan, Update, padded
from worker.training.streams import Purpose

BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-8
#: Rows and runs predicted at a time. Fixed, so that a prediction does not depend on what else is predicted.
PREDICT_ROWS, PREDICT_RUNS = 512, 32

#: A matrix of fewer columns is turned before a processor multiplies it: five to eight times as fast.
NARROW = 16

aten = torch.ops.aten


class Room:
    """Activations and errors of one batch.

    `inputs[l]` is `[R, B, inputs + 1]`, what layer l multiplies, with the 1 of the bias; `errors[l]` is
    `[R, B, outputs]`, first the layer's outputs and then the loss's derivative by them. GELU alone needs both at once.
    """

    def __init__(self, plan: Plan, runs: int, width: int, device: torch.device) -> None:
        self.width = width
        self.rows = torch.zeros(runs * width, padded(plan.widths[0] + 1), device=device)
        self.inputs = [self.rows.view(runs, width, -1)[:, :, : plan.widths[0] + 1]]
        for hidden in plan.widths[1:-1]:
            room = torch.zeros(runs, width, padded(hidden + 1), device=device)
            room[:, :, hidden] = 1
            self.inputs.append(room[:, :, : hidden + 1])
        self.errors = [torch.zeros(runs, width, outputs, device=device) for outputs in plan.widths[1:]]
        gelu = plan.activation == "gelu"
        self.outputs = [torch.zeros_like(e) for e in self.errors[:-1]] if gelu else self.errors[:-1]
        self.factors = torch.zeros(runs, width, device=device)
        self.place = torch.arange(width, device=device)


def product(a: torch.Tensor, b: torch.Tensor, out: torch.Tensor) -> None:
    """out `[R, m, n]` = a `[R, m, k]` b `[R, k, n]`. One column by hand: BLAS would add it up as R has it."""
    if b.shape[2] == 1:
        torch.sum(a * b.transpose(1, 2), dim=2, keepdim=True, out=out)
    elif b.shape[2] < NARROW and b.device.type == "cpu":
        torch.bmm(a, _rows(b.transpose(1, 2)).copy_(b.transpose(1, 2)).transpose(1, 2), out=out)
    else:
        torch.bmm(a, b, out=out)


def _rows(like: torch.Tensor) -> torch.Tensor:
    """Room for a `[R, m, n]`, every row of which begins on a cache line."""
    return torch.empty(*like.shape[:2], padded(like.shape[2]), device=like.device)[:, :, : like.shape[2]]


def forward(plan: Plan, room: Room, weights: torch.Tensor) -> torch.Tensor:
    """Logits `[R, B, outputs]` of the rows in `room`, leaving every layer's inputs there."""
    last = len(plan.layers) - 1
    for number, layer in enumerate(plan.layers):
        target = room.errors[-1] if number == last else room.outputs[number]
        product(room.inputs[number], layer.of(weights), target)
        if number < last:
            _activate(plan.activation, target, room.inputs[number + 1][:, :, : layer.outputs])
    return room.errors[-1]


def _activate(activation: str, z: torch.Tensor, out: torch.Tensor) -> None:
    if activation == "relu":
        torch.clamp_min(z, 0, out=out)
    elif activation == "tanh":
        torch.tanh(z, out=out)
    else:
        out.copy_(torch.nn.functional.gelu(z))


def losses_and_errors(task: Task, logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Losses `[R, B]`; replaces the logits by the derivatives of the losses."""
    if task == "regression":
        difference = logits[:, :, 0] - target
        logits.copy_((2 * difference)[:, :, None])
        return difference * difference
    label = target[:, :, None]
    top = logits.amax(dim=2, keepdim=True)
    right = logits.gather(2, label)
    logits.sub_(top).exp_()
    total = logits.sum(dim=2, keepdim=True)
    losses = total.log() + (top - right)
    # p - 1 for the true class is minus the sum of the others: exact where p rounds to 1.
    logits.div_(total).scatter_(2, label, 0.0)
    logits.scatter_(2, label, -logits.sum(dim=2, keepdim=True))
    return losses[:, :, 0]


def backward(
    plan: Plan, room: Room, weights: torch.Tensor, row_squares: torch.Tensor, *, want_norms: bool
) -> torch.Tensor:
    """Errors of every layer, from those of the last; norms of the records' gradients `[R, B]`, zero if not wanted."""
    squares = torch.zeros_like(row_squares)
    for number in range(len(plan.layers) - 1, -1, -1):
        error = room.errors[number]
        if want_norms:
            before = row_squares if number == 0 else _squares(room.inputs[number])
            squares.addcmul_(before, _squares(error))
        if number > 0:
            matrix, below = plan.layers[number].of(weights), room.errors[number - 1]
            product(error, matrix[:, :-1].transpose(1, 2), below)
            _through_activation(plan.activation, below, room, number - 1)
    return squares.sqrt_()


def _squares(rows: torch.Tensor) -> torch.Tensor:
    norms: torch.Tensor = torch.linalg.vector_norm(rows, dim=2)
    return norms.square_()


def _through_activation(activation: str, error: torch.Tensor, room: Room, number: int) -> None:
    """error *= derivative of the activation, from its output or, for GELU, its input."""
    output = room.inputs[number + 1][:, :, :-1]
    if activation == "relu":
        aten.threshold_backward.grad_input(error, output, 0, grad_input=error)
    elif activation == "tanh":
        aten.tanh_backward.grad_input(error, output, grad_input=error)
    else:
        aten.gelu_backward.grad_input(error, room.outputs[number], grad_input=error)


def weighted_sum(plan: Plan, room: Room, factors: torch.Tensor, sums: torch.Tensor) -> None:
    """sums = sum over records of `factors` `[R, B]` times the record's gradient, in the layout of the weights."""
    for layer, rows, error in zip(plan.layers, room.inputs, room.errors, strict=True):
        error.mul_(factors[:, :, None])
        if layer.outputs < NARROW and sums.device.type == "cpu":
            turned = _rows(layer.of(sums).transpose(1, 2))
            layer.of(sums).copy_(torch.bmm(error.transpose(1, 2), rows, out=turned).transpose(1, 2))
        else:
            torch.bmm(rows.transpose(1, 2), error, out=layer.of(sums))


class Rates(NamedTuple):
    """What the update needs of each run, `[R, 1]`; `corrections` `[2]` are Adam's. Tensors of fixed address."""

    inverse_batch: torch.Tensor
    momentum: torch.Tensor
    decay: torch.Tensor
    rate: torch.Tensor
    corrections: torch.Tensor


def draw_noise(layers: Sequence[Layer], keys: torch.Tensor, number: torch.Tensor, noise: torch.Tensor) -> None:
    """The step's normals into `noise` `[R, size]`, for `keys` `[R, 2]` and step `number` `[1]`."""
    last = layers[-1]
    drawn = philox.normals(keys, Purpose.NOISE, number, last.first + last.count)
    for layer in layers:
        part = drawn[:, layer.first : layer.first + layer.count]
        noise[:, layer.start : layer.start + layer.count] = part


def next_weights(
    update: Update, rates: Rates, deviation: torch.Tensor, weights: torch.Tensor, sums: torch.Tensor,
    noise: torch.Tensor | None, moments: Sequence[torch.Tensor], spare: Sequence[torch.Tensor],
) -> None:  # fmt: skip
    """The next weights into `sums` and the next moments into `spare`; weights and moments stay as they are.

    One optimizer step on the noisy mean gradient, (sums + deviation * noise) / expected batch. Gaps between layers are
    zero and stay zero, whatever happens here.
    """
    g = sums
    if noise is not None:
        g.addcmul_(noise, deviation)
    g.mul_(rates.inverse_batch)
    keep = 1 - rates.rate * rates.decay
    if update == "sgd":
        g.mul_(-rates.rate).addcmul_(weights, keep)
        return
    if update != "adamw":
        g.addcmul_(weights, rates.decay)
    if update == "momentum":
        torch.mul(moments[0], rates.momentum, out=spare[0]).add_(g)
        torch.mul(spare[0], -rates.rate, out=g).add_(weights)
        return
    torch.mul(moments[0], BETA1, out=spare[0]).add_(g, alpha=1 - BETA1)
    torch.mul(moments[1], BETA2, out=spare[1]).addcmul_(g, g, value=1 - BETA2)
    torch.mul(spare[1], rates.corrections[1], out=g).sqrt_().add_(EPSILON)
    torch.div(spare[0], g, out=g).mul_(-rates.rate * rates.corrections[0])
    if update == "adamw":
        g.addcmul_(weights, keep)
    else:
        g.add_(weights)


def predict(plan: Plan, weights: torch.Tensor, features: torch.Tensor) -> torch.Tensor:
    """Logits `[R, rows, outputs]` of the same rows `[rows, inputs]` for every run."""
    runs, rows = weights.shape[0], features.shape[0]
    out = torch.empty(runs, rows, plan.widths[-1], device=weights.device)
    for first in range(0, runs, PREDICT_RUNS):
        mine = weights[first : first + PREDICT_RUNS]
        for start in range(0, rows, PREDICT_ROWS):
            block = features[start : start + PREDICT_ROWS]
            count = len(block)
            # Every run's matrices begin where a cache line does, as in training.
            h = torch.nn.functional.pad(block, (0, 0, 0, padded(count) - count)).expand(len(mine), -1, -1)
            for number, layer in enumerate(plan.layers):
                if number:
                    _activate(plan.activation, h, h)
                matrix = layer.of(mine)
                z = torch.empty(*h.shape[:2], layer.outputs, device=weights.device)
                product(h, matrix[:, :-1], z)
                h = z.add_(matrix[:, -1:])
            out[first : first + PREDICT_RUNS, start : start + count] = h[:, :count]
    return out
