"""The fast gradient sign method: one step as far as is allowed."""

from __future__ import annotations

import torch

from worker.attacks._evasion import Case, Evasion, EvasionParams, metrics_of_evasion
from worker.training.adversary import ascend


class Fgsm(Evasion[EvasionParams]):
    """One step of the whole perturbation along the loss's steepest ascent: a weak attack, and a check of others."""

    name = "fgsm"
    title = "FGSM"
    summary = "Moves each test row once, as far as allowed, along the gradient of its loss."
    citation = "Goodfellow, Shlens and Szegedy 2015, Explaining and harnessing adversarial examples, ICLR"
    Params = EvasionParams
    metrics = metrics_of_evasion(name, title)

    def withstood(self, case: Case, params: EvasionParams) -> torch.Tensor:
        """Whether each row is predicted rightly after the step."""
        moved = ascend(
            lambda here: torch.nn.functional.cross_entropy(case.model(here), case.target, reduction="none"),
            case.features,
            params.ball(case),
            steps=1,
            step_size=params.perturbation,
        )
        return case.right(moved)


PLUGIN = Fgsm()
