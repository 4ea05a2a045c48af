"""What a run cost: privacy budget, noise and time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

import numpy as np

from backend.contracts.catalogue import MetricInfo
from backend.contracts.results import ALL
from worker.metrics._predictions import Figure, Groups, Predictions
from worker.plugins import Metric, NoParams

#: Name, title and method of each accountant.
ACCOUNTANTS = (
    ("rdp", "RDP", "R\u00e9nyi accounting"),
    ("prv", "PRV", "numerical composition of privacy loss random variables"),
    ("pld", "PLD", "numerical composition of privacy loss distributions"),
)


def _info(
    name: str,
    title: str,
    explanation: str,
    kind: Literal["privacy", "cost"],
    *,
    better: bool | None = False,
    **more: Any,
) -> MetricInfo:
    return MetricInfo(
        name=name,
        title=title,
        explanation=explanation,
        family="cost",
        higher_is_better=better,
        kind=kind,
        low=0.0,
        per_subgroup=False,
        **more,
    )


def _accounts() -> Iterator[MetricInfo]:
    for name, title, how in ACCOUNTANTS:
        yield _info(
            f"epsilon_{name}",
            f"\u03b5 by {title}",
            f"What the noise that was used costs by {how}.",
            "privacy",
            log=True,
        )
    for name, title, how in ACCOUNTANTS:
        yield _info(
            f"sigma_{name}",
            f"\u03c3 needed by {title}",
            f"Noise multiplier that the asked \u03b5 would have needed by {how}.",
            "privacy",
            better=None,
        )


class Cost(Metric[NoParams]):
    """Figures of the whole run, filed under the test split so that one filter finds everything.

    A run that is not private has no epsilon, delta or noise multiplier: None, never a large number.
    """

    name = "cost"
    title = "Cost"
    summary = "Privacy budget, noise multiplier, steps and time of a run."
    Params = NoParams
    metrics = (
        _info("epsilon", "Privacy budget \u03b5",
              "How much one record can change what is learnt; lower is more private.", "privacy", log=True),
        _info("delta", "Failure probability \u03b4", "Probability with which \u03b5 may not hold.", "privacy", log=True,
              high=1.0, unit="probability"),
        _info("noise_multiplier", "Noise multiplier \u03c3",
              "Standard deviation of the noise, as a multiple of what one record can add.", "privacy", better=None),
        *_accounts(),
        _info("wall_seconds", "Training time", "Wall-clock time of the training alone.", "cost", unit="s", log=True),
        _info("steps", "Steps", "Updates of the weights.", "cost", better=None, unit="steps"),
    )  # fmt: skip

    def measure(self, predictions: Predictions, groups: Groups) -> Iterator[Figure]:
        """Figures of the whole run, on the test split alone."""
        run = predictions.run
        if run is None or predictions.split != "test":
            return
        for metric in self.metrics:
            yield Figure(metric.name, (ALL,), np.asarray(getattr(run, metric.name), np.float64)[..., None])


PLUGIN = Cost()
