"""Trains many small fully connected networks as one program of batched matrix products, in torch.

This is how a GPU trains a fleet: hundreds of runs take each step together, and what the compiled engine does run by run
(`cpu.py`) is one product here. It also runs on a processor, without a compiler, where it gains nothing over one run
after the other.

What holds. Batches, initial weights and noise are those of the compiled engine; results agree within rounding. On a
processor with one thread a run's numbers are the same bits alone and among hundreds, interrupted or not, as long as no
batch exceeds its expected size by more than six standard deviations (the larger room that the stack then has may round
differently). On a GPU the library that multiplies may choose another way for another number of runs, so that bits are
only promised for the same stack, and results within rounding for another.
"""

from __future__ import annotations

import time
from collections import OrderedDict, deque
from collections.abc import Iterator, Sequence
from typing import Any

import torch

from worker.training.clipping import LinearGradients, Look, look
from worker.training.engine import UNWATCHED, Array, Demand, Examples, Trained, Watch, Work, diverged
from worker.training.fleet import stack_device
from worker.training.fleet.architecture import architecture_of
from worker.training.fleet.stack import Stack, method_key
from worker.training.fleet.stack_data import dense
from worker.training.fleet.stack_plan import Course, Plan, sums_of
from worker.training.fleet.stack_steps import predict
from worker.training.initial import build

#: Runs of a stack, at most. On a processor a larger one leaves its caches and gains nothing, on a GPU it only has
#: people wait longer for the first results.
PROCESSOR_RUNS, GPU_RUNS = 16, 512
#: Steps between two looks at what came of them: as many as take about this long, and never more than so many.
LOOK_SECONDS = 0.2
LOOK_STEPS = 50
#: Runs whose gradients are looked at together on a GPU. On a processor it is one: results do not depend on the others.
LOOKED_AT = 32
#: Examples whose features stay on the device for predictions.
KEPT_EXAMPLES = 8
#: Checkpoints of a stack take at most this share of the time, where they take long.
SAVING_SHARE = 0.05


class StackedEngine:
    """Fully connected networks, many at a time, on any of torch's devices.

    `draw_on_device`: noise from torch's integer operations instead of the processor's loops; the default on a GPU.
    """

    name = "fleet-torch"
    stacks = True

    def __init__(self, device: str = "cpu", *, draw_on_device: bool | None = None) -> None:
        self.device = torch.device(device)
        self._looked_at = 1 if self.device.type == "cpu" else LOOKED_AT
        self._draw_on_device = self.device.type != "cpu" if draw_on_device is None else draw_on_device
        self._features: OrderedDict[int, tuple[Examples, torch.Tensor]] = OrderedDict()

    def refuses(self, work: Work) -> str | None:
        """Networks other than linear layers with one kind of activation between them."""
        found = architecture_of(work)
        return found if isinstance(found, str) else None

    def demand(self, work: Work) -> Demand:
        """Data on the device, shared by the runs of a seed; weights, sums, moments, noise and one batch of each run."""
        plan = Plan.of(work)
        shared = _data_bytes(plan, work) + self._look_bytes(plan, work)
        return Demand(shared=shared, per_run=self._run_bytes(plan, work))

    def train(self, works: Sequence[Work], watch: Watch = UNWATCHED) -> Iterator[Trained]:
        """Yields runs as their stacks end. Stacks hold what fits into memory, and are halved where it gives out."""
        if self.device.index is not None:
            torch.cuda.set_device(self.device)
        if self.device.type == "cpu" and torch.get_num_threads() != 1:
            # More would divide sums by their number; processes are as many as cores.
            torch.set_num_threads(1)
        plans: dict[Plan, list[Work]] = {}
        for work in works:
            plans.setdefault(Plan.of(work), []).append(work)
        for plan, rest in plans.items():
            rest.sort(key=method_key)
            while rest:
                fitting = self._fitting(plan, rest)
                part, rest = rest[:fitting], rest[fitting:]
                yield from self._train_all(self._begin(plan, part, watch), watch)

    def _fitting(self, plan: Plan, works: Sequence[Work]) -> int:
        """How many of the first runs fit into memory; at least one, which is then tried."""
        room = stack_device.available(self.device) - max(self._look_bytes(plan, work) for work in works)
        most = PROCESSOR_RUNS if self.device.type == "cpu" else GPU_RUNS
        data: set[int] = set()
        for count, work in enumerate(works):
            if id(work.train) not in data:
                data.add(id(work.train))
                room -= _data_bytes(plan, work)
            room -= self._run_bytes(plan, work)
            if room < 0 or count == most:
                return max(1, count)
        return len(works)

    def _begin(self, plan: Plan, works: Sequence[Work], watch: Watch) -> list[list[Course]]:
        """Runs at the same step, each from its last checkpoint or from the start."""
        found: dict[int, list[Course]] = {}
        for work in works:
            course = Course.begin(work, plan)
            kept = watch.checkpoints.load(work.key, self.name) if watch.checkpoints is not None else None
            if kept is not None:
                course.resume(kept)
            found.setdefault(course.step, []).append(course)
        return list(found.values())

    def _train_all(self, cohorts: Sequence[list[Course]], watch: Watch) -> Iterator[Trained]:
        waiting = deque(cohorts)
        while waiting:
            cohort = waiting.popleft()
            short = None
            try:
                yield from self._train(cohort, watch)
            except Exception as error:
                if not stack_device.out_of_memory(error):
                    raise
                short = str(error)
            if short is not None:
                # Outside of the handler: the error holds on to what was being computed.
                stack_device.release(self.device)
                if len(cohort) == 1:
                    # There is nothing left to halve.
                    raise MemoryError(self._too_large(cohort[0], short))
                half = len(cohort) // 2
                waiting.extendleft([cohort[half:], cohort[:half]])
            elif cohort:
                # So many diverged that the others are stacked anew.
                waiting.appendleft(cohort)

    def _train(self, cohort: list[Course], watch: Watch) -> Iterator[Trained]:
        """Trains until all are done, or until so many have diverged that the rest should be stacked anew.

        Runs are taken out of `cohort` as they are yielded. Where memory gives out, those that are left have the state
        after their last whole step.
        """
        stack = Stack(cohort, self.device, draw_on_device=self._draw_on_device)
        try:
            try:
                done = yield from self._steps(stack, cohort, watch)
            except Exception as error:
                if stack_device.out_of_memory(error):
                    stack.save()
                raise
            results = [self._trained(stack, run, course, None) for run, course in done]
        finally:
            stack.close()
        for _, course in done:
            cohort.remove(course)
        # Whoever takes the results may need the stack's memory to look at them.
        del stack
        yield from results

    def _steps(self, stack: Stack, cohort: list[Course], watch: Watch) -> Any:
        """Takes steps and looks at what came of them; yields runs that diverge, returns those that are done."""
        plan = stack.plan
        alive = dict(enumerate(cohort))
        for course in cohort:
            if course.lookout is None:
                course.lookout = watch.follow(course.work.key)
        if stack.step == 0:
            for run, seen in self._looks(stack, alive, 0).items():
                alive[run].recorder.looked(0, seen)
        stride, saved, saving = 1, time.perf_counter(), 0.0
        # Memory may have given out when an epoch was over and not closed yet.
        late = stack.step // plan.steps_per_epoch > cohort[0].epochs
        while stack.step < plan.steps or late:
            began = time.perf_counter()
            epoch = cohort[0].epochs + 1
            if not late:
                stack.advance(min(stack.step + stride, epoch * plan.steps_per_epoch))
            late = False
            broken = stack.look()
            messages = {run: diverged("loss", epoch, int(broken[run])) for run in alive if broken[run] >= 0}
            if stack.step == epoch * plan.steps_per_epoch:
                messages = self._close_epoch(stack, alive, epoch, messages)
            took = time.perf_counter() - began
            for course in alive.values():
                course.seconds += took / len(alive)
            for run, message in messages.items():
                result = self._trained(stack, run, alive[run], message)
                stack.freeze(run)
                cohort.remove(alive.pop(run))
                yield result
            stride = max(1, stride // 2) if took > 2 * LOOK_SECONDS else stride
            stride = min(LOOK_STEPS, 2 * stride) if took < LOOK_SECONDS / 2 else stride
            due = [c for c in alive.values() if c.lookout is not None and c.lookout.step(stack.step, plan.steps)]
            now = time.perf_counter()
            if due and stack.step < plan.steps and (saving < 0.05 or (now - saved) * SAVING_SHARE > saving):
                assert watch.checkpoints is not None
                stack.save()
                for course in due:
                    watch.checkpoints.save(course.work.key, self.name, course.snapshot())
                saved = time.perf_counter()
                saving = saved - now
            if stack.step < plan.steps and 4 * len(alive) <= 3 * len(broken):
                stack.save()
                return []
        return list(alive.items())

    def _close_epoch(
        self, stack: Stack, alive: dict[int, Course], epoch: int, messages: dict[int, str]
    ) -> dict[int, str]:
        """Records the epoch of every run that goes on; answers why others do not. Where it raises, nothing is done."""
        finite = stack.finite()
        late = {run: diverged("weights", epoch, stack.step - 1) for run in alive if not finite[run]}
        stack.save_small()
        messages = late | messages
        # Both take memory, and the second forgets the epoch's totals.
        looks = self._looks(stack, {run: course for run, course in alive.items() if run not in messages}, epoch)
        logits = stack.end_epoch()
        for run, course in alive.items():
            course.epochs = epoch
            if run not in messages:
                course.recorder.epoch(epoch, course.totals, logits[run])
                course.recorder.state(epoch, course.state)
                course.totals[:] = 0
        for run, seen in looks.items():
            alive[run].recorder.looked(epoch, seen)
        return messages

    def _looks(self, stack: Stack, courses: dict[int, Course], epoch: int) -> dict[int, Look]:
        """What clipping does to the gradients of the runs that are looked at after that epoch, some at a time."""
        plan, samples = stack.plan, {run: course.recorder.due(epoch) for run, course in courses.items()}
        together: dict[int, list[int]] = {}
        for run, sample in samples.items():
            if sample is not None:
                together.setdefault(id(sample), []).append(run)
        looks: dict[int, Look] = {}
        for runs in together.values():
            for start in range(0, len(runs), self._looked_at):
                some = runs[start : start + self._looked_at]
                sample = samples[some[0]]
                assert sample is not None
                weights = stack.weights[some]
                matrices = [layer.of(weights) for layer in plan.layers]
                gradients = LinearGradients(matrices, plan.activation, plan.task, sample)
                works, states = [courses[run].work for run in some], [courses[run].state for run in some]
                looks |= zip(some, look(gradients, sample, works, states), strict=True)
        return looks

    def _trained(self, stack: Stack, run: int, course: Course, message: str | None) -> Trained:
        plan, weights, work = stack.plan, stack.weights[run : run + 1].clone(), course.work

        def logits(examples: Examples) -> Array:
            answer: Array = predict(plan, weights, self._features_of(examples, plan.widths[0]))[0].cpu().numpy()
            return answer

        def module() -> torch.nn.Module:
            whole = build(work)
            linears = (one for one in whole.modules() if isinstance(one, torch.nn.Linear))
            with torch.no_grad():
                for linear, layer in zip(linears, plan.layers, strict=True):
                    matrix = layer.of(weights)[0].cpu()
                    linear.weight.copy_(matrix[:-1].T)
                    linear.bias.copy_(matrix[-1])
            return whole.eval()

        return Trained(work.key, self.name, logits, module, course.seconds, course.recorder.series(), message)

    def _run_bytes(self, plan: Plan, work: Work) -> int:
        return plan.bytes_per_run(sums=sums_of(work), on_gpu=self.device.type != "cpu")

    def _look_bytes(self, plan: Plan, work: Work) -> int:
        """What looking at the gradients of some runs takes for a while: activations, errors, and what comes of them."""
        if work.sample is None:
            return 0
        per_record = 10 * sum(plan.widths[1:])
        return 4 * self._looked_at * (len(work.sample) * per_record + 6 * plan.size)

    def _too_large(self, course: Course, reason: str) -> str:
        needed = _data_bytes(course.plan, course.work) + self._run_bytes(course.plan, course.work)
        return (
            f"Run {course.work.key} does not fit into the memory of {self.device}: it takes about "
            f"{needed / 1e9:.1f} GB. Lower the batch size or the hidden units. ({reason})"
        )

    def _features_of(self, examples: Examples, inputs: int) -> torch.Tensor:
        """On the device; the last few stay there, since all runs of a seed are asked for the same rows."""
        key = id(examples)
        if key not in self._features:
            self._features[key] = examples, dense(examples, inputs, self.device)
            if len(self._features) > KEPT_EXAMPLES:
                self._features.popitem(last=False)
        self._features.move_to_end(key)
        return self._features[key][1]


def _data_bytes(plan: Plan, work: Work) -> int:
    codes = 0 if work.groups is None else 8 * len(work.train)
    return plan.bytes_of(len(work.train)) + codes + 4 * plan.widths[0] * len(work.validation)
