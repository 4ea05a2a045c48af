"""Trains small fully connected networks on the processor, one run per thread, without autograd.

A run's steps are taken by compiled code, many at a call: batch, forward and backward with the norms, the method's own
array code as `tape.py` recorded it, the weighted sum, noise and optimizer. Everything of one run stays in one core's
cache. A run draws from its own streams only, so it is the same bit for bit alone or among hundreds.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from copy import deepcopy
from typing import Any

import numpy as np
import torch

from worker.datasets._table import Task
from worker.plugins import GROUP, State
from worker.training import loop
from worker.training.clipping import Sample
from worker.training.engine import UNWATCHED, Demand, Examples, Trained, Watch, Work
from worker.training.fleet import _compile as k
from worker.training.fleet import _steps as kernels
from worker.training.fleet._compile import Buffers, Network, Rows, Rules
from worker.training.fleet.architecture import Architecture, architecture_of
from worker.training.fleet.layout import Floats, Layout, aligned
from worker.training.fleet.sample import CompiledGradients, numbers, room_for
from worker.training.fleet.tape import WHOLE, Recorded, record
from worker.training.initial import build
from worker.training.recorder import LOSS, RECORDS

ACTIVATIONS = {"relu": k.RELU, "tanh": k.TANH, "gelu": k.GELU}
OPTIMIZERS = {"sgd": k.SGD, "adam": k.ADAM, "adamw": k.ADAMW}
PREDICT_ROWS = 480

f32, u32 = np.float32, np.uint32


class FleetEngine:
    """Compiled kernels for fully connected networks on tables."""

    name = "fleet-cpu"
    stacks = False
    takes_canaries = True

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
        layout = Layout.of(found.widths, _capacity(work.expected_batch), found.activation)
        train = work.train
        per_run = layout.bytes_per_run()
        per_run += layout.bytes_per_thread(train.numeric.shape[1], train.active.shape[1]) + 32 * len(train)
        if work.sample is not None:
            per_run += 4 * numbers(work.sample, _size(layout))
        return Demand(shared=train.numeric.nbytes + train.active.nbytes + train.target.nbytes, per_run=per_run)

    def train(self, works: Sequence[Work], watch: Watch = UNWATCHED) -> Iterator[Trained]:
        """Yields each run as it is done; with several threads in any order."""
        if self.threads == 1:
            for work in works:
                yield _train(work, watch)
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
    run = _Run(work)
    trained = loop.run(run, watch)
    run.release()
    return trained


def _buffers(layout: Layout, columns: int, hot: int, rows: int, vectors: int) -> Buffers:
    """What one run's steps work in: activations, errors, noise, and a recorded method's registers."""
    capacity, outputs = layout.capacity, layout.widths[-1]
    x_size = capacity * (-(-(columns + 5) // 16) * 16)
    return Buffers(
        work=aligned(layout.work),
        x=aligned(x_size)[:x_size],
        turned=aligned(layout.turned),
        zeros=aligned(8 * int(layout.meta[:, k.STRIDE].max())),
        noise=aligned(layout.noise),
        batch=np.zeros(max(rows, capacity), np.int64),
        norms=np.zeros(capacity, f32),
        ones=np.ones(capacity, f32),
        losses=np.zeros(capacity, f32),
        logits=np.zeros(capacity * outputs, f32),
        errors=np.zeros(capacity * outputs, f32),
        input_squares=np.zeros(capacity, f32),
        error_squares=np.zeros(capacity, f32),
        codes=np.zeros(max(1, capacity * hot), np.int64),
        registers=aligned(vectors * capacity),
        places=np.zeros(0, np.int64),
        added=np.zeros(0, f32),
        before=np.zeros(0, f32),
        noisy=np.zeros(0, f32),
    )


class _Run:
    engine = FleetEngine.name
    #: Steps between two looks at the clock.
    stride = 32

    def __init__(self, work: Work) -> None:
        found = architecture_of(work)
        assert isinstance(found, Architecture)
        self.work, self.architecture = work, found
        self.module = build(work)
        expected = work.expected_batch
        self.rows = _rows(work.train, work.task)
        rate, training = work.schedule.sampling_rate, work.training
        (mask0, mask1), (own0, own1) = work.streams.shared, work.streams.own
        self.rules = Rules(
            activation=ACTIVATIONS[found.activation],
            loss=k.SQUARED_ERROR if work.task == "regression" else k.CROSS_ENTROPY,
            optimizer=OPTIMIZERS[training.optimizer],
            momentum=f32(training.momentum),
            decay=f32(training.weight_decay),
            inverse_batch=f32(1 / expected),
            log_keep=math.log1p(-rate) if rate < 1 else 0.0,
            mask0=u32(mask0),
            mask1=u32(mask1),
            own0=u32(own0),
            own1=u32(own1),
        )
        self.state: State = work.start()
        self.codes = work.codes
        self.totals = np.zeros(4)
        self.rates = np.array([work.learning_rate(step) for step in range(work.schedule.steps)])
        self.needed = np.zeros(1, np.int64)
        #: Rows through which clipping is looked at, and room for their sums; from the first look on.
        self.seen: tuple[Rows, Floats] | None = None
        if work.budget is None:
            self.recorded: Recorded | None = WHOLE
        else:
            called = work.streams.secure or work.groups is not None
            self.recorded = None if called else record(work.method, work.method_params)
        #: Buffers by which an audit adds its canaries and sees what a step releases.
        self.watched: dict[str, Any] = {}
        self.buffers: Buffers
        self._room(_capacity(expected))
        if work.canaries is not None:
            count = len(work.canaries.places)
            self.watched = {
                "places": self.layout.positions[work.canaries.places],
                "added": np.zeros(count, f32),
                "before": np.zeros(count, f32),
                "noisy": np.zeros(self.layout.weights, f32),
            }
            self.buffers = self.buffers._replace(**self.watched)
        self.network = Network(
            self.layout.meta,
            self.layout.pack([p.detach().numpy() for p in self.module.parameters()]),
            *(aligned(self.layout.weights) for _ in range(3)),
        )

    @property
    def weights(self) -> Floats:
        """All weights, as `layout` places them."""
        weights: Floats = self.network.weights
        return weights

    def _room(self, capacity: int) -> None:
        """Buffers for batches of up to `capacity` records. The layout of the weights does not depend on it."""
        self.layout = Layout.of(self.architecture.widths, capacity, self.architecture.activation)
        rows = self.rows
        vectors = self.recorded.vectors if self.recorded is not None else 1
        buffers = _buffers(self.layout, rows.columns, rows.hot, len(rows.pool), vectors)
        self.buffers = buffers._replace(**self.watched)
        if hasattr(self, "network"):
            self.network = self.network._replace(meta=self.layout.meta)

    def epoch_ended(self, done: int) -> bool:
        """Never: methods that end early have objectives of their own."""
        return False

    def advance(self, step: int, stop: int) -> int:
        """Steps until `stop`, or for a short while."""
        if self.work.canaries is not None:
            return self._observed(step)
        return self._advance(step, min(stop, step + self.stride))

    def _advance(self, step: int, until: int) -> int:
        if self.recorded is not None:
            return self._compiled(step, until, self.recorded)
        while step < until:
            self.step(step)
            step += 1
            if not math.isfinite(self.totals[LOSS]):
                break
        return step

    def _observed(self, step: int) -> int:
        """One step with the canaries of an audit, and what it released; not a number where it released nothing."""
        work, canaries = self.work, self.work.canaries
        assert canaries is not None
        assert work.budget is not None
        limit = float(work.method.sensitivity(self.state, work.method_params))
        watched, records = self.watched, self.totals[RECORDS]
        watched["added"][:], watched["noisy"][:] = work.canary_gradients(step, self.state), np.nan
        after = self._advance(step, step + 1)
        sums = self.network.sums.copy()
        sums[watched["places"]] = watched["before"]
        canaries.batches.append(self.buffers.batch[: int(self.totals[RECORDS] - records)].copy())
        canaries.norms.append(float(np.linalg.norm(sums[self.layout.positions].astype(np.float64))) / limit)
        seen = watched["noisy"][watched["places"]].astype(np.float64) - watched["before"]
        canaries.observed.append(seen / limit)
        return after

    def _compiled(self, step: int, until: int, recorded: Recorded) -> int:
        """All steps in one call of compiled code."""
        budget = self.work.budget
        scalars = recorded.scalars.copy()
        scalars[1 : 1 + len(recorded.names)] = [float(self.state[name]) for name in recorded.names]
        multiplier, statistic_std = (0.0, 0.0) if budget is None else (budget.gradient_multiplier, budget.statistic_std)
        while True:
            self.needed[0] = 0
            step = kernels.advance(
                step, until, self.rows, self.network, self.buffers, self.rules, self.rates, recorded.program, scalars,
                float(multiplier), float(statistic_std or 0.0), float(self.work.expected_batch), self.totals,
                self.needed,
            )  # fmt: skip
            if not self.needed[0]:
                break
            # More rows were drawn than six standard deviations: make room and draw the same batch again.
            self._room(int(self.needed[0]) + 48)
        if recorded.names:
            self.state = {name: float(scalars[1 + place]) for place, name in enumerate(recorded.names)}
        return step

    def step(self, step: int) -> None:
        """One step with the method's own code, between two compiled halves; an empty batch is one like any other."""
        work, method, params, state = self.work, self.work.method, self.work.method_params, self.state
        budget = work.budget
        shared = (self.rows, self.network, self.buffers, self.rules, self.totals)
        n = kernels.gradients(step, *shared, budget is not None)
        if n < 0:
            self._room(-n + 48)
            self.step(step)
            return
        b = self.buffers
        factors, limit, deviation = b.ones[:n], math.inf, 0.0
        if budget is not None:
            norms = b.norms[:n]
            limit = float(method.sensitivity(state, params))
            shown = state if self.codes is None else {**state, GROUP: self.codes[b.batch[:n]]}
            factors = np.ascontiguousarray(method.scale(norms, shown, params), f32)
            deviation = budget.gradient_multiplier * limit
            statistic = method.statistic(norms, shown, params)
            if statistic is None:
                self.state = method.update(state, None, params)
            elif statistic.ndim == 2:
                noises = work.streams.statistic_noises(step, statistic.shape[1])
                sums = statistic.sum(axis=0, dtype=np.float64) + (budget.statistic_std or 0.0) * noises
                self.state = method.update(state, sums, params)
            else:
                noise = (budget.statistic_std or 0.0) * work.streams.statistic_noise(step)
                centred = float((statistic - f32(0.5)).sum(dtype=np.float64))
                self.state = method.update(state, 0.5 + (centred + noise) / work.expected_batch, params)
        drawn = work.streams.secure and deviation != 0
        if drawn:
            b.noise[: self.layout.logical] = work.streams.noise(step, self.layout.logical)
        kernels.apply(step, n, factors, f32(limit), f32(deviation), drawn, f32(self.rates[step]), *shared)

    def finite(self) -> bool:
        """Whether all weights are numbers."""
        return bool(np.isfinite(self.weights).all())

    def arrays(self) -> dict[str, Floats]:
        """Weights and the optimizer's two moments."""
        kept = self.network
        return {"weights": kept.weights, "first": kept.first, "second": kept.second}

    def restore(self, arrays: Mapping[str, Floats]) -> None:
        """The inverse of `arrays`."""
        for name, mine in self.arrays().items():
            mine[:] = arrays[name]

    def release(self) -> None:
        """Lets go of everything but what predictions need: a fleet's trained runs may wait to be evaluated."""
        none, self.seen = aligned(0), None
        self.buffers = _buffers(Layout.of((1, 1), 1), 0, 0, 0, 1)
        self.network = self.network._replace(sums=none, first=none, second=none)
        self.rows = self.rows._replace(
            pool=self.rows.pool[:0].copy(), squares=none, labels=self.rows.labels[:0].copy(), values=none
        )

    def logits(self, examples: Examples) -> Floats:
        """`[rows, outputs]` float32."""
        layout = Layout.of(self.architecture.widths, PREDICT_ROWS, self.architecture.activation)
        numeric = np.ascontiguousarray(examples.numeric, f32)
        rows = self.rows._replace(
            numeric=numeric.reshape(-1), active=np.ascontiguousarray(examples.active, np.int32).reshape(-1)
        )
        b = _buffers(layout, rows.columns, rows.hot, 0, 1)
        out = np.empty((len(examples), layout.widths[-1]), f32)
        kernels.predict(
            np.arange(len(examples), dtype=np.int64), rows, layout.meta, self.weights, b, self.rules.activation, out
        )  # fmt: skip
        return out

    def gradients(self, sample: Sample) -> CompiledGradients:
        """Of these rows, at the weights as they are."""
        size = _size(self.layout)
        if self.seen is None:
            self.seen = _rows(sample.examples, self.work.task), room_for(sample, size)
        rows, room = self.seen
        return CompiledGradients(sample, size, rows, self.network, self.buffers, self.rules, room)

    def trained_module(self) -> torch.nn.Module:
        """The network as a torch module of the caller's own, with the weights as they are now."""
        module = deepcopy(self.module)
        with torch.no_grad():
            for parameter, values in zip(module.parameters(), self.layout.unpack(self.weights), strict=True):
                parameter.copy_(torch.from_numpy(values))
        return module.eval()


def _capacity(expected: float) -> int:
    """Room for a batch six standard deviations larger than expected."""
    return int(expected + 6 * math.sqrt(expected)) + 48


def _size(layout: Layout) -> int:
    """Of the weights, padded to whole vectors."""
    return -(-layout.weights // 16) * 16


def _rows(examples: Examples, task: Task) -> Rows:
    """As kernels take them: of class numbers and values, the one that the task does not use is empty."""
    numeric = np.ascontiguousarray(examples.numeric, f32)
    active = np.ascontiguousarray(examples.active, np.int32)
    squares = np.einsum("rc,rc->r", numeric, numeric, dtype=np.float64) + active.shape[1]
    target, measured = examples.target, task == "regression"
    return Rows(
        pool=np.arange(len(examples), dtype=np.int64),
        numeric=numeric.reshape(-1),
        columns=numeric.shape[1],
        active=active.reshape(-1),
        hot=active.shape[1],
        squares=squares.astype(f32),
        labels=np.zeros(0, np.int64) if measured else np.ascontiguousarray(target, np.int64),
        values=np.ascontiguousarray(target, f32) if measured else np.zeros(0, f32),
    )
