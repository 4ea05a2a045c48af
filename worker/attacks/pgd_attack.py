"""PGD with restarts: many small steps from several random points."""

from __future__ import annotations

import torch

from worker.attacks._evasion import Case, Evasion, EvasionParams, metrics_of_evasion
from worker.plugins import param
from worker.training.adversary import ascend


class PgdAttackParams(EvasionParams):
    """How hard it searches."""

    steps: int = param(50, "Steps", "Steps of gradient ascent from each start.", unit="steps", ge=1, le=10_000)
    restarts: int = param(5, "Restarts", "Random points to start from.", ge=1, le=1000)
    step_size: float | None = param(
        None,
        "Step size",
        "In the units of the features. Empty: 2.5 times the perturbation divided by the steps.",
        gt=0,
        le=1e6,
        advanced=True,
    )


class PgdAttack(Evasion[PgdAttackParams]):
    """A row is withstood if no step of any start changes its prediction. Rows that fell are not attacked again."""

    name = "pgd_attack"
    title = "PGD attack"
    summary = "Moves each test row along the gradient of its loss in many small steps, from several random starts."
    citation = "Madry et al. 2018, Towards deep learning models resistant to adversarial attacks, ICLR"
    Params = PgdAttackParams
    metrics = metrics_of_evasion(name, title)

    def withstood(self, case: Case, params: PgdAttackParams) -> torch.Tensor:
        """Whether each row is predicted rightly at every point that was tried."""
        standing = case.right(case.features)
        ball = params.ball(case)
        stride = params.step_size or 2.5 * params.perturbation / params.steps
        for _ in range(params.restarts):
            rows = torch.nonzero(standing)[:, 0]
            if not len(rows):
                break
            some = case.at(rows)
            kept = torch.ones(len(rows), dtype=torch.bool)

            def losses(here: torch.Tensor, some: Case = some, kept: torch.Tensor = kept) -> torch.Tensor:
                logits = some.model(here)
                kept &= logits.detach().argmax(dim=1) == some.target
                return torch.nn.functional.cross_entropy(logits, some.target, reduction="none")

            moved = ascend(
                losses, some.features, ball, steps=params.steps, step_size=stride, start=ball.random(some.features)
            )
            standing[rows] = kept & some.right(moved)
        return standing


PLUGIN = PgdAttack()
