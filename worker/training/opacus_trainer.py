"""Trains any torch module, one run after the other; gradients per record through Opacus.

Two ways lead to the same clipped sum:

- *hooks* (`GradSampleModule`): each record's gradient is built, measured and summed with its scale;
- *ghost* (Li et al. 2022; Bu et al. 2022): a first backward pass yields the norms alone, a second one, on the losses
  multiplied by their scales, yields the sum. Faster, for layers whose norms follow from inputs and output gradients.

Methods see neither: they turn norms into scales.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch

from backend.contracts.training import Training
from worker.plugins import GROUP, State
from worker.training import loop
from worker.training.clipping import Gradients, LinearGradients, ModuleGradients, PerRecord, Sample
from worker.training.engine import UNWATCHED, Array, Demand, Examples, Trained, Watch, Work
from worker.training.fleet.architecture import Architecture, architecture_of
from worker.training.initial import build
from worker.training.losses import per_record, per_record_numpy
from worker.training.objective import EpochEnd, Step, Tensors
from worker.training.recorder import CLIPPED, KEPT, LOSS, RECORDS

Way = Literal["ghost", "hooks", "auto"]
#: Predictions are made of so many rows at a time, so that activations of a convolution fit.
ROWS_AT_ONCE = 4096


class OpacusEngine:
    """The general engine and the reference of faster ones."""

    name = "opacus"
    stacks = False
    takes_canaries = True
    takes_objectives = True

    def __init__(self, way: Way = "auto", device: str = "cpu") -> None:
        self.way = way
        self.device = torch.device(device)

    def refuses(self, work: Work) -> str | None:
        """Never: layers that Opacus does not know are handled by torch.func."""
        return None

    def demand(self, work: Work) -> Demand:
        """One run at a time: weights, gradients, moments, what layers answer, and in private training a gradient of
        every record."""
        weights, answers = _sizes(work)
        records = 2 * work.expected_batch if work.budget is not None else 0
        # Twice: forwards, and what flows back. Predictions keep those of two layers at a time.
        passing = max(2 * work.expected_batch * answers, 2 * ROWS_AT_ONCE * answers / 4)
        shared = work.train.features.nbytes
        if self.device.type != "cpu":
            # Training rows stay there; for predictions those of the largest part come a second time.
            shared = 2 * (shared + work.train.target.nbytes)
        return Demand(shared=shared, per_run=int(weights * (5 + records) + passing))

    def train(self, works: Sequence[Work], watch: Watch = UNWATCHED) -> Iterator[Trained]:
        """One run after the other."""
        torch.set_num_threads(1)
        data: _OnDevice | None = None
        for work in works:
            if data is None or data.examples is not work.train:
                data = _OnDevice.of(work.train, self.device)
            with warnings.catch_warnings():
                # Opacus hooks modules whose inputs need no gradient, as ours never do: torch remarks on it each step.
                warnings.filterwarnings("ignore", message="Full backward hook is firing")
                trained = loop.run(_Run(work, self.way, data), watch)
            yield trained


def _sizes(work: Work) -> tuple[int, int]:
    """Bytes of the weights, and of what all layers answer to one record."""
    module, answers = build(work).eval(), 0

    def count(layer: torch.nn.Module, inputs: object, output: object) -> None:
        nonlocal answers
        answers += 4 * output.numel() if isinstance(output, torch.Tensor) else 0

    for layer in module.modules():
        if not any(layer.children()):
            layer.register_forward_hook(count)
    with torch.no_grad():
        module(torch.zeros(1, work.inputs))
    return 4 * sum(p.numel() for p in module.parameters()), answers


@dataclass(frozen=True)
class _OnDevice:
    """Training rows where they are trained on, shared by the runs of a seed."""

    examples: Examples
    features: torch.Tensor
    target: torch.Tensor
    device: torch.device

    @classmethod
    def of(cls, examples: Examples, device: torch.device) -> _OnDevice:
        features, target = torch.from_numpy(examples.features), torch.from_numpy(examples.target)
        return cls(examples, features.to(device), target.to(device), device)


class _Run:
    def __init__(self, work: Work, way: Way, data: _OnDevice) -> None:
        self.work = work
        self.device = data.device
        # Built on the processor, so that initial weights are the same on every device.
        self.objective = work.objective()
        module = build(work)
        self.module = (module if self.objective is None else self.objective.prepare(module)).to(self.device)
        # Without gradients per record all of it is torch's own.
        self.engine = OpacusEngine.name if work.budget is not None else "torch"
        self.parameters = [p for p in self.module.parameters() if p.requires_grad]
        self.features, self.target = data.features, data.target
        self.inference: Tensors | None = None
        self.optimizer = _optimizer(work.training, self.parameters)
        self.state: State = work.start()
        codes = work.codes
        self.codes = None if codes is None else torch.from_numpy(codes).to(self.device)
        self.totals = np.zeros(4)
        self.per_record = per_record_gradients(self.module, work, way) if work.budget is not None else None
        self.module.train()

    def advance(self, step: int, stop: int) -> int:
        """One update of the weights; an empty batch is one like any other."""
        work = self.work
        rows = torch.from_numpy(work.streams.batch(step, len(work.train), work.schedule.sampling_rate)).to(self.device)
        features, target = self.features[rows], self.target[rows]
        self.totals[RECORDS] += len(rows)
        if work.canaries is not None:
            work.canaries.batches.append(rows.cpu().numpy())
        if self.per_record is None and self.objective is None:
            gradients = self._plain(features, target)
        elif self.per_record is None:
            gradients = self._minimising(features, target, step)
        else:
            if self.objective is not None and len(rows):
                features = self.objective.inputs(self._step(features, target, step)).detach()
            gradients = self._private(features, target, step, self._shown(rows))
        for parameter, gradient in zip(self.parameters, gradients, strict=True):
            parameter.grad = gradient.div_(work.expected_batch)
        for group in self.optimizer.param_groups:
            group["lr"] = work.learning_rate(step)
        self.optimizer.step()
        return step + 1

    def epoch_ended(self, done: int) -> bool:
        """Asks the objective."""
        if self.objective is None:
            return False
        epochs = self.work.schedule.steps // self.work.schedule.steps_per_epoch
        ended = self.objective.epoch_ended(EpochEnd(self.module, done, epochs, self._inference_loss))
        self.state = {**self.state, **self.objective.history()}
        return ended

    def _inference_loss(self) -> float:
        work = self.work
        assert work.inference is not None
        return float(per_record_numpy(self.logits(work.inference), work.inference.target, work.task).mean())

    def _step(self, features: torch.Tensor, target: torch.Tensor, number: int) -> Step:
        """What the objective sees; all that it draws follows from the step's number."""
        work = self.work
        torch.manual_seed(work.streams.objective_seed(number))
        per_epoch = work.schedule.steps_per_epoch
        inference = work.inference
        return Step(
            module=self.module,
            parameters=self.parameters,
            features=features,
            target=target,
            task=work.task,
            domain=work.domain,
            number=number,
            per_epoch=per_epoch,
            epochs=work.schedule.steps // per_epoch,
            members=lambda count: _some(self.features, self.target, count),
            inference=lambda count: _some(*self._inference_rows(inference), count),
            quietly=_directly if self.per_record is None else self.per_record.quietly,
        )

    def _inference_rows(self, inference: Examples | None) -> Tensors:
        if inference is None:
            raise ValueError(f"{self.work.method.name} must declare needs_inference_set to see the inference set.")
        if self.inference is None:
            features, target = torch.from_numpy(inference.features), torch.from_numpy(inference.target)
            self.inference = features.to(self.device), target.to(self.device)
        return self.inference

    def _minimising(self, features: torch.Tensor, target: torch.Tensor, number: int) -> list[torch.Tensor]:
        """Gradients of the objective, as sums over the batch."""
        assert self.objective is not None
        step = self._step(features, target, number)
        expected = self.work.expected_batch
        total: torch.Tensor | None = None
        if len(target):
            losses = self.objective.losses(step)
            total = losses.sum()
            self.totals[LOSS] += total.item()
            self.totals[KEPT] += len(target)
        penalty = self.objective.penalty(step)
        if penalty is not None:
            total = penalty * expected if total is None else total + penalty * expected
        if total is None or not total.requires_grad:
            return self._zeros()
        found = torch.autograd.grad(total, self.parameters, allow_unused=True)
        return [torch.zeros_like(p) if g is None else g for p, g in zip(self.parameters, found, strict=True)]

    def finite(self) -> bool:
        """Whether all weights are numbers."""
        return all(bool(torch.isfinite(p).all()) for p in self.parameters)

    def gradients(self, sample: Sample) -> Gradients:
        """Of these rows, at the weights as they are."""
        found = architecture_of(self.work)
        if isinstance(found, Architecture):
            layers = zip(self.parameters[::2], self.parameters[1::2], strict=True)
            matrices = [torch.cat([weight.detach().T, bias.detach()[None]])[None] for weight, bias in layers]
            return LinearGradients(matrices, found.activation, self.work.task, sample)
        assert self.per_record is not None
        most = max(1, math.ceil(self.work.expected_batch))
        return ModuleGradients(self.per_record, sample, self.device, most)

    def arrays(self) -> dict[str, Array]:
        """Weights and buffers of the module, and the optimizer's tensors by parameter."""
        kept = {f"module.{name}": value.cpu().numpy() for name, value in self.module.state_dict().items()}
        for number, entry in self.optimizer.state_dict()["state"].items():
            kept |= {f"optimizer.{number}.{name}": _array(value) for name, value in entry.items() if value is not None}
        if self.objective is not None:
            kept |= {f"objective.{name}": _array(value) for name, value in self.objective.tensors().items()}
        return kept

    def restore(self, arrays: Mapping[str, Array]) -> None:
        """The inverse of `arrays`."""
        tensors = {name: torch.from_numpy(np.array(value)) for name, value in arrays.items()}
        self.module.load_state_dict({n[len("module.") :]: t for n, t in tensors.items() if n.startswith("module.")})
        state: dict[int, dict[str, torch.Tensor]] = {}
        for name, tensor in tensors.items():
            if name.startswith("optimizer."):
                _, number, entry = name.split(".", 2)
                state.setdefault(int(number), {})[entry] = tensor
        self.optimizer.load_state_dict({**self.optimizer.state_dict(), "state": state})
        if self.objective is not None:
            start = len("objective.")
            self.objective.restore({n[start:]: t for n, t in tensors.items() if n.startswith("objective.")})

    def _zeros(self) -> list[torch.Tensor]:
        return [torch.zeros_like(p) for p in self.parameters]

    def _plain(self, features: torch.Tensor, target: torch.Tensor) -> list[torch.Tensor]:
        if not len(target):
            return self._zeros()
        loss = per_record(self.module(features), target, self.work.task).sum()
        self.totals[LOSS] += loss.item()
        self.totals[KEPT] += len(target)
        return list(torch.autograd.grad(loss, self.parameters))

    def _shown(self, rows: torch.Tensor) -> State:
        """The state that the method's scale and statistic see: with the batch's group codes, where it asks for them."""
        if self.codes is None:
            return self.state
        numbers = {n: torch.as_tensor(v, dtype=torch.float32, device=self.device) for n, v in self.state.items()}
        return {**numbers, GROUP: self.codes[rows]}

    def _private(self, features: torch.Tensor, target: torch.Tensor, step: int, state: State) -> list[torch.Tensor]:
        """Scaled sum plus noise; the method's statistic, its noise, and the next state."""
        work, params = self.work, self.work.method_params
        method, budget, per_record_ = work.method, work.budget, self.per_record
        assert budget is not None
        assert per_record_ is not None
        sensitivity = float(method.sensitivity(self.state, params))
        centred = 0.0
        if len(target):
            losses, norms = per_record_.norms(features, target)
            scale = method.scale(norms, state, params)
            gradients = per_record_.sum(scale)
            statistic = method.statistic(norms, state, params)
            self.totals[LOSS] += losses.sum().item()
            self.totals[CLIPPED] += (norms > sensitivity).sum().item()
            self.totals[KEPT] += scale.sum().item()
        else:
            gradients = self._zeros()
            empty = torch.zeros(0, device=self.device)
            statistic = method.statistic(empty, state, params)
        before = self._add_canaries(gradients, sensitivity, step)
        self._add_noise(gradients, budget.gradient_multiplier * sensitivity, step)
        if work.canaries is not None:
            work.canaries.observed.append((self._at_canaries(gradients) - before) / sensitivity)
        if statistic is None:
            self.state = method.update(self.state, None, params)
        elif statistic.ndim == 2:
            sums = statistic.sum(0, dtype=torch.float64).cpu().numpy()
            noises = work.streams.statistic_noises(step, len(sums))
            self.state = method.update(self.state, sums + (budget.statistic_std or 0.0) * noises, params)
        else:
            centred = (statistic - 0.5).sum().item()
            noise = (budget.statistic_std or 0.0) * work.streams.statistic_noise(step)
            self.state = method.update(self.state, 0.5 + (centred + noise) / work.expected_batch, params)
        return gradients

    def _add_canaries(self, gradients: list[torch.Tensor], sensitivity: float, step: int) -> Array:
        """Adds those of this step's batch; answers what the rows alone had made of their places."""
        canaries = self.work.canaries
        if canaries is None:
            return np.zeros(0)
        before = self._at_canaries(gradients)
        canaries.norms.append(math.sqrt(sum(g.double().square().sum().item() for g in gradients)) / sensitivity)
        added = self.work.canary_gradients(step, self.state)
        ends = np.cumsum([g.numel() for g in gradients])
        for canary in np.flatnonzero(added):
            place = int(canaries.places[canary])
            part = int(np.searchsorted(ends, place, side="right"))
            shape = tuple(gradients[part].shape)
            start = int(ends[part]) - gradients[part].numel()
            gradients[part][tuple(map(int, np.unravel_index(place - start, shape)))] += float(added[canary])
        return before

    def _at_canaries(self, gradients: list[torch.Tensor]) -> Array:
        """`[canaries]` float64: the summed gradient at their places."""
        assert self.work.canaries is not None
        flat = torch.cat([g.reshape(-1) for g in gradients]).cpu().numpy()
        return np.asarray(flat[self.work.canaries.places], np.float64)

    def _add_noise(self, gradients: list[torch.Tensor], deviation: float, step: int) -> None:
        noise = torch.from_numpy(self.work.streams.noise(step, sum(g.numel() for g in gradients))).to(self.device)
        start = 0
        for gradient in gradients:
            stop = start + gradient.numel()
            # A matrix of weights gets its noise input by input, as the fleet engine holds them.
            turned = noise[start:stop].reshape(gradient.shape[::-1])
            gradient.add_(turned.permute(*reversed(range(turned.ndim))), alpha=deviation)
            start = stop

    def logits(self, examples: Examples) -> Array:
        """`[rows, outputs]` float32."""
        self.module.eval()
        with torch.no_grad():
            parts = torch.split(torch.from_numpy(examples.features), ROWS_AT_ONCE)
            answers = [self.module(part.to(self.device)).cpu().numpy() for part in parts]
        self.module.train()
        return np.concatenate(answers) if answers else np.zeros((0, self.work.outputs), np.float32)

    def trained_module(self) -> torch.nn.Module:
        """A copy without hooks."""
        whole = build(self.work)
        whole.load_state_dict({name: value.cpu() for name, value in self.module.state_dict().items()})
        return whole.eval()


def _some(features: torch.Tensor, target: torch.Tensor, count: int) -> Tensors:
    """At most so many rows, drawn without replacement."""
    if count >= len(target):
        return features, target
    rows = torch.randperm(len(target))[:count].to(target.device)
    return features[rows], target[rows]


def _unhooked(wrapped: Any, compute: Callable[[], torch.Tensor]) -> torch.Tensor:
    wrapped.disable_hooks()
    try:
        return compute()
    finally:
        wrapped.enable_hooks()


def _directly(compute: Callable[[], torch.Tensor]) -> torch.Tensor:
    return compute()


def _optimizer(training: Training, parameters: list[torch.nn.Parameter]) -> torch.optim.Optimizer:
    rate, decay = training.learning_rate, training.weight_decay
    if training.optimizer == "adam":
        return torch.optim.Adam(parameters, lr=rate, weight_decay=decay)
    if training.optimizer == "adamw":
        return torch.optim.AdamW(parameters, lr=rate, weight_decay=decay)
    return torch.optim.SGD(parameters, lr=rate, momentum=training.momentum, weight_decay=decay)


def _array(value: Any) -> Array:
    return value.cpu().numpy() if isinstance(value, torch.Tensor) else np.asarray(value)


def per_record_gradients(module: torch.nn.Module, work: Work, way: Way) -> PerRecord:
    """Ghost norms where every trainable layer has them, hooks otherwise, unless asked for one of the two."""
    from opacus.grad_sample import GradSampleModuleFastGradientClipping  # takes seconds to import

    known = GradSampleModuleFastGradientClipping.NORM_SAMPLERS
    layers = [layer for layer in module.modules() if any(p.requires_grad for p in layer.parameters(recurse=False))]
    ghost = all(type(layer) in known for layer in layers) if way == "auto" else way == "ghost"
    return _Ghost(module, work) if ghost else _Hooks(module, work)


class _Hooks:
    def __init__(self, module: torch.nn.Module, work: Work) -> None:
        from opacus.grad_sample import GradSampleModule

        self.task = work.task
        self.wrapped: Any = GradSampleModule(module, loss_reduction="sum")
        self.parameters: list[Any] = [p for p in module.parameters() if p.requires_grad]

    def quietly(self, compute: Callable[[], torch.Tensor]) -> torch.Tensor:
        return _unhooked(self.wrapped, compute)

    def norms(self, features: torch.Tensor, target: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        for parameter in self.parameters:
            parameter.grad_sample = None
        losses = per_record(self.wrapped(features), target, self.task)
        losses.sum().backward()  # type: ignore[no-untyped-call]
        squares = [p.grad_sample.flatten(1).square().sum(1) for p in self.parameters]
        return losses.detach(), torch.stack(squares).sum(0).sqrt()

    def sum(self, scale: torch.Tensor) -> list[torch.Tensor]:
        return [torch.einsum("n,n...->...", scale, p.grad_sample) for p in self.parameters]


class _Ghost:
    """First the norms, then the sum."""

    def __init__(self, module: torch.nn.Module, work: Work) -> None:
        from opacus.grad_sample import GradSampleModuleFastGradientClipping

        self.task = work.task
        self.wrapped: Any = GradSampleModuleFastGradientClipping(module, loss_reduction="sum", use_ghost_clipping=True)
        self.parameters: list[Any] = [p for p in module.parameters() if p.requires_grad]
        self.losses = torch.zeros(0)

    def quietly(self, compute: Callable[[], torch.Tensor]) -> torch.Tensor:
        return _unhooked(self.wrapped, compute)

    def norms(self, features: torch.Tensor, target: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        self.losses = per_record(self.wrapped(features), target, self.task)
        self.losses.sum().backward(retain_graph=True)  # type: ignore[no-untyped-call]
        return self.losses.detach(), self.wrapped.get_norm_sample().detach()

    def sum(self, scale: torch.Tensor) -> list[torch.Tensor]:
        self.wrapped.disable_hooks()
        gradients = torch.autograd.grad((self.losses * scale).sum(), self.parameters)
        self.wrapped.enable_hooks()
        return [g.clone() for g in gradients]
