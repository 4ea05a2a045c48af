"""Data of a stack on the device, and its Poisson batches, drawn ahead on the processor."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from worker.training.engine import Examples, Work
from worker.training.fleet import philox
from worker.training.fleet.stack_plan import BLOCK, Plan, padded, sums_of
from worker.training.streams import Purpose

#: Steps drawn at a time, at most, and the most memory that their indices may take.
AHEAD = 64
AHEAD_BYTES = 1 << 26
#: Chunks drawn at the same time for a GPU, which is faster than one core draws for hundreds of seeds.
DRAWERS = 3


def tensor_of(array: np.ndarray[Any, Any], device: torch.device, dtype: torch.dtype) -> torch.Tensor:
    """The array on the device; not copied where it is there already."""
    if not array.flags.writeable:
        array = array.copy()
    return torch.from_numpy(np.ascontiguousarray(array)).to(device=device, dtype=dtype)


def dense(examples: Examples, inputs: int, device: torch.device, out: torch.Tensor | None = None) -> torch.Tensor:
    """Features `[rows, inputs]` on the device, made there from numeric columns and active one-hot columns."""
    if out is None:
        out = torch.zeros(len(examples), inputs, device=device)
    out[:, : examples.numeric.shape[1]] = tensor_of(examples.numeric, device, torch.float32)
    if examples.active.shape[1]:
        out.scatter_(1, tensor_of(examples.active, device, torch.int64), 1.0)
    return out


class Rows:
    """The training rows of all runs one after the other; runs that share their `Examples` share them here.

    Row 0 is zero: what an empty batch reads. `features` is `[rows, padded inputs + 1]` with a 1 behind the inputs, by
    which a layer's bias is a row of its matrix; `squares` is the squared norm of that row. `codes` has the rows'
    groups, `[rows]`, by the sensitive attribute that a run's method asks for; runs that share their `Examples` have the
    same codes of an attribute.
    """

    def __init__(self, works: Sequence[Work], plan: Plan, device: torch.device) -> None:
        distinct: dict[int, Examples] = {id(work.train): work.train for work in works}
        inputs = plan.widths[0]
        count = 1 + sum(len(examples) for examples in distinct.values())
        kind = torch.float32 if plan.task == "regression" else torch.int64
        self.features = torch.zeros(count, padded(inputs + 1), device=device)
        self.target = torch.zeros(count, dtype=kind, device=device)
        self.squares = torch.zeros(count, device=device)
        self.codes: dict[str, torch.Tensor] = {}
        first: dict[int, int] = {}
        at = 1
        for key, examples in distinct.items():
            first[key] = at
            stop = at + len(examples)
            numeric = examples.numeric
            squares = np.einsum("rc,rc->r", numeric, numeric, dtype=np.float64) + examples.active.shape[1] + 1
            dense(examples, inputs, device, self.features[at:stop])
            self.features[at:stop, inputs] = 1
            self.target[at:stop] = tensor_of(examples.target, device, kind)
            self.squares[at:stop] = tensor_of(squares, device, torch.float32)
            at = stop
        asking = {(work.groups.attribute, id(work.train)): work for work in works if work.groups is not None}
        for (attribute, key), work in asking.items():
            if attribute not in self.codes:
                self.codes[attribute] = torch.zeros(count, dtype=torch.int64, device=device)
            mine = self.codes[attribute][first[key] : first[key] + len(work.train)]
            assert work.codes is not None
            mine.copy_(tensor_of(work.codes, device, torch.int64))
        self.first = torch.tensor([[first[id(work.train)]] for work in works], dtype=torch.int64, device=device)


@dataclass(frozen=True)
class Chunk:
    """What some consecutive steps need that is known beforehand, S steps, R runs, U different draws, B records.

    `local` `[S, U, B]` numbers rows of the run's own data, padded with the first of the batch; `counts` `[S, U]`;
    `rates` `[S, R, 1]`; `statistic` `[S, R, K]` normals, of which a run whose method asks for k noisy sums uses the
    first k; `corrections` `[S, 2]` are Adam's 1 / (1 - beta^t).
    """

    start: int
    local: torch.Tensor
    counts: torch.Tensor
    rates: torch.Tensor
    corrections: torch.Tensor
    statistic: torch.Tensor

    @property
    def width(self) -> int:
        """B."""
        return self.local.shape[2]


class Batches:
    """The batches of all runs, drawn ahead of the step. Runs of one seed and size share a draw."""

    def __init__(self, works: Sequence[Work], plan: Plan, device: torch.device, *, on_device: bool) -> None:
        self._works, self._plan, self._device, self._on_device = works, plan, device, on_device
        draws: dict[tuple[object, int, float], Work] = {}
        keys = [(work.streams.shared, len(work.train), work.schedule.sampling_rate) for work in works]
        for key, work in zip(keys, works, strict=True):
            draws.setdefault(key, work)
        places = {key: place for place, key in enumerate(draws)}
        self._draws = list(draws.values())
        #: `[R]`: which of the draws is a run's.
        self.draw = torch.tensor([places[key] for key in keys], dtype=torch.int64, device=device)
        self._ahead = max(1, min(AHEAD, AHEAD_BYTES // (4 * len(draws) * plan.capacity)))
        self._sums = [sums_of(work) for work in works]
        #: K: the most noisy sums that any run asks for, at least one.
        self.most_sums = max(1, *self._sums)
        self._keys = philox.keys_of([work.streams.own for work in works], device)
        self._drawers = DRAWERS if device.type == "cuda" else 1
        self._pool = ThreadPoolExecutor(self._drawers)
        self._coming: dict[int, Future[tuple[np.ndarray[Any, Any], ...]]] = {}
        self._chunk: Chunk | None = None

    def at(self, step: int) -> Chunk:
        """The chunk in which the step is."""
        start = step - step % self._ahead
        if self._chunk is None or self._chunk.start != start:
            for number in range(self._drawers + 1):
                after = start + number * self._ahead
                if after < self._plan.steps and after not in self._coming:
                    self._coming[after] = self._pool.submit(self._draw, after)
            self._chunk = self._upload(start, self._coming.pop(start).result())
        return self._chunk

    def close(self) -> None:
        """Stops drawing ahead."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _draw(self, start: int) -> tuple[np.ndarray[Any, Any], ...]:
        steps = range(start, min(start + self._ahead, self._plan.steps))
        batches = [[w.streams.batch(s, len(w.train), w.schedule.sampling_rate) for w in self._draws] for s in steps]
        counts = np.array([[len(batch) for batch in each] for each in batches], np.int32)
        # A batch beyond six standard deviations makes room for itself: it is never cut.
        width = max(self._plan.capacity, padded(int(counts.max()), BLOCK))
        local = np.zeros((*counts.shape, width), np.int32)
        for s, each in enumerate(batches):
            for u, batch in enumerate(each):
                if len(batch):
                    local[s, u, : len(batch)] = batch
                    local[s, u, len(batch) :] = batch[0]
        return local, counts, self._rates(steps), self._corrections(steps), self._statistic(steps)

    def _rates(self, steps: range) -> np.ndarray[Any, Any]:
        known: dict[tuple[float, str, float], list[float]] = {}
        columns = []
        for work in self._works:
            t = work.training
            key = (t.learning_rate, t.schedule, t.warmup)
            if key not in known:
                known[key] = [work.learning_rate(step) for step in steps]
            columns.append(known[key])
        return np.array(columns, np.float32).T[:, :, None].copy()

    def _corrections(self, steps: range) -> np.ndarray[Any, Any]:
        return np.array([[1 / (1 - 0.9 ** (s + 1)), 1 / (1 - 0.999 ** (s + 1))] for s in steps], np.float32)

    def _statistic(self, steps: range) -> np.ndarray[Any, Any]:
        out = np.zeros((len(steps), len(self._works), self.most_sums))
        if not self._on_device:
            for r, (work, sums) in enumerate(zip(self._works, self._sums, strict=True)):
                if sums:
                    out[:, r, :sums] = [work.streams.statistic_noises(step, sums) for step in steps]
        return out

    def _upload(self, start: int, drawn: tuple[np.ndarray[Any, Any], ...]) -> Chunk:
        local, counts, rates, corrections, statistic = (_send(array, self._device) for array in drawn)
        if self._on_device and any(self._sums):
            number = torch.arange(start, start + len(local), device=self._device)[:, None, None]
            drawn_here = philox.normals(self._keys, Purpose.STATISTIC_NOISE, number, self.most_sums)
            statistic = drawn_here.to(torch.float64)
        return Chunk(start, local, counts, rates, corrections, statistic)


def _send(array: np.ndarray[Any, Any], device: torch.device) -> torch.Tensor:
    tensor = torch.from_numpy(array)
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor.to(device)


class Noise:
    """Gradient noise of a step, drawn on the processor run by run: from `streams`, or the operating system's source."""

    def __init__(self, works: Sequence[Work], plan: Plan, target: torch.Tensor) -> None:
        self._plan, self._target = plan, target
        self._runs = [
            (run, work.streams.noise)
            for run, work in enumerate(works)
            if work.budget is not None and work.budget.gradient_multiplier > 0
        ]
        on_host = target.device.type == "cpu"
        self._buffer = target if on_host else torch.zeros(target.shape, pin_memory=True)
        self._numpy = self._buffer.numpy()

    def fill(self, step: int, alive: Callable[[int], bool]) -> None:
        """Writes the step's normals into the target `[runs, size]`."""
        if self._buffer is not self._target:
            # The copy of the step before may still read from it.
            torch.cuda.current_stream(self._target.device).synchronize()
        for run, noise in self._runs:
            if alive(run):
                drawn = noise(step, self._plan.logical)
                for layer in self._plan.layers:
                    part = drawn[layer.first : layer.first + layer.count]
                    self._numpy[run, layer.start : layer.start + layer.count] = part
        if self._buffer is not self._target:
            self._target.copy_(self._buffer, non_blocking=True)
