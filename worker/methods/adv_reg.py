"""Adversarial regularisation: the model is trained against an attack that is trained against it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch.nn import functional

from worker.plugins import Method, Params, param
from worker.training.losses import per_record
from worker.training.objective import Objective, Step


class AdvRegParams(Params):
    """How strong the attack counts and how it is trained."""

    strength: float = param(
        1.0, "Strength", "Weight of what the attack gains.", ge=0, le=1000, sweepable=True, log=True
    )
    attack_steps: int = param(
        1, "Attack steps", "Steps that the attack model takes for each step of the model.", ge=1, le=100, advanced=True
    )
    attack_rate: float = param(
        1e-3, "Attack learning rate", "Of the attack model's Adam.", gt=0, le=1, log=True, advanced=True
    )


class _AttackModel(torch.nn.Module):
    """Whether a row is a member, from its posterior and label: logits `[rows]` (the network of Nasr et al.)."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.posterior = torch.nn.Sequential(
            torch.nn.Linear(classes, 512), torch.nn.ReLU(), torch.nn.Linear(512, 64), torch.nn.ReLU()
        )
        self.label = torch.nn.Sequential(torch.nn.Linear(classes, 64), torch.nn.ReLU())
        self.both = torch.nn.Sequential(torch.nn.Linear(128, 64), torch.nn.ReLU(), torch.nn.Linear(64, 1))

    def forward(self, posterior: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
        answer: torch.Tensor = self.both(torch.cat([self.posterior(posterior), self.label(label)], dim=1))
        return answer[:, 0]


class _Regularised(Objective):
    separable = False

    def __init__(self, params: AdvRegParams) -> None:
        self.params = params
        self.attack: _AttackModel | None = None
        self.kept: dict[str, torch.Tensor] = {}

    def losses(self, step: Step) -> torch.Tensor:
        """Cross-entropy, and the log-probability that the attack gives to the record being a member."""
        logits = step.module(step.features)
        losses = per_record(logits, step.target, step.task)
        if step.task == "regression":
            return losses
        attack = self._attack(logits.shape[1], logits.device)
        for _ in range(self.params.attack_steps):
            self._train(attack, step, logits.shape[1])
        judged = attack(logits.softmax(dim=1), one_hot(step.target, logits.shape[1]))
        return losses + self.params.strength * functional.logsigmoid(judged)

    def _train(self, attack: _AttackModel, step: Step, classes: int) -> None:
        count = len(step.target)
        others, labels = step.inference(count)
        with torch.no_grad():
            members, non_members = (step.module(rows).softmax(dim=1) for rows in (step.features, others))
        self.optimizer.zero_grad()
        inside = attack(members, one_hot(step.target, classes))
        outside = attack(non_members, one_hot(labels, classes))
        # Each side counts half, however many rows it has.
        loss = -(functional.logsigmoid(inside).mean() + functional.logsigmoid(-outside).mean()) / 2
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()

    def _attack(self, classes: int, device: torch.device) -> _AttackModel:
        if self.attack is None:
            # In a copy of the generator: a run that goes on makes it anew, and must not draw otherwise afterwards.
            with torch.random.fork_rng(devices=[]):
                self.attack = _AttackModel(classes).to(device)
            self.optimizer = torch.optim.Adam(self.attack.parameters(), lr=self.params.attack_rate)
            if self.kept:
                self._load(self.attack)
        return self.attack

    def tensors(self) -> dict[str, torch.Tensor]:
        if self.attack is None:
            return self.kept
        kept = {f"model.{name}": value for name, value in self.attack.state_dict().items()}
        for number, entry in self.optimizer.state_dict()["state"].items():
            kept |= {f"adam.{number}.{name}": torch.as_tensor(value) for name, value in entry.items()}
        return kept

    def restore(self, tensors: Mapping[str, torch.Tensor]) -> None:
        self.attack, self.kept = None, dict(tensors)

    def _load(self, attack: _AttackModel) -> None:
        attack.load_state_dict({n[len("model.") :]: t for n, t in self.kept.items() if n.startswith("model.")})
        state: dict[int, dict[str, Any]] = {}
        for name, tensor in self.kept.items():
            if name.startswith("adam."):
                _, number, entry = name.split(".", 2)
                state.setdefault(int(number), {})[entry] = tensor
        self.optimizer.load_state_dict({**self.optimizer.state_dict(), "state": state})


def one_hot(target: torch.Tensor, classes: int) -> torch.Tensor:
    """`[rows, classes]` float32."""
    return functional.one_hot(target, classes).to(torch.float32)


class AdvReg(Method[AdvRegParams]):
    """Cross-entropy plus strength x mean log h(softmax, label), h being trained to tell members from the inference set.

    The min-max game of Nasr, Shokri and Houmansadr 2018, equation 9: the attack takes its steps on each batch before
    the model takes one.
    """

    name = "adv_reg"
    title = "Adversarial regularisation"
    summary = "Trains the model together with a membership-inference attack and keeps it from winning."
    citation = (
        "Nasr, Shokri and Houmansadr 2018, Machine learning with membership privacy using adversarial regularization"
    )
    needs_inference_set = True
    Params = AdvRegParams

    def objective(self, params: AdvRegParams) -> Objective:
        """The game."""
        return _Regularised(params)


PLUGIN = AdvReg()
