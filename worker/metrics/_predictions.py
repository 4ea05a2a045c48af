"""What a metric sees: a model's outputs on one split, and the subgroups of its rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import Any

import numpy as np
from scipy import special

from backend.contracts.results import ALL, Split
from backend.contracts.spec import INTERSECTION
from worker.datasets._table import Integers, SensitiveAttribute, Task
from worker.training.losses import per_record_numpy

Floats = np.ndarray[Any, np.dtype[np.float64]]
Flags = np.ndarray[Any, np.dtype[np.bool_]]


@dataclass(frozen=True)
class RunFigures:
    """What a run spent."""

    wall_seconds: float
    steps: int
    epsilon: float | None = None
    delta: float | None = None
    noise_multiplier: float | None = None


@dataclass(frozen=True)
class Predictions:
    """Outputs of one model on one split: `logits` is `[rows, outputs]`, `target` `[rows]`."""

    logits: np.ndarray[Any, Any]
    target: np.ndarray[Any, Any]
    task: Task
    split: Split = "test"
    run: RunFigures | None = None

    @cached_property
    def probabilities(self) -> Floats:
        """`[rows, classes]`."""
        return np.asarray(special.softmax(self.logits.astype(np.float64), axis=1))

    @cached_property
    def margin(self) -> Floats:
        """`[rows]` log-odds of class 1, for binary tasks: orders rows as its probability does, without rounding."""
        exact = self.logits.astype(np.float64)
        return np.asarray(exact[:, 1] - exact[:, 0])

    @cached_property
    def predicted(self) -> Integers:
        """`[rows]` most probable class; class 0 where two are equal."""
        return np.asarray(self.logits.argmax(axis=1))

    @cached_property
    def losses(self) -> Floats:
        """`[rows]` cross-entropy in nats, or squared error."""
        return per_record_numpy(self.logits, self.target, self.task)

    @cached_property
    def correct(self) -> Flags:
        """`[rows]` whether the predicted class is the right one."""
        return np.asarray(self.predicted == self.target)


@dataclass(frozen=True)
class Groups:
    """Subgroups of some rows: `masks[g, row]`, the first being all rows.

    `families` names, for each attribute or intersection ("sex", "sex & race"), the masks of its subgroups.
    """

    names: tuple[str, ...]
    masks: Flags
    families: Mapping[str, tuple[int, ...]]

    @classmethod
    def of(
        cls, attributes: Mapping[str, SensitiveAttribute], choices: Sequence[Sequence[str]], rows: Integers
    ) -> Groups:
        """Everybody, and for each choice (a list of attributes) the combinations of values that the table has.

        A subgroup that occurs in the table but not among `rows` is kept with no rows: its figures are None, not gone.

        >>> sex = SensitiveAttribute("Sex", np.array([0, 1, 1]), ("Female", "Male"))
        >>> Groups.of({"sex": sex}, [["sex"]], np.array([0, 1])).names
        ('all', 'sex=Female', 'sex=Male')
        """
        names = [ALL]
        masks = [np.ones(len(rows), bool)]
        families: dict[str, tuple[int, ...]] = {}
        for choice in choices:
            members = []
            for values in product(*(range(len(attributes[name].labels)) for name in choice)):
                whole = np.all([attributes[n].codes == v for n, v in zip(choice, values, strict=True)], axis=0)
                if whole.any():
                    members.append(len(names))
                    names.append(
                        INTERSECTION.join(f"{n}={attributes[n].labels[v]}" for n, v in zip(choice, values, strict=True))
                    )
                    masks.append(whole[rows])
            families[INTERSECTION.join(choice)] = tuple(members)
        return cls(tuple(names), np.stack(masks), families)

    @cached_property
    def weights(self) -> Floats:
        """Masks as numbers, so that sums over all subgroups are one matrix product."""
        return self.masks.astype(np.float64)

    def sums(self, *columns: np.ndarray[Any, Any]) -> Floats:
        """`[groups, columns]` sums of `[rows]` columns over each subgroup."""
        return np.asarray(self.weights @ np.stack([c.astype(np.float64) for c in columns], axis=1))
