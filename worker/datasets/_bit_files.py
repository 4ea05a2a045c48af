"""Datasets of bits whose files people bring along."""

from __future__ import annotations

from typing import ClassVar

from worker.datasets._bits import Layout, classes_from, counted, read
from worker.datasets._files import Source, find_one, folder_of, stamp
from worker.datasets._labelled import Bytes, Labelled, LabelledParams
from worker.datasets._table import Domain, Integers


class BitFile(Labelled[LabelledParams]):
    """One CSV file: the class, then the bits."""

    Params = LabelledParams
    domain = Domain(bounds=(0.0, 1.0))
    #: Names that the file may have, the first as it is published.
    files: ClassVar[tuple[str, ...]]
    bits: ClassVar[int]
    count: ClassVar[int]

    def classes(self, params: LabelledParams) -> tuple[str, ...]:
        """Numbered from 1, as they are published."""
        return tuple(str(number + 1) for number in range(self.count))

    def source(self, params: LabelledParams) -> Source:
        """Lines counted and hashed once, as long as the file is the same."""
        layout = self._layout()
        return counted(stamp([layout.path], layout.fix), layout.path, layout.fix)

    def read(self, params: LabelledParams) -> tuple[Bytes, Integers]:
        """In the order of the file."""
        layout = self._layout()
        bits, labels, lines = read(layout, self.source(params).rows)
        return bits, classes_from(labels, lines, self.count, layout)

    def _layout(self) -> Layout:
        folder, fix = folder_of(self.name), self._fix()
        return Layout(find_one(folder, self.files, fix), self.bits, True, fix)

    def _fix(self) -> str:
        names = " or ".join(self.files)
        return (
            f"Put {names} (CSV without a header, with .gz or without: the class from 1 to {self.count}, then "
            f"{self.bits} columns of 0 or 1; from {self.origin}) into {folder_of(self.name)}; "
            "then start the worker again."
        )
