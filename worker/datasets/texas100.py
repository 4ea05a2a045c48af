"""Texas100: which of a hundred procedures was a patient in hospital for?"""

from __future__ import annotations

import hashlib
from pathlib import Path

from backend.errors import DataDamaged
from worker.datasets._bits import Layout, classes_from, counted, read
from worker.datasets._files import Source, find, folder_of, stamp
from worker.datasets._labelled import Bytes, Labelled, LabelledParams
from worker.datasets._table import Domain, Integers

BITS, CLASSES = 6_169, 100
FEATURES, LABELS = "feats", "labels"


class Texas100(Labelled[LabelledParams]):
    """Discharges from hospitals in Texas, the 100 most frequent procedures; a benchmark of attacks.

    Features say why and where somebody was treated, and some tell of the person; which is which the file does not
    say, so the class is the only attribute.
    """

    name = "texas100"
    title = "Texas100"
    summary = "67,330 hospital stays in Texas as 6,169 bits: for which of the 100 most frequent procedures?"
    citation = "Shokri, Stronati, Song and Shmatikov 2017, Membership inference attacks against machine learning models"
    Params = LabelledParams
    domain = Domain(bounds=(0.0, 1.0))
    rows = 67_330
    target = "main procedure"
    licence = "terms of the Texas Department of State Health Services; not redistributed"
    origin = "https://github.com/privacytrustlab/datasets"

    def classes(self, params: LabelledParams) -> tuple[str, ...]:
        """Numbered from 1, as they are published."""
        return tuple(str(number + 1) for number in range(CLASSES))

    def source(self, params: LabelledParams) -> Source:
        """Lines counted and hashed once, as long as the files are the same."""
        fix = _fix()
        features, labels = (counted(stamp([path], fix), path, fix) for path in _paths())
        if features.rows != labels.rows:
            path = _paths()[1]
            raise DataDamaged(
                f"{path} has {labels.rows:,} rows; expected {features.rows:,}, one of each stay.", fix=fix
            )
        return Source(features.rows, hashlib.sha256((features.digest + labels.digest).encode()).hexdigest())

    def read(self, params: LabelledParams) -> tuple[Bytes, Integers]:
        """In the order of the files."""
        rows, fix = self.source(params).rows, _fix()
        features, labels = _paths()
        bits, _, _ = read(Layout(features, BITS, False, fix), rows)
        layout = Layout(labels, 0, True, fix)
        _, numbers, lines = read(layout, rows)
        return bits, classes_from(numbers, lines, CLASSES, layout)


def _paths() -> list[Path]:
    own = folder_of("texas100")
    return find([own, own / "100", own / "texas" / "100"], [FEATURES, LABELS], _fix())


def _fix() -> str:
    return (
        f"Put {FEATURES} (CSV without a header: {BITS} columns of 0 or 1) and {LABELS} (a class from 1 to {CLASSES} on "
        f"each line), with .gz or without, from https://github.com/privacytrustlab/datasets into "
        f"{folder_of('texas100')}, or the archive's folder texas/100 as it is; then start the worker again."
    )


PLUGIN = Texas100()
