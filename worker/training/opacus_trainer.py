"""Trains any torch module, one run after the other; gradients per record through Opacus.

Two ways lead to the same clipped sum:

- *hooks* (`GradSampleModule`): each record's gradient is built, measured and summed with its scale;
- *ghost* (Li et al. 2022; Bu et al. 2022): a first backward pass yields the norms alone, a second one, on the losses
  multiplied by their scales, yields the sum. Faster, for layers whose norms follow from inputs and output gradients.

Methods see neither: they turn norms into scales.
"""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import torch

from worker.plugins import State
from worker.training.engine import Array, Examples, OnEpoch, Trained, Work, diverged
from worker.training.initial import build
from worker.training.losses import per_record
from worker.training.recorder import Recorder

Way = Literal["ghost", "hooks", "auto"]


class PerRecord(Protocol):
    """Gradients of a batch, record by record."""

    def norms(self, features: torch.Tensor, target: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Losses `[records]` and gradient norms `[records]` of a batch that is not empty."""

    def sum(self, scale: torch.Tensor) -> list[torch.Tensor]:
        """Sum of the batch's gradients, each times its scale, one tensor per parameter."""


class OpacusEngine:
    """The general engine and the reference of faster ones."""

    name = "opacus"

    def __init__(self, way: Way = "auto") -> None:
        self.way = way

    def refuses(self, work: Work) -> str | None:
        """Never: layers that Opacus does not know are handled by torch.func."""
        return None

    def train(self, works: Sequence[Work], on_epoch: OnEpoch | None = None) -> Iterator[Trained]:
        """One run after the other."""
        torch.set_num_threads(1)
        for work in works:
            with warnings.catch_warnings():
                # Opacus hooks modules whose inputs need no gradient, as ours never do: torch remarks on it each step.
                warnings.filterwarnings("ignore", message="Full backward hook is firing")
                trained = _Run(work, self.way).train(on_epoch)
            yield trained


@dataclass
class _Step:
    """What one step measured, for the history alone."""

    loss_sum: float = 0.0
    records: int = 0
    clipped: float = 0.0
    kept: float = 0.0


class _Run:
    def __init__(self, work: Work, way: Way) -> None:
        self.work = work
        self.module = build(work)
        self.parameters = [p for p in self.module.parameters() if p.requires_grad]
        self.features = torch.from_numpy(work.train.features)
        self.target = torch.from_numpy(work.train.target)
        training = work.training
        self.optimizer: torch.optim.Optimizer = (
            torch.optim.Adam(self.parameters, lr=training.learning_rate, weight_decay=training.weight_decay)
            if training.optimizer == "adam"
            else torch.optim.SGD(
                self.parameters,
                lr=training.learning_rate,
                momentum=training.momentum,
                weight_decay=training.weight_decay,
            )
        )
        self.state: State = work.method.start(work.method_params)
        self.per_record = per_record_gradients(self.module, work, way) if work.budget is not None else None

    def train(self, on_epoch: OnEpoch | None) -> Trained:
        work = self.work
        started = time.perf_counter()
        recorder = Recorder(work)
        recorder.state(0, self.state)
        message = None
        step = 0
        for epoch in range(1, work.training.epochs + 1):
            self.module.train()
            for _ in range(work.schedule.steps_per_epoch):
                measured = self.step(step)
                if not math.isfinite(measured.loss_sum):
                    message = diverged("loss", epoch, step)
                    break
                recorder.step(measured.loss_sum, measured.records, measured.clipped, measured.kept)
                step += 1
            if message is None and not all(bool(torch.isfinite(p).all()) for p in self.parameters):
                message = diverged("weights", epoch, step)
            if message is not None:
                break
            recorder.epoch(epoch, self.logits(work.validation))
            recorder.state(epoch, self.state)
            if on_epoch is not None:
                on_epoch(epoch, work.training.epochs)
        seconds = time.perf_counter() - started
        return Trained(work.key, OpacusEngine.name, self.logits, seconds, recorder.series(), message)

    def step(self, step: int) -> _Step:
        """One update of the weights; an empty batch is one like any other."""
        work = self.work
        rows = torch.from_numpy(work.streams.batch(step, len(work.train), work.schedule.sampling_rate))
        features, target = self.features[rows], self.target[rows]
        measured = _Step(records=len(rows))
        if self.per_record is None:
            gradients = self._plain(features, target, measured)
        else:
            gradients = self._private(features, target, step, measured)
        for parameter, gradient in zip(self.parameters, gradients, strict=True):
            parameter.grad = gradient.div_(work.expected_batch)
        self.optimizer.step()
        return measured

    def _zeros(self) -> list[torch.Tensor]:
        return [torch.zeros_like(p) for p in self.parameters]

    def _plain(self, features: torch.Tensor, target: torch.Tensor, measured: _Step) -> list[torch.Tensor]:
        if not len(target):
            return self._zeros()
        loss = per_record(self.module(features), target, self.work.task).sum()
        measured.loss_sum = loss.item()
        measured.kept = float(len(target))
        return list(torch.autograd.grad(loss, self.parameters))

    def _private(self, features: torch.Tensor, target: torch.Tensor, step: int, measured: _Step) -> list[torch.Tensor]:
        """Scaled sum plus noise; the method's statistic, its noise, and the next state."""
        work, state, params = self.work, self.state, self.work.method_params
        method, budget, per_record_ = work.method, work.budget, self.per_record
        assert budget is not None
        assert per_record_ is not None
        sensitivity = float(method.sensitivity(state, params))
        centred = 0.0
        if len(target):
            losses, norms = per_record_.norms(features, target)
            scale = method.scale(norms, state, params)
            gradients = per_record_.sum(scale)
            statistic = method.statistic(norms, state, params)
            measured.loss_sum = losses.sum().item()
            measured.clipped = (norms > sensitivity).sum().item()
            measured.kept = scale.sum().item()
        else:
            gradients = self._zeros()
            empty = torch.zeros(0)
            statistic = method.statistic(empty, state, params)
        self._add_noise(gradients, budget.gradient_multiplier * sensitivity, step)
        if statistic is None:
            self.state = method.update(state, None, params)
        else:
            centred = (statistic - 0.5).sum().item()
            noise = (budget.statistic_std or 0.0) * work.streams.statistic_noise(step)
            self.state = method.update(state, 0.5 + (centred + noise) / work.expected_batch, params)
        return gradients

    def _add_noise(self, gradients: list[torch.Tensor], deviation: float, step: int) -> None:
        noise = torch.from_numpy(self.work.streams.noise(step, sum(g.numel() for g in gradients)))
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
            answers: Array = self.module(torch.from_numpy(examples.features)).numpy()
        self.module.train()
        return answers


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
    def __init__(self, module: torch.nn.Module, work: Work) -> None:
        from opacus.grad_sample import GradSampleModuleFastGradientClipping

        self.task = work.task
        self.wrapped: Any = GradSampleModuleFastGradientClipping(module, loss_reduction="sum", use_ghost_clipping=True)
        self.parameters: list[Any] = [p for p in module.parameters() if p.requires_grad]
        self.losses = torch.zeros(0)

    def norms(self, features: torch.Tensor, target: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        self.losses = per_record(self.wrapped(features), target, self.task)
        self.losses.sum().backward(retain_graph=True)  # type: ignore[no-untyped-call]
        return self.losses.detach(), self.wrapped.get_norm_sample().detach()

    def sum(self, scale: torch.Tensor) -> list[torch.Tensor]:
        self.wrapped.disable_hooks()
        gradients = torch.autograd.grad((self.losses * scale).sum(), self.parameters)
        self.wrapped.enable_hooks()
        return [g.clone() for g in gradients]
