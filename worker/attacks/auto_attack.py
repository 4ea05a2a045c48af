"""AutoAttack: four attacks without parameters, by their authors' own code."""

from __future__ import annotations

import torch

from worker.attacks._evasion import Case, Evasion, EvasionParams, metrics_of_evasion
from worker.plugins import param

#: With fewer classes the difference-of-logits-ratio losses are not defined: they use the third, or fourth, largest.
CLASSES_OF_DLR, CLASSES_OF_TARGETED = 3, 4
#: Targets that targeted attacks try, at most.
TARGETS = 9
#: Rows that are attacked at a time.
BATCH = 250


class AutoAttackParams(EvasionParams):
    """How long the search without gradients goes on."""

    rows: int = param(
        200,
        "Rows",
        "At most so many rows of the test part, drawn at random, the same for all runs of a seed.",
        unit="rows",
        ge=1,
        le=1_000_000,
        advanced=True,
    )
    queries: int = param(
        5000,
        "Queries",
        "Of the Square attack for each row; 5,000 in the standard.",
        unit="queries",
        ge=1,
        le=1_000_000,
        advanced=True,
    )


class AutoAttack(Evasion[AutoAttackParams]):
    """APGD on cross-entropy, targeted APGD on the difference of logits ratio, targeted FAB, and Square.

    With three classes the untargeted APGD on that ratio and FAB stand for the targeted ones, with two FAB alone; Square
    is left out in the l2 norm where rows are no images. What the library finds is moved back into the ball and the
    bounds and judged there. Features have to be bounded.
    """

    name = "auto_attack"
    title = "AutoAttack"
    summary = "Attacks each test row with four strong attacks of different kinds; a row is withstood if all fail."
    citation = "Croce and Hein 2020, Reliable evaluation of adversarial robustness with an ensemble of attacks, ICML"
    bounded = True
    Params = AutoAttackParams
    metrics = metrics_of_evasion(name, title)

    def withstood(self, case: Case, params: AutoAttackParams) -> torch.Tensor:
        """Whether each row is predicted rightly at what every attack found."""
        from pyautoattack.autoattack import AutoAttack as Standard  # takes a second to import

        assert case.domain.bounds is not None
        low, high = case.domain.bounds
        width = high - low
        shape = case.domain.image or (1, case.features.shape[1], 1)

        def model(points: torch.Tensor) -> torch.Tensor:
            answer: torch.Tensor = case.model(points.flatten(1) * width + low)
            return answer

        with torch.no_grad():
            classes = model(((case.features[:1] - low) / width).view(-1, *shape)).shape[1]
        suite = Standard(
            model,
            attacks=_attacks(classes, squares=case.domain.image is not None or params.norm == "linf"),
            norm={"linf": "Linf", "l2": "L2"}[params.norm],
            eps=params.perturbation / width,
            seed=int(torch.randint(2**31 - 1, ())),
            version="custom",
        )
        suite.apgd.n_restarts = 1
        suite.square.n_queries = params.queries
        suite.apgd_targeted.n_target_classes = suite.fab.n_target_classes = min(TARGETS, classes - 1)
        points = ((case.features - low) / width).view(-1, *shape)
        # Rows that withstood come back as they were.
        found, _ = suite.run_standard_evaluation(points, case.target, batch_size=BATCH)
        moved = params.ball(case).project(found.flatten(1) * width + low, case.features)
        return case.right(case.features) & case.right(moved)


def _attacks(classes: int, *, squares: bool) -> list[str]:
    if classes >= CLASSES_OF_TARGETED:
        names = ["apgd-ce", "apgd-t", "fab-t"]
    else:
        names = ["apgd-ce", *(["apgd-dlr"] if classes >= CLASSES_OF_DLR else []), "fab"]
    return [*names, "square"] if squares else names


PLUGIN = AutoAttack()
