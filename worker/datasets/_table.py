"""A table of rows with features, a target and sensitive attributes; its split and its encoding."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np

from worker.training.streams import Purpose, shared_key, words

Floats = np.ndarray[Any, np.dtype[np.float32]]
Integers = np.ndarray[Any, np.dtype[np.int64]]
Codes = np.ndarray[Any, np.dtype[np.int32]]
Task = Literal["binary", "multiclass", "regression"]

#: Of five consecutive rows of a stratum in random order, which split each goes to: 60 / 20 / 20.
PATTERN = np.array([0, 1, 0, 2, 0])


@dataclass(frozen=True)
class SensitiveAttribute:
    """Who a row is about: `labels[codes[row]]`."""

    title: str
    codes: Integers
    labels: tuple[str, ...]


@dataclass(frozen=True)
class Domain:
    """What a dataset's features are, all of them alike; nothing is known of a table of mixed columns."""

    #: Least and greatest value that a feature can have. Such features are used as they are, in these units; others are
    #: standardised with the training rows.
    bounds: tuple[float, float] | None = None
    #: Channels, height and width where each row is an image, its values in that order.
    image: tuple[int, int, int] | None = None


#: Of a table.
TABULAR = Domain()


@dataclass(frozen=True)
class Split:
    """Row numbers of the three parts, each ascending."""

    train: Integers
    validation: Integers
    test: Integers


@dataclass(frozen=True)
class Encoded:
    """Features as numbers, `[rows, inputs]`: standardised numeric columns first, then one column per category.

    `dense` holds all of it; `numeric` and `active` hold the same sparsely: `active[row]` lists the columns that are 1.
    """

    numeric: Floats
    active: Codes
    inputs: int
    names: tuple[str, ...]

    @cached_property
    def dense(self) -> Floats:
        """`[rows, inputs]` float32."""
        return dense(self.numeric, self.active, self.inputs)


def dense(numeric: Floats, active: Codes, inputs: int) -> Floats:
    """`[rows, inputs]` float32 of `Encoded`'s sparse form; `numeric` itself where there is nothing else."""
    if numeric.shape[1] == inputs:
        return numeric
    out = np.zeros((len(numeric), inputs), np.float32)
    out[:, : numeric.shape[1]] = numeric
    if active.shape[1]:
        np.put_along_axis(out, active.astype(np.int64), np.float32(1), axis=1)
    return out


@dataclass(frozen=True)
class Table:
    """The whole of a dataset in memory, before any split.

    `numeric` is `[rows, k]` float32 in its own units; `categorical` is `[rows, m]` codes into `categories[column]`.
    `target` is `[rows]` class numbers, or float32 values for regression. `strata` numbers the cells (target x
    subgroup attributes) that every split keeps in proportion; it belongs to the dataset and not to a job, so that a
    job that reports by other subgroups still trains on the same rows.
    """

    name: str
    task: Task
    target: np.ndarray[Any, Any]
    classes: tuple[str, ...]
    numeric: Floats
    numeric_names: tuple[str, ...]
    categorical: Codes
    categorical_names: tuple[str, ...]
    categories: tuple[tuple[str, ...], ...]
    attributes: Mapping[str, SensitiveAttribute]
    strata: Integers
    data_hash: str = ""
    domain: Domain = TABULAR

    @property
    def rows(self) -> int:
        """Number of rows."""
        return len(self.target)

    @property
    def outputs(self) -> int:
        """Outputs that a model needs: one per class, one for regression."""
        return 1 if self.task == "regression" else len(self.classes)

    def split(self, seed: int) -> Split:
        """60 / 20 / 20 into train, validation and test; depends on the seed and the strata alone.

        Rows are sorted by stratum and at random within it, then dealt out in a fixed pattern of five: every stratum
        is divided in proportion up to rounding, and the sizes of the parts are the same for every seed.
        """
        drawn = words(shared_key(seed), Purpose.SPLIT, 0, 2 * self.rows)
        order = np.lexsort((drawn[1::2], drawn[0::2], self.strata))
        part = np.empty(self.rows, np.int64)
        part[order] = PATTERN[np.arange(self.rows) % len(PATTERN)]
        return Split(*(np.flatnonzero(part == which) for which in range(3)))

    def encode(self, train_rows: Integers) -> Encoded:
        """Standardise numeric columns with the mean and deviation of `train_rows`; one column per category.

        The statistics of the training rows are used as they are: this step is not private. Numbers whose domain is
        bounded stay as they are, so that a perturbation of them has the units of the data.
        """
        numeric = self.numeric if self.domain.bounds is not None else self._standardised(train_rows)
        sizes = [len(values) for values in self.categories]
        first = self.numeric.shape[1] + np.concatenate([[0], np.cumsum(sizes)[:-1]]) if sizes else np.zeros(0)
        active = (self.categorical + first[None, :]).astype(np.int32)
        names = (*self.numeric_names, *(
            f"{column}={value}"
            for column, values in zip(self.categorical_names, self.categories, strict=True)
            for value in values
        ))  # fmt: skip
        return Encoded(numeric, active, self.numeric.shape[1] + sum(sizes), names)

    def _standardised(self, rows: Integers) -> Floats:
        known = self.numeric[rows].astype(np.float64)
        mean = known.mean(axis=0) if len(known) else np.zeros(self.numeric.shape[1])
        deviation = known.std(axis=0) if len(known) else np.ones(self.numeric.shape[1])
        deviation[deviation == 0] = 1.0
        return ((self.numeric - mean) / deviation).astype(np.float32)


def train_rows(rows: int) -> int:
    """How many of `rows` a split gives to training.

    >>> train_rows(45_222)
    27133
    """
    return int((PATTERN[np.arange(rows % len(PATTERN))] == 0).sum()) + 3 * (rows // len(PATTERN))


def limited(rows: int, limit: int | None) -> Integers:
    """Which of `rows` stay: all, or a random sample of `limit` that is the same every time; ascending."""
    if limit is None or limit >= rows:
        return np.arange(rows)
    drawn = words(shared_key(0), Purpose.SUBSET, 0, rows)
    return np.sort(np.argsort(drawn, kind="stable")[:limit])


def strata_of(*codes: Integers) -> Integers:
    """Numbers the combinations of several codes that occur, `[rows]`, in the order of the codes."""
    _, inverse = np.unique(np.stack(codes, axis=1), axis=0, return_inverse=True)
    return np.asarray(inverse, dtype=np.int64).reshape(-1)


def file_hash(path: Path) -> str:
    """SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
