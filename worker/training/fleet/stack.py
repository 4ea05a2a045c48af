"""A stack of runs that take their steps together.

What a step reads and writes are tensors of fixed address, and it waits for nothing, so that a GPU may run ahead and may
have the step as one captured graph. A step first computes everything beside the state and then copies it there: where
memory gives out, the state is that after the last whole step.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from worker.plugins import GROUP, Method, Params
from worker.training.engine import Examples, Work
from worker.training.fleet import philox
from worker.training.fleet import stack_steps as steps
from worker.training.fleet.stack_data import Batches, Noise, Rows, dense, tensor_of
from worker.training.fleet.stack_device import Captured, Fused
from worker.training.fleet.stack_plan import Course, plain
from worker.training.recorder import CLIPPED, KEPT, LOSS, RECORDS

Array = np.ndarray[Any, Any]

#: Normals from which on a stack's noise and update are compiled. It takes 5 to 20 s and saves, by the memory that is
#: not moved, about one for every four billion (an estimate).
FUSED_NORMALS = 4e10


def method_key(work: Work) -> str:
    """The same for runs whose methods can be computed together: all but what the accountant has used up.

    Their states have the same shapes, for which the groups of records that a method tells apart must be as many.
    """
    params = work.method_params.model_dump(mode="json", exclude={"epsilon", "delta", "accountant"})
    groups = 0 if work.groups is None else len(work.groups.labels)
    return json.dumps([work.method.name, work.budget is not None, groups, params], sort_keys=True)


@dataclass
class Group:
    """Neighbouring runs of one method with equal parameters.

    `state` holds float64 `[runs, 1]`, or `[runs, groups of records]` where the method asks for those of `attribute`.
    """

    start: int
    stop: int
    method: Method[Any]
    params: Params
    private: bool
    attribute: str | None
    state: dict[str, torch.Tensor]


class Stack:
    """`courses` must have one plan and one step, and those that `method_key` calls alike must be neighbours."""

    def __init__(self, courses: Sequence[Course], device: torch.device, *, draw_on_device: bool) -> None:
        works = [course.work for course in courses]
        self.plan = plan = courses[0].plan
        self.step = courses[0].step
        self._courses, self._device = list(courses), device
        runs = len(works)

        def column(values: Sequence[float], dtype: torch.dtype = torch.float32) -> torch.Tensor:
            return torch.tensor(values, dtype=torch.float64).to(device=device, dtype=dtype)[:, None]

        def flat(name: str) -> torch.Tensor:
            return tensor_of(np.stack([course.arrays[name] for course in courses]), device, torch.float32)

        exact = torch.float64
        self.weights = flat("weights")
        self._moments = [flat(name) for name in plan.moments]
        self._spare = [torch.zeros_like(self.weights) for _ in plan.moments]
        self._sums = torch.zeros_like(self.weights)
        self.totals = torch.from_numpy(np.stack([course.totals for course in courses])).to(device)
        #: Step after which a run's loss was no longer a number; -1 while it is.
        self.broken = torch.tensor([course.broken for course in courses], dtype=torch.int64, device=device)
        self._alive = [True] * runs
        self._groups = _groups(courses, device)
        budgets = [work.budget for work in works]
        self._multiplier = column([b.gradient_multiplier if b else 0.0 for b in budgets], exact)
        self._statistic_std = column([(b.statistic_std or 0.0) if b else 0.0 for b in budgets], exact)
        self._expected = column([work.expected_batch for work in works], exact)
        self._rates = steps.Rates(
            inverse_batch=column([1 / work.expected_batch for work in works]),
            momentum=column([work.training.momentum for work in works]),
            decay=column([work.training.weight_decay for work in works]),
            rate=torch.zeros(runs, 1, device=device),
            corrections=torch.ones(2, device=device),
        )
        self._limits = torch.zeros(runs, 1, dtype=exact, device=device)
        self._number = torch.zeros(1, dtype=torch.int64, device=device)
        noisy = any(b is not None and b.gradient_multiplier > 0 for b in budgets)
        self._noise = torch.zeros_like(self.weights) if noisy else None
        self._keys = self._drawn = None
        if self._noise is not None and draw_on_device and not plan.secure:
            self._keys = philox.keys_of([work.streams.own for work in works], device)
        elif self._noise is not None:
            self._drawn = Noise(works, plan, self._noise)
        self._rows = Rows(works, plan, device)
        self._validation = _shared([work.validation for work in works], plan.widths[0], device)
        normals = runs * plan.logical * (plan.steps - self.step)
        self._finish = Fused(self._update, device, worth=self._keys is not None and normals >= FUSED_NORMALS)
        self._make_room(plan.capacity)
        self._batches = Batches(works, plan, device, on_device=draw_on_device and not plan.secure)
        self._statistic = torch.zeros(runs, self._batches.most_sums, dtype=exact, device=device)

    def close(self) -> None:
        """Stops drawing ahead and lets go of all memory at once: the step refers to the stack that refers to it."""
        self._batches.close()
        vars(self).clear()

    def _make_room(self, width: int) -> None:
        self._room = steps.Room(self.plan, len(self._courses), width, self._device)
        self._local = torch.zeros(1, width, dtype=torch.int32, device=self._device)
        self._counts = torch.zeros(1, dtype=torch.int32, device=self._device)
        self._program = self._take_step if self._device.type != "cuda" else Captured(self._take_step, self._state)

    def advance(self, until: int) -> None:
        """Steps until that number. What it raises leaves the state after the last whole step, `self.step`."""
        while self.step < until:
            self._feed()
            self._program()
            self.step += 1

    def _feed(self) -> None:
        """Brings what the step needs to where it looks for it."""
        chunk = self._batches.at(self.step)
        at = self.step - chunk.start
        if chunk.width != self._room.width:
            self._make_room(chunk.width)
        if self._local.shape != chunk.local[at].shape:
            self._local, self._counts = torch.zeros_like(chunk.local[at]), torch.zeros_like(chunk.counts[at])
        self._local.copy_(chunk.local[at])
        self._counts.copy_(chunk.counts[at])
        self._rates.rate.copy_(chunk.rates[at])
        self._rates.corrections.copy_(chunk.corrections[at])
        self._statistic.copy_(chunk.statistic[at])
        self._number.fill_(self.step)
        if self._drawn is not None:
            self._drawn.fill(self.step, self._alive.__getitem__)

    def _state(self) -> list[torch.Tensor]:
        methods = [tensor for group in self._groups for tensor in group.state.values()]
        return [self.weights, *self._moments, self.totals, self.broken, *methods]

    def _take_step(self) -> None:
        room, plan, draw, data = self._room, self.plan, self._batches.draw, self._rows
        counts = self._counts.index_select(0, draw)[:, None]
        real = room.place < counts
        index = ((self._local.index_select(0, draw) + data.first) * (counts > 0)).flatten()
        torch.index_select(data.features, 0, index, out=room.rows)
        target, squares = (source.index_select(0, index).view_as(real) for source in (data.target, data.squares))
        losses = steps.losses_and_errors(plan.task, steps.forward(plan, room, self.weights), target)
        private = any(group.private for group in self._groups)
        norms = steps.backward(plan, room, self.weights, squares, want_norms=private)
        codes = {name: of_row.index_select(0, index).view_as(real) for name, of_row in data.codes.items()}
        states = [self._apply_method(group, norms, real, codes) for group in self._groups]
        room.factors.mul_(real)
        steps.weighted_sum(plan, room, room.factors, self._sums)
        alive = self.broken < 0
        totals = self.totals + torch.stack(_sums(losses, real, norms, room.factors, self._limits), dim=1)
        self._finish(
            plan.update, plan.layers, self._rates.inverse_batch, self._rates.momentum, self._rates.decay,
            self._rates.rate, self._rates.corrections, self._deviation(), self._keys, self._number, self.weights,
            self._sums, self._noise, self._moments, self._spare,
        )  # fmt: skip
        totals = torch.where(alive[:, None], totals, self.totals)
        broken = torch.where(alive & ~totals[:, LOSS].isfinite(), self._number, self.broken)
        # From here on the state changes; nothing below takes memory.
        self.totals.copy_(totals)
        self.broken.copy_(broken)
        for mine, new in zip((self.weights, *self._moments), (self._sums, *self._spare), strict=True):
            torch.where(alive[:, None], new, mine, out=mine)
        for group, state in zip(self._groups, states, strict=True):
            for name, value in state.items():
                _put(group.state[name], value)

    def _apply_method(
        self, group: Group, norms: torch.Tensor, real: torch.Tensor, codes: dict[str, torch.Tensor]
    ) -> dict[str, Any]:
        """Factors and limits of a group's runs; answers their methods' next state.

        `norms`, `real` and the `codes` of each attribute are `[R, B]`.
        """
        mine = slice(group.start, group.stop)
        factors, limits = self._room.factors[mine], self._limits[mine]
        if not group.private:
            factors.fill_(1)
            limits.fill_(torch.inf)
            return {}
        method, params, norms, real = group.method, group.params, norms[mine], real[mine]
        state = {name: value.to(norms.dtype) for name, value in group.state.items()}
        if group.attribute is not None:
            state[GROUP] = codes[group.attribute][mine]
        # A padded record must add nothing even where its factor is not a number.
        factors.copy_(method.scale(norms, state, params)).masked_fill_(~real, 0)
        _put(limits, method.sensitivity(group.state, params))
        statistic = method.statistic(norms, state, params)
        if statistic is None:
            return method.update(group.state, None, params)
        if statistic.ndim == 3:
            sums = statistic.masked_fill(~real[:, :, None], 0).sum(dim=1, dtype=torch.float64)
            noise = self._statistic_std[mine] * self._statistic[mine, : sums.shape[1]]
            return method.update(group.state, sums + noise, params)
        centred = (statistic - 0.5).masked_fill(~real, 0).sum(dim=1, keepdim=True, dtype=torch.float64)
        noise = self._statistic_std[mine] * self._statistic[mine, :1]
        return method.update(group.state, 0.5 + (centred + noise) / self._expected[mine], params)

    def _deviation(self) -> torch.Tensor:
        limits = self._limits.masked_fill(self._multiplier <= 0, 0)
        return (self._multiplier * limits).to(torch.float32)

    @staticmethod
    def _update(
        update: Any, layers: Any, inverse_batch: Any, momentum: Any, decay: Any, rate: Any, corrections: Any,
        deviation: Any, keys: Any, number: Any, weights: Any, sums: Any, noise: Any, moments: Any, spare: Any,
    ) -> None:  # fmt: skip
        """Noise, where the device draws it, and the optimizer's step: what `torch.compile` makes one kernel of."""
        if keys is not None:
            steps.draw_noise(layers, keys, number, noise)
        rates = steps.Rates(inverse_batch, momentum, decay, rate, corrections)
        steps.next_weights(update, rates, deviation, weights, sums, noise, moments, spare)

    def look(self) -> Array:
        """`[R]`: the step after which a run's loss was no longer a number, -1 where it is. Waits for the device."""
        answer: Array = self.broken.cpu().numpy()
        return answer

    def finite(self) -> Array:
        """`[R]`: whether all weights are numbers."""
        answer: Array = self.weights.isfinite().all(dim=1).cpu().numpy()
        return answer

    def freeze(self, run: int) -> None:
        """The run takes no more steps."""
        self._alive[run] = False
        self.broken[run] = self.step

    def end_epoch(self) -> list[Array]:
        """Logits of every run's validation rows; the totals begin anew."""
        answers: list[Array] = [np.zeros(0)] * len(self._courses)
        for features, runs in self._validation:
            mine = self.weights if len(runs) == len(answers) else self.weights[runs]
            for run, logits in zip(runs, steps.predict(self.plan, mine, features).cpu().numpy(), strict=True):
                answers[run] = logits
        self.totals.zero_()
        return answers

    def save(self) -> None:
        """Brings the state of the runs that are alive back into their courses."""
        arrays = {"weights": self.weights, **dict(zip(self.plan.moments, self._moments, strict=True))}
        host = {name: tensor.cpu().numpy() for name, tensor in arrays.items()}
        self.save_small()
        for run, course in enumerate(self._courses):
            if self._alive[run]:
                for name, tensor in host.items():
                    course.arrays[name][:] = tensor[run]

    def save_small(self) -> None:
        """Totals, methods' state and steps alone."""
        totals, broken = self.totals.cpu().numpy(), self.look()
        for run, course in enumerate(self._courses):
            if self._alive[run]:
                course.totals[:] = totals[run]
                course.step, course.broken = self.step, int(broken[run])
        for group in self._groups:
            for name, tensor in group.state.items():
                for run, value in zip(range(group.start, group.stop), tensor.cpu().numpy(), strict=True):
                    if self._alive[run]:
                        state = self._courses[run].state
                        state[name] = plain(value.reshape(np.shape(state[name])))


def _groups(courses: Sequence[Course], device: torch.device) -> list[Group]:
    keys = [method_key(course.work) for course in courses]
    starts = [run for run, key in enumerate(keys) if run == 0 or key != keys[run - 1]]
    groups = []
    for start, stop in zip(starts, [*starts[1:], len(keys)], strict=True):
        work, mine = courses[start].work, courses[start:stop]
        state = {
            name: tensor_of(np.stack([np.atleast_1d(c.state[name]) for c in mine]), device, torch.float64)
            for name in courses[start].state
        }
        attribute = None if work.groups is None else work.groups.attribute
        groups.append(Group(start, stop, work.method, work.method_params, work.budget is not None, attribute, state))
    return groups


def _shared(validation: Sequence[Examples], inputs: int, device: torch.device) -> list[tuple[torch.Tensor, list[int]]]:
    """Features of each different set of rows, and the runs that have it."""
    found: dict[int, tuple[torch.Tensor, list[int]]] = {}
    for run, examples in enumerate(validation):
        if id(examples) not in found:
            found[id(examples)] = dense(examples, inputs, device), []
        found[id(examples)][1].append(run)
    return list(found.values())


def _sums(losses: Any, real: Any, norms: Any, factors: Any, limits: Any) -> list[torch.Tensor]:
    """What a batch adds to an epoch's totals, as `recorder` numbers them."""
    exact = torch.float64
    sums: list[torch.Tensor] = [losses] * 4
    sums[LOSS] = losses.masked_fill(~real, 0).sum(dim=1, dtype=exact)
    sums[RECORDS] = real.sum(dim=1, dtype=exact)
    sums[CLIPPED] = (real & (norms > limits.to(norms.dtype))).sum(dim=1, dtype=exact)
    sums[KEPT] = factors.sum(dim=1, dtype=exact)
    return sums


def _put(target: torch.Tensor, value: Any) -> None:
    """Writes a tensor or a number."""
    if isinstance(value, torch.Tensor):
        target.copy_(value)
    else:
        target.fill_(value)
