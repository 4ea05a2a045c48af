"""Trains small fully connected networks on the processor, one run per thread, without autograd.

A step is three compiled calls: batch, forward and backward with the norms; the method's own array code, which turns
norms into factors; the weighted sum; noise and optimizer. Everything of one run stays in one core's cache. A run
draws from its own streams only, so it is the same bit for bit alone or among hundreds.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import Any

import numpy as np
import torch

from worker.plugins import State
from worker.training import loop
from worker.training.engine import UNWATCHED, Demand, Examples, Trained, Watch, Work
from worker.training.fleet import _kernels as k
from worker.training.fleet.architecture import Architecture, architecture_of
from worker.training.fleet.layout import Floats, Layout, aligned
from worker.training.initial import build
from worker.training.streams import Purpose

ACTIVATIONS = {"relu": k.RELU, "tanh": k.TANH, "gelu": k.GELU}
OPTIMIZERS = {"sgd": k.SGD, "adam": k.ADAM, "adamw": k.ADAMW}
BETA1, BETA2, EPSILON = np.float32(0.9), np.float32(0.999), np.float32(1e-8)
PREDICT_ROWS = 480

f32, u32 = np.float32, np.uint32


class FleetEngine:
    """Compiled kernels for fully connected networks on tables."""

    name = "fleet-cpu"

    def __init__(self, threads: int = 1) -> None:
        self.threads = threads

    def refuses(self, work: Work) -> str | None:
        """Networks other than linear layers with one kind of activation between them."""
        found = architecture_of(work)
        return found if isinstance(found, str) else None

    def demand(self, work: Work) -> Demand:
        """One run per thread: weights, sums, moments and noise, and the activations of one batch."""
        found = architecture_of(work)
        assert isinstance(found, Architecture)
        layout = Layout.of(found.widths, _capacity(work.expected_batch))
        train = work.train
        per_run = layout.bytes_per_run(work.training.optimizer)
        per_run += layout.bytes_per_thread(train.numeric.shape[1]) + 16 * len(train)
        return Demand(shared=train.numeric.nbytes + train.active.nbytes + train.target.nbytes, per_run=per_run)

    def train(self, works: Sequence[Work], watch: Watch = UNWATCHED) -> Iterator[Trained]:
        """Yields each run as it is done; with several threads in any order."""
        if self.threads == 1:
            for work in works:
                yield loop.run(_Run(work), watch)
            return
        with ThreadPoolExecutor(self.threads) as pool:
            futures = [pool.submit(_train, work, watch) for work in works]
            try:
                for future in as_completed(futures):
                    yield future.result()
            finally:
                for future in futures:
                    future.cancel()


def _train(work: Work, watch: Watch) -> Trained:
    return loop.run(_Run(work), watch)


class _Buffers:
    """What one thread works in: activations, errors, sums and noise of one step."""

    def __init__(self, layout: Layout, columns: int, rows: int) -> None:
        capacity, outputs = layout.capacity, layout.widths[-1]
        self.work = aligned(layout.work)
        self.x = aligned(capacity * (-(-columns // 6) * 6))[: capacity * (-(-columns // 6) * 6)]
        self.turned = aligned(layout.turned)
        self.zeros = aligned(8 * int(layout.meta[:, k.STRIDE].max()))
        self.sums = aligned(layout.weights)
        self.noise = aligned(layout.logical + max(layout.widths))
        self.batch = np.zeros(max(rows, capacity), np.int64)
        self.norms, self.losses = np.zeros(capacity, f32), np.zeros(capacity, f32)
        self.logits, self.errors = np.zeros(capacity * outputs, f32), np.zeros(capacity * outputs, f32)
        self.scratch = np.zeros(2 * capacity, f32)


class _Run:
    engine = FleetEngine.name
    #: Steps between two looks at the clock.
    stride = 16

    def __init__(self, work: Work) -> None:
        found = architecture_of(work)
        assert isinstance(found, Architecture)
        self.work, self.architecture = work, found
        self.module = build(work)
        self.activation = ACTIVATIONS[found.activation]
        expected = work.expected_batch
        self.columns = work.train.numeric.shape[1]
        self._room(_capacity(expected))
        self.weights = self.layout.pack([p.detach().numpy() for p in self.module.parameters()])
        self.first, self.second = aligned(self.layout.weights), aligned(self.layout.weights)
        self.state: State = work.method.start(work.method_params)
        self.totals = np.zeros(4)
        train = work.train
        self.pool = np.arange(len(train), dtype=np.int64)
        self.numeric = np.ascontiguousarray(train.numeric, f32)
        self.active = np.ascontiguousarray(train.active, np.int32)
        self.row_squares = (self.numeric.astype(np.float64) ** 2).sum(1).astype(f32) + f32(self.active.shape[1])
        self.labels, self.values = _targets(work)
        rate = work.schedule.sampling_rate
        self.log_keep = math.log1p(-rate) if rate < 1 else 0.0
        self.ones = np.ones(len(train), f32)
        self.inverse_batch = f32(1 / expected)

    def _room(self, capacity: int) -> None:
        self.layout = Layout.of(self.architecture.widths, capacity)
        self.buffers = _Buffers(self.layout, self.columns, len(self.work.train))

    def advance(self, step: int, stop: int) -> int:
        """Steps until `stop`, or for a short while."""
        until = min(stop, step + self.stride)
        while step < until:
            self.step(step)
            step += 1
            if not math.isfinite(self.totals[k.LOSS]):
                break
        return step

    def finite(self) -> bool:
        """Whether all weights are numbers."""
        return bool(np.isfinite(self.weights).all())

    def arrays(self) -> dict[str, Floats]:
        """Weights and the optimizer's two moments."""
        return {"weights": self.weights, "first": self.first, "second": self.second}

    def restore(self, arrays: Mapping[str, Floats]) -> None:
        """The inverse of `arrays`."""
        for name, mine in self.arrays().items():
            mine[:] = arrays[name]

    def step(self, step: int) -> None:
        """One update of the weights; an empty batch is one like any other."""
        work, b, meta = self.work, self.buffers, self.layout.meta
        method, params, state, budget = work.method, work.method_params, self.state, work.budget
        private = budget is not None
        mask0, mask1 = work.streams.shared
        n = k.gradients(
            u32(mask0), u32(mask1), u32(Purpose.MASK), u32(step), self.log_keep, self.pool, self.numeric, self.active,
            self.row_squares, self.labels, self.values, meta, self.weights, b.work, b.x, b.turned, b.zeros, b.batch,
            b.norms, b.losses, b.logits, b.errors, b.scratch, self.totals, self.activation,
            k.SQUARED_ERROR if work.task == "regression" else k.CROSS_ENTROPY, private,
        )  # fmt: skip
        if n < 0:
            # More rows were drawn than six standard deviations: make room and draw the same batch again.
            self._room(-n + 48)
            self.step(step)
            return
        if budget is None:
            factors, limit, deviation = self.ones[:n], math.inf, 0.0
        else:
            norms = b.norms[:n]
            limit = float(method.sensitivity(state, params))
            factors = np.ascontiguousarray(method.scale(norms, state, params), f32)
            deviation = budget.gradient_multiplier * limit
            statistic = method.statistic(norms, state, params)
            if statistic is None:
                self.state = method.update(state, None, params)
            else:
                noise = (budget.statistic_std or 0.0) * work.streams.statistic_noise(step)
                centred = float((statistic - f32(0.5)).sum(dtype=np.float64))
                self.state = method.update(state, 0.5 + (centred + noise) / work.expected_batch, params)
        k.weighted_sum(n, factors, b.batch, self.active, self.columns, meta, b.work, b.x, b.zeros, b.errors, b.sums,
                       b.norms, f32(limit), self.totals, self.layout.capacity)  # fmt: skip
        training, t = work.training, step + 1
        own0, own1 = work.streams.own
        drawn = work.streams.secure and deviation != 0
        if drawn:
            b.noise[: self.layout.logical] = work.streams.noise(step, self.layout.logical)
        k.update(
            u32(own0), u32(own1), u32(Purpose.NOISE), u32(step), meta, self.weights, b.sums, b.noise, self.first,
            self.second, self.inverse_batch, f32(deviation), drawn, OPTIMIZERS[training.optimizer],
            f32(work.learning_rate(step)), f32(training.momentum), f32(training.weight_decay), BETA1, BETA2, EPSILON,
            f32(1 / (1 - 0.9**t)), f32(1 / (1 - 0.999**t)),
        )  # fmt: skip

    def logits(self, examples: Examples) -> Floats:
        """`[rows, outputs]` float32."""
        layout = Layout.of(self.architecture.widths, PREDICT_ROWS)
        b = _Buffers(layout, self.columns, 0)
        out = np.empty((len(examples), layout.widths[-1]), f32)
        k.predict(
            np.arange(len(examples), dtype=np.int64), np.ascontiguousarray(examples.numeric, f32),
            np.ascontiguousarray(examples.active, np.int32), b.x, layout.meta, self.weights, b.work, b.logits, out,
            self.activation, layout.capacity,
        )  # fmt: skip
        return out

    def trained_module(self) -> torch.nn.Module:
        """The network as a torch module, with the weights as they are now."""
        with torch.no_grad():
            for parameter, values in zip(self.module.parameters(), self.layout.unpack(self.weights), strict=True):
                parameter.copy_(torch.from_numpy(values))
        return self.module


def _capacity(expected: float) -> int:
    """Room for a batch six standard deviations larger than expected."""
    return int(expected + 6 * math.sqrt(expected)) + 48


def _targets(work: Work) -> tuple[np.ndarray[Any, Any], Floats]:
    """Class numbers and values; the one that the task does not use is empty."""
    target = work.train.target
    if work.task == "regression":
        return np.zeros(0, np.int64), np.ascontiguousarray(target, f32)
    return np.ascontiguousarray(target, np.int64), np.zeros(0, f32)
