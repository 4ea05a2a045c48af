"""What a report or a model card says, before it is HTML or Markdown: blocks of plain text, tables and figures.

Texts in blocks are plain: whatever stands in them, a name somebody gave to a study included, is text and never markup.
The two writers (`html`, `markdown`) escape, and nobody else does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from backend.contracts.public import Figure, TableColumn

Cell = str | float | int | None


@dataclass(frozen=True)
class Text:
    """A paragraph. An alarm is set off and says so to whoever cannot see it."""

    text: str
    kind: Literal["plain", "note", "alarm"] = "plain"


@dataclass(frozen=True)
class Listing:
    """Sentences, one per line."""

    items: Sequence[str]


@dataclass(frozen=True)
class Facts:
    """Names and what they are."""

    pairs: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Table:
    """Columns and rows; numbers keep all their digits in the file. `left_out` says which rows are not in it."""

    title: str
    columns: Sequence[TableColumn]
    rows: Sequence[Sequence[Cell]]
    folded: bool = False
    left_out: str = ""


@dataclass(frozen=True)
class Drawing:
    """A figure in light colours, and the same figure in dark ones; and both for a narrow page, if there are such."""

    light: Figure
    dark: Figure
    narrow: Figure | None = None
    narrow_dark: Figure | None = None


@dataclass(frozen=True)
class Code:
    """A text to copy, as it is."""

    title: str
    text: str


@dataclass(frozen=True)
class Blank:
    """Something that is not known here and that a person has to fill in."""

    what: str


Block = Text | Listing | Facts | Table | Drawing | Code | Blank


@dataclass(frozen=True)
class Section:
    """A heading with what stands below it; `level` 3 is a part of the section before."""

    title: str
    blocks: Sequence[Block]
    level: Literal[2, 3] = 2


@dataclass(frozen=True)
class Document:
    """The whole."""

    title: str
    kind: str
    lead: Sequence[Block]
    sections: Sequence[Section]
    moment: datetime
    release: str
    facts: Sequence[tuple[str, str]] = field(default_factory=tuple)


def columns(*titles: str, words: int = 1) -> list[TableColumn]:
    """Table columns of which the first `words` hold texts and the others numbers; "Time (s)" has the unit s."""
    found = []
    for place, title in enumerate(titles):
        name, _, unit = title.partition(" (")
        found.append(TableColumn(title=name, unit=unit.rstrip(")"), numeric=place >= words))
    return found


def first(rows: Sequence[Sequence[Cell]], most: int, where: str) -> tuple[list[Sequence[Cell]], str]:
    """The first `most` rows, and a sentence that says where the others are, empty where there are none."""
    if len(rows) <= most:
        return list(rows), ""
    return list(rows[:most]), f"The first {most:,} of {len(rows):,} rows. {where}"
