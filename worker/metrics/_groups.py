"""Subgroups of some rows, and sums over all of them at once."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import Any

import numpy as np

from backend.contracts.results import ALL
from backend.contracts.spec import INTERSECTION
from worker.datasets._table import Integers, SensitiveAttribute

Array = np.ndarray[Any, Any]
Floats = np.ndarray[Any, np.dtype[np.float64]]
Flags = np.ndarray[Any, np.dtype[np.bool_]]


@dataclass(frozen=True)
class Groups:
    """Subgroups of some rows: `masks[g, row]`, the first being all rows.

    `families` names, for each attribute or intersection ("sex", "sex & race"), the masks of its subgroups, which are
    disjoint.

    Sums are taken over cells, the rows that are in exactly the same subgroups, and then united: each row is read once
    however many subgroups there are. Rows are added in their order, so that a run's sums do not depend on which other
    runs are in the array.
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
    def sizes(self) -> Integers:
        """`[groups]` rows of each subgroup."""
        return np.asarray(self.masks.sum(axis=1))

    @cached_property
    def codes(self) -> np.ndarray[Any, np.dtype[np.int32]]:
        """`[rows, partitions]`: the subgroup that a row is in, one column per family and per mask of none; else -1."""
        inside = {g for members in self.families.values() for g in members}
        partitions = [(g,) for g in range(len(self.names)) if g not in inside] + list(self.families.values())
        codes = np.full((self.masks.shape[1], len(partitions)), -1, np.int32)
        for column, members in enumerate(partitions):
            for g in members:
                codes[self.masks[g], column] = g
        return codes

    @cached_property
    def _cells(self) -> tuple[Integers, Integers, Floats]:
        """The cell of each row, how many rows each has, and which subgroups hold it, `[cells, groups]` of 0 and 1."""
        cell = np.zeros(self.masks.shape[1], np.int64)
        for column in self.codes.T:
            _, cell = np.unique(cell * (len(self.names) + 1) + column + 1, return_inverse=True)
        cell = cell.reshape(-1).astype(np.int64)
        _, first = np.unique(cell, return_index=True)
        return cell, np.bincount(cell, minlength=len(first)), self.masks[:, first].T.astype(np.float64)

    def _tally(self, where: Integers, size: int, weights: Array | None = None) -> Array:
        """`[..., size]` how often each of 0 .. size - 1 occurs in `where[..., rows]`, or its sum of `weights`."""
        shape = where.shape if weights is None else np.broadcast_shapes(where.shape, weights.shape)
        runs = math.prod(shape[:-1])
        offset = size * np.arange(runs).reshape(*shape[:-1], 1)
        flat = None if weights is None else np.broadcast_to(weights, shape).reshape(-1)
        return np.bincount((where + offset).reshape(-1), flat, minlength=runs * size).reshape(*shape[:-1], size)

    def _unite(self, cells: Array) -> Floats:
        """`[..., cells, k]` to `[..., groups, k]`. Not `@`, whose rounding depends on the number of runs."""
        members = self._cells[2]
        return np.asarray((cells[..., :, None, :] * members[:, :, None]).sum(axis=-3))

    def sums(self, values: Array) -> Floats:
        """`[..., groups]` sums over each subgroup of `values[..., rows]`."""
        cell, sizes, _ = self._cells
        return self._unite(self._tally(cell, len(sizes), values)[..., None])[..., 0]

    def counts(self, codes: Array, size: int, weights: Array | None = None) -> Floats:
        """`[..., groups, size]`: rows of each subgroup whose code (0 .. size - 1) in `codes[..., rows]` is that one.

        With `weights[..., rows]`, the sum of their weights instead.
        """
        cell, sizes, _ = self._cells
        tally = self._tally(cell * size + codes, len(sizes) * size, weights)
        return self._unite(tally.reshape(*tally.shape[:-1], len(sizes), size))

    def moments(self, values: Array) -> tuple[Floats, Floats]:
        """`[..., groups]` means and variances (of a sample: n - 1) of `values[..., rows]`; NaN where not defined.

        Two passes within cells, which are then united by the formula of Chan, Golub and LeVeque 1983.
        """
        cell, sizes, members = self._cells
        total = self._tally(cell, len(sizes), values)
        mean = total / sizes
        squares = self._tally(cell, len(sizes), (values - np.take(mean, cell, axis=-1)) ** 2)
        n = self.sizes
        with np.errstate(divide="ignore", invalid="ignore"):
            whole = self._unite(total[..., None])[..., 0] / n
            between = sizes[:, None] * (mean[..., :, None] - whole[..., None, :]) ** 2
            spread = (np.where(members > 0, squares[..., :, None] + between, 0.0)).sum(axis=-2)
            variance = np.where(n > 1, spread / (n - 1), np.nan)
        return np.where(n > 0, whole, np.nan), variance
