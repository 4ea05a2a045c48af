"""Data of one kind of feature and a class for every row, without people: images, and bits.

A dataset of this kind says where its values come from (`source`, `read`); facts, features in their units, the split by
class and the class as attribute are the same for all.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar, TypeVar

import numpy as np

from backend.contracts.catalogue import Attribute, DatasetFacts
from backend.errors import DataMissing
from worker.datasets._fetch import Download
from worker.datasets._files import Source
from worker.datasets._table import Domain, Integers, SensitiveAttribute, Table, limited, train_rows
from worker.plugins import Dataset, Params, param

Bytes = np.ndarray[Any, np.dtype[np.uint8]]


class LabelledParams(Params):
    """How many rows."""

    limit: int | None = param(
        None,
        "Row limit",
        "Use a fixed random sample of this many rows, for quick trials. Empty: all rows.",
        unit="rows",
        ge=100,
        sweepable=True,
        advanced=True,
    )


P = TypeVar("P", bound=LabelledParams)


class Labelled(Dataset[P]):
    """Rows whose features all have the same bounds, and whose subgroups are their classes."""

    domain: ClassVar[Domain]
    #: What the greatest value of `read` stands for: 255 for the bytes of an image, 1 for bits.
    greatest: ClassVar[int] = 1
    inputs: ClassVar[int]
    #: As published, for as long as there are no files to count.
    rows: ClassVar[int]
    #: What the class says of a row, and how it is called as an attribute.
    target: ClassVar[str]
    licence: ClassVar[str]
    origin: ClassVar[str]
    #: Where there is a network, see `worker.fetch`.
    downloads: ClassVar[tuple[Download, ...]] = ()

    @abstractmethod
    def classes(self, params: P) -> tuple[str, ...]:
        """Names of the classes, by number."""

    @abstractmethod
    def source(self, params: P) -> Source:
        """Rows and hash. Raises `DataMissing`."""

    @abstractmethod
    def read(self, params: P) -> tuple[Bytes, Integers]:
        """Values from 0 to `greatest`, `[rows, inputs]`, and class numbers, `[rows]`. Raises `DataMissing`."""

    def facts(self, params: P) -> DatasetFacts:
        """From the files, where they are there."""
        found, because = None, None
        try:
            found = self.source(params)
        except DataMissing as error:
            because = error.sentence()
        rows = self.rows if found is None else found.rows
        rows = rows if params.limit is None else min(rows, params.limit)
        differs = found is not None and found.published is False
        return DatasetFacts(
            available=found is not None,
            unavailable_because=because,
            data_hash=None if found is None else found.digest,
            rows=rows,
            train_rows=train_rows(rows),
            task="multiclass",
            target=self.target,
            attributes=[Attribute(name="class", title="Class", values=list(self.classes(params)))],
            bounds=self.domain.bounds,
            image=self.domain.image,
            licence=self.licence,
            source=f"{self.origin} (the files here are not the published ones)" if differs else self.origin,
        )

    def load(self, params: P) -> Table:
        """Raises `DataMissing`, and `DataDamaged` where the files are not what they should be."""
        digest = self.source(params).digest
        values, labels = self.read(params)
        if params.limit is not None and params.limit < len(labels):
            kept = limited(len(labels), params.limit)
            values, labels = values[kept], labels[kept]
        low, high = self.domain.bounds or (0.0, 1.0)
        numeric = np.multiply(values, np.float32((high - low) / self.greatest), dtype=np.float32)
        if low:
            numeric += np.float32(low)
        classes = self.classes(params)
        return Table(
            name=self.name,
            task="multiclass",
            target=labels,
            classes=classes,
            numeric=numeric,
            numeric_names=tuple(f"x{place}" for place in range(numeric.shape[1])),
            categorical=np.zeros((len(labels), 0), np.int32),
            categorical_names=(),
            categories=(),
            attributes={"class": SensitiveAttribute("Class", labels, classes)},
            strata=labels,
            data_hash=digest,
            domain=self.domain,
        )
