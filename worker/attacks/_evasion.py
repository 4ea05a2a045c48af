"""What attacks on predictions share: the rows that are moved, their parameters, and the figures."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import numpy as np
import torch

from backend.contracts.catalogue import MetricInfo
from worker.datasets._table import Domain
from worker.metrics._figures import Figure
from worker.metrics._groups import Groups
from worker.metrics._intervals import normal, share, wilson
from worker.plugins import Params, Probe, param
from worker.training.adversary import Ball
from worker.training.streams import Purpose, Streams, words

if TYPE_CHECKING:
    from worker.evaluate import Prepared
    from worker.training.engine import Trained


class EvasionParams(Params):
    """How far rows may be moved, and how many are."""

    norm: Literal["linf", "l2"] = param(
        "linf", "Norm", "linf: every feature moves by at most the perturbation. l2: their distance does."
    )
    perturbation: float = param(
        0.1,
        "Perturbation",
        "How far a row may be moved, in the units of the features (pixels from 0 to 1, say).",
        unit="feature units",
        gt=0,
        le=1e6,
        refers_to="bounds",
    )
    rows: int = param(
        1000,
        "Rows",
        "At most so many rows of the test part, drawn at random, the same for all runs of a seed.",
        unit="rows",
        ge=1,
        le=1_000_000,
        advanced=True,
    )

    def ball(self, case: Case) -> Ball:
        """Where each row may be moved to."""
        return Ball(self.norm, self.perturbation, case.domain.bounds)


E = TypeVar("E", bound=EvasionParams)


@dataclass(frozen=True)
class Case:
    """Rows of the test part and the model that predicts them: `features` `[rows, inputs]`, `target` `[rows]`.

    The model is in evaluation mode; nothing of it asks for a gradient.
    """

    model: torch.nn.Module
    features: torch.Tensor
    target: torch.Tensor
    domain: Domain

    def right(self, features: torch.Tensor) -> torch.Tensor:
        """`[rows]` whether each is predicted rightly there."""
        with torch.no_grad():
            answer: torch.Tensor = self.model(features).argmax(dim=1) == self.target
        return answer

    def at(self, rows: torch.Tensor) -> Case:
        """Some of the rows."""
        return Case(self.model, self.features[rows], self.target[rows], self.domain)


def metrics_of_evasion(name: str, title: str) -> tuple[MetricInfo, ...]:
    """The two figures of an attack on predictions."""
    what = title.lower() if not title[:2].isupper() else title
    common: dict[str, Any] = {"family": name, "unit": "share of rows", "high": 1.0, "kind": "robustness"}
    return (
        MetricInfo(
            name=f"{name}_robust_accuracy",
            title=f"Robust accuracy, {what}",
            explanation="Share of rows that are predicted rightly even after the attack has moved them.",
            higher_is_better=True,
            low=0.0,
            **common,
        ),
        MetricInfo(
            name=f"{name}_robust_gap",
            title=f"Accuracy lost, {what}",
            explanation="Accuracy on the same rows before the attack, less the robust accuracy.",
            higher_is_better=False,
            low=0.0,
            **common,
        ),
    )


class Evasion(Probe[E]):
    """An attack on predictions: moves rows of the test part, within a bound, so that the trained model errs.

    Its figures, robust accuracy and what is lost to it, are the same for all of them; it says which rows are still
    predicted rightly. It has no figures for regression.
    """

    def probe(self, prepared: Prepared, trained: Trained, params: E) -> Iterator[Figure]:
        """Robust accuracy with Wilson's interval, and the accuracy lost with a normal one, overall and per subgroup."""
        data, work = prepared.data, prepared.work
        if data.task == "regression":
            return
        rows = data.test.at(chosen(work.streams, len(data.test), params.rows))
        model = trained.module()
        for parameter in model.parameters():
            parameter.requires_grad_(False)
        case = Case(model, torch.from_numpy(rows.features), torch.from_numpy(rows.target), data.domain)
        with torch.random.fork_rng(devices=[]):
            low, high = words(work.streams.own, Purpose.EVASION, 0, 2)
            torch.manual_seed(int(low) | int(high) << 32 & (2**63 - 1))
            before = case.right(case.features)
            after = self.withstood(case, params) & before
        groups = Groups.of(data.attributes, prepared.config.setting.subgroups, rows.rows)
        n, kept = groups.sizes, groups.sums(after.numpy().astype(np.float64))
        yield Figure(f"{self.name}_robust_accuracy", groups.names, share(kept, n), n, *wilson(kept, n))
        mean, variance = groups.moments((before & ~after).numpy().astype(np.float64))
        interval = normal(mean, share(variance, n), 0.0, 1.0)
        yield Figure(f"{self.name}_robust_gap", groups.names, mean, n, *interval)

    @abstractmethod
    def withstood(self, case: Case, params: E) -> torch.Tensor:
        """`[rows]` whether each row of the case is predicted rightly whatever the attack does to it.

        Torch's generator is seeded from the run before; the same run has the same figures again.
        """


def chosen(streams: Streams, rows: int, most: int) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Places of at most `most` of the test rows, ascending; they follow from the seed alone."""
    if rows <= most:
        return np.arange(rows)
    drawn = words(streams.shared, Purpose.EVASION, 1, 2 * rows)
    return np.sort(np.lexsort((drawn[1::2], drawn[0::2]))[:most])
