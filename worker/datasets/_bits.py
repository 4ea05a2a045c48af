"""Tables of bits with a class, as the literature on membership inference passes them on: CSV without a header.

Files of several hundred megabytes are read block by block. Lines whose cells are all single characters are taken
apart together; any other is read cell by cell, and says by line and column what is wrong with it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from backend.errors import DataDamaged
from worker.datasets._files import Source, reading

Bytes = np.ndarray[Any, np.dtype[np.uint8]]
Integers = np.ndarray[Any, np.dtype[np.int64]]
BLOCK = 1 << 24
COMMA, ZERO, NEWLINE, RETURN = (ord(c) for c in ",0\n\r")
LARGEST_CLASS = 1_000_000
BITS = {"0": 0, "1": 1, "0.0": 0, "1.0": 1, "0.": 0, "1.": 1}


@dataclass(frozen=True)
class Layout:
    """What each line of a file has: a class number, `bits` cells of 0 or 1, or the one before the other."""

    path: Path
    bits: int
    label: bool
    fix: str

    @property
    def expected(self) -> str:
        """In words."""
        cells = f"{self.bits} bits" if self.bits else ""
        return ", then ".join(filter(None, ["the class" if self.label else "", cells]))


@lru_cache(maxsize=8)
def counted(stamp: object, path: Path, fix: str) -> Source:
    """Lines that are not empty, and the SHA-256 of the file; once, as long as its stamp is the same."""
    digest, lines, first = hashlib.sha256(), 0, True
    with reading(path, fix) as file:
        for block in _blocks(file, digest):
            content = np.frombuffer(block, np.uint8)
            starts, ends, _ = _lines(content)
            lines += len(starts)
            if first and len(starts):
                lines -= _is_header(block[starts[0] : ends[0]])
                first = False
    if not lines:
        raise DataDamaged(f"{path} has no rows.", fix=fix)
    return Source(lines, digest.hexdigest())


def read(layout: Layout, rows: int) -> tuple[Bytes, Integers, Integers]:
    """Bits `[rows, bits]`, the classes' numbers as they are written and the lines of the file that each row is from.

    Raises `DataDamaged`, which names line and column.
    """
    bits = np.empty((rows, layout.bits), np.uint8)
    labels, lines = np.zeros(rows, np.int64), np.zeros(rows, np.int64)
    row, line = 0, 0
    with reading(layout.path, layout.fix) as file:
        for block in _blocks(file):
            content = np.frombuffer(block, np.uint8)
            found = _lines(content)
            if not row and len(found[0]) and _is_header(block[found[0][0] : found[1][0]]):
                found = (found[0][1:], found[1][1:], found[2][1:])
            stop = row + len(found[0])
            if stop > rows:
                raise _changed(layout)
            lines[row:stop] = line + found[2]
            _parse(layout, block, content, found[:2], lines[row:stop], bits[row:stop], labels[row:stop])
            row, line = stop, line + block.count(b"\n")
    if row != rows:
        raise _changed(layout)
    return bits, labels, lines


def classes_from(labels: Integers, lines: Integers, classes: int, layout: Layout) -> Integers:
    """From 0, where the file counts from 0 or from 1. Raises `DataDamaged`, which names the line."""
    first = 0 if (labels == 0).any() else 1
    wrong = np.flatnonzero((labels < first) | (labels >= first + classes))
    if len(wrong):
        expected = f"expected a class from {first} to {first + classes - 1}, got {labels[wrong[0]]}"
        raise _wrong(layout, lines[wrong[0]], 1, expected)
    return labels - first


def _blocks(file: BinaryIO, digest: Any = None) -> Iterator[bytes]:
    """The file in parts that end with a line."""
    rest = b""
    while part := file.read(BLOCK):
        if digest is not None:
            digest.update(part)
        whole, newline, tail = part.rpartition(b"\n")
        if newline:
            yield rest + whole + newline
            rest = tail
        else:
            rest += part
    if rest:
        yield rest + b"\n"


def _lines(content: Bytes) -> tuple[Integers, Integers, Integers]:
    """Where lines begin and end that are not empty, without what ends them; and which they are, counted from 1."""
    newlines = np.flatnonzero(content == NEWLINE)
    starts = np.concatenate([[0], newlines[:-1] + 1]).astype(np.int64)
    ends = newlines - ((newlines > starts) & (content[newlines - 1] == RETURN))
    there = ends > starts
    return starts[there], ends[there], np.flatnonzero(there) + 1


def _is_header(line: bytes) -> bool:
    """Whether no cell of a line is a number."""
    return not any(_is_number(cell) for cell in line.decode("utf-8", "replace").split(","))


def _is_number(cell: str) -> bool:
    try:
        float(cell.strip().strip('"'))
    except ValueError:
        return False
    return True


def _parse(
    layout: Layout,
    block: bytes,
    content: Bytes,
    found: tuple[Integers, Integers],
    numbers: Integers,
    bits: Bytes,
    labels: Integers,
) -> None:
    """Fills the rows `bits` and `labels` from the lines that were `found` in a block."""
    starts, ends = found
    # Each bit with the comma before it; the first of a line without a class has none.
    width = 2 * layout.bits if layout.label else 2 * layout.bits - 1
    plain = (ends - starts >= width + 1) & (ends - starts <= width + 4) if layout.label else ends - starts == width
    if layout.bits and plain.any():
        places = np.flatnonzero(plain)
        cells = np.lib.stride_tricks.sliding_window_view(content, width)[ends[places] - width]
        values = cells[:, 1::2] if layout.label else cells[:, ::2]
        commas = cells[:, ::2] if layout.label else cells[:, 1::2]
        values = values - np.uint8(ZERO)
        good = (values <= 1).all(axis=1) & (commas == COMMA).all(axis=1)
        plain[places[~good]] = False
        bits[places[good]] = values[good]
    else:
        plain = np.zeros(len(starts), bool)
    for place in range(len(starts)) if layout.label else np.flatnonzero(~plain):
        line = block[starts[place] : ends[place]].decode("utf-8", "replace")
        # A comma more is a column too many.
        if plain[place] and "," not in line[:-width]:
            labels[place] = _class(line[:-width], layout, numbers[place])
        else:
            labels[place] = _slowly(line, layout, numbers[place], bits[place])


def _slowly(line: str, layout: Layout, number: int, bits: Bytes) -> int:
    """One line, cell by cell."""
    cells = [cell.strip().strip('"') for cell in line.split(",")]
    wanted = layout.bits + layout.label
    if len(cells) != wanted:
        columns = f"{len(cells)} column{'s' if len(cells) > 1 else ''}"
        raise _wrong(layout, number, None, f"expected {wanted} ({layout.expected}), got {columns}")
    for column, cell in enumerate(cells[layout.label :], start=1 + layout.label):
        if cell not in BITS:
            raise _wrong(layout, number, column, f"expected 0 or 1, got {cell[:40]!r}")
        bits[column - 1 - layout.label] = BITS[cell]
    return _class(cells[0], layout, number) if layout.label else 0


def _class(text: str, layout: Layout, number: int) -> int:
    try:
        value = float(text.strip().strip('"'))
        if value != int(value) or abs(value) > LARGEST_CLASS:
            raise ValueError
    except (ValueError, OverflowError):
        raise _wrong(layout, number, 1, f"expected the number of a class, got {text[:40]!r}") from None
    return int(value)


def _wrong(layout: Layout, line: int, column: int | None, what: str) -> DataDamaged:
    where = f"{layout.path}, line {line}" + (f", column {column}" if column else "")
    return DataDamaged(f"{where}: {what}.", fix=layout.fix)


def _changed(layout: Layout) -> DataDamaged:
    return DataDamaged(f"{layout.path} changed while it was read.", fix="Try again once it is whole.")
