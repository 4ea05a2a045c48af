"""A document as one HTML file that needs nothing else: no server, no network, no file beside it.

The drawing library, styles and data are inside. The Content-Security-Policy of the file lets two scripts run, both
named by their hash, and lets nothing be fetched or sent; a script that came in with a name or a comment could not run,
even if escaping had failed.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import html
import json
import re
from collections.abc import Iterator, Sequence
from importlib.resources import files
from typing import Any

from backend.contracts.public import TableColumn
from backend.figures.parts import number
from backend.figures.theme import DARK, LIGHT, Theme
from backend.reports.document import Blank, Block, Cell, Code, Document, Drawing, Facts, Listing, Section, Table, Text

MEDIA_TYPE = "text/html; charset=utf-8"
#: Bytes of one figure's data in a report, and of all figures together. Beyond them the table stands alone.
MOST_FIGURE_BYTES, MOST_FIGURES_BYTES = 2_000_000, 8_000_000
#: Rows that a table beside a figure has in a report.
MOST_FIGURE_ROWS = 500

_EMPTY_STYLE = base64.b64encode(hashlib.sha256(b"").digest()).decode()


def digest(text: str) -> str:
    """The hash by which a Content-Security-Policy names a script or a style.

    >>> digest("")
    "'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='"
    """
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


@functools.cache
def plotly() -> str:
    """The drawing library, as the plotly package brings it."""
    return files("plotly").joinpath("package_data", "plotly.min.js").read_text(encoding="utf-8")


@functools.cache
def unwanted() -> tuple[str, ...]:
    """Ids of style sheets for maps that the library adds unless there is an element of that id already."""
    return tuple(dict.fromkeys(re.findall(r'getElementById\("([0-9a-f]{64})"\)', plotly())))


@functools.cache
def script() -> str:
    """The report's own script."""
    return files("backend.reports").joinpath("report.js").read_text(encoding="utf-8")


@functools.cache
def styles() -> str:
    """Styles with the colours of both themes."""
    own = files("backend.reports").joinpath("report.css").read_text(encoding="utf-8")
    return f":root{{{_tokens(LIGHT)}}}\n:root[data-theme=dark]{{{_tokens(DARK)}}}\n{own}"


def _tokens(theme: Theme) -> str:
    tokens = {
        "page": theme.page, "text": theme.text, "muted": theme.muted, "grid": theme.grid, "line": theme.line,
        "shade": theme.shade, "alarm": theme.alarm, "link": theme.hues["blue"].ink,
    }  # fmt: skip
    return ";".join(f"--{name}:{value}" for name, value in tokens.items())


@functools.cache
def policy(*, figures: bool) -> str:
    """The Content-Security-Policy. Styles of single elements are the drawing library's; it adds one empty sheet."""
    scripts = f"script-src {digest(plotly())} {digest(script())}" if figures else f"script-src {digest(script())}"
    return "; ".join(
        [
            "default-src 'none'",
            scripts,
            "style-src 'unsafe-inline'",
            f"style-src-elem {digest(styles())} 'sha256-{_EMPTY_STYLE}'",
            "style-src-attr 'unsafe-inline'",
            "img-src data: blob:",
            "base-uri 'none'",
            "form-action 'none'",
        ]
    )


def json_inside(value: Any) -> str:
    """JSON that cannot end the element it stands in, nor open another.

    >>> json_inside({"a": "</script><!--"})
    '{"a":"\\\\u003c/script\\\\u003e\\\\u003c!--"}'
    """
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return re.sub("[<>&\u2028\u2029]", lambda found: f"\\u{ord(found.group()):04x}", text)


def changes(light: Any, dark: Any, path: tuple[str | int, ...] = ()) -> Iterator[list[Any]]:
    """[path, value] of everything in which `dark` differs from `light`: for figures of one kind, the colours.

    >>> list(changes({"a": [1, 2], "b": 3}, {"a": [1, 5], "b": 3}))
    [[['a', 1], 5]]
    """
    if isinstance(light, dict) and isinstance(dark, dict) and light.keys() == dark.keys():
        for key in light:
            yield from changes(light[key], dark[key], (*path, key))
    elif isinstance(light, list) and isinstance(dark, list) and len(light) == len(dark):
        for place, (one, other) in enumerate(zip(light, dark, strict=True)):
            yield from changes(one, other, (*path, place))
    elif light != dark:
        yield [list(path), dark]


def write(document: Document) -> Iterator[str]:
    """The file in portions; a figure at a time is turned into text, so that no copy of the whole is held."""
    size = 0
    for portion in _portions(document):
        size += len(portion.encode())
        yield portion
    library = len(plotly().encode()) if _has_figures(document) else 0
    yield _end(document, size, library)


def _has_figures(document: Document) -> bool:
    return any(isinstance(block, Drawing) for section in document.sections for block in section.blocks)


def _portions(document: Document) -> Iterator[str]:
    drawn = _has_figures(document)
    yield (
        '<!doctype html>\n<html lang="en" data-theme="light">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_text(policy(figures=drawn))}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="referrer" content="no-referrer">\n'
        f"<title>{_text(document.title)} · {_text(document.kind)}</title>\n<style>{styles()}</style>\n</head>\n<body>\n"
        '<a class="skip" href="#content">To the content</a>\n'
        f'<header class="bar"><span class="kind">Equipoise · {_text(document.kind)}</span>'
        '<button type="button" id="theme" hidden>Dark colours</button></header>\n'
        f'<main id="content">\n<h1>{_text(document.title)}</h1>\n'
    )
    if drawn:
        yield "<noscript><p>Figures need JavaScript. The tables below them have the same numbers.</p></noscript>\n"
    names = _Names()
    for block in document.lead:
        yield _block(block, names)
    parts = [section for section in document.sections if section.level == 2]
    links = "".join(f'<li><a href="#{_anchor(one.title)}">{_text(one.title)}</a></li>' for one in parts)
    yield f'<nav aria-label="Contents"><ol>{links}</ol></nav>\n'
    for section in document.sections:
        yield from _section(section, names)
    yield "</main>\n"


def _end(document: Document, size: int, library: int) -> str:
    own = f", {_megabytes(library)} of it the library that draws the figures" if library else ""
    scripts = "".join(f'<template id="{one}"></template>\n' for one in unwanted()) if library else ""
    scripts += f"<script>{plotly()}</script>\n" if library else ""
    return (
        f"<footer><p>Made {document.moment:%Y-%m-%d %H:%M} UTC by Equipoise {_text(document.release)}. "
        f"This file of {_megabytes(size + library)}{own} needs no network and sends nothing. "
        f"Figures with more than {_megabytes(MOST_FIGURE_BYTES)} of data, or beyond {_megabytes(MOST_FIGURES_BYTES)} "
        "in all, are left to their tables.</p></footer>\n"
        f"{scripts}<script>{script()}</script>\n</body>\n</html>\n"
    )


def _megabytes(size: int) -> str:
    """
    >>> _megabytes(4_815_814), _megabytes(2_000_000)
    ('4.8 MB', '2 MB')
    """
    return f"{size / 1e6:.1f}".removesuffix(".0") + " MB"


class _Names:
    """Numbers the figures, and counts what their data take."""

    def __init__(self) -> None:
        self.figures = 0
        self.bytes = 0


def _section(section: Section, names: _Names) -> Iterator[str]:
    tag = f"h{section.level}"
    yield f'<{tag} id="{_anchor(section.title)}">{_text(section.title)}</{tag}>\n'
    for block in section.blocks:
        yield _block(block, names)


def _anchor(title: str) -> str:
    """
    >>> _anchor("Ethical considerations & more")
    'ethical-considerations-more'
    """
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-") or "section"


def _text(text: str) -> str:
    return html.escape(text, quote=True)


def _block(block: Block, names: _Names) -> str:
    match block:
        case Text(text, "alarm"):
            return f'<p class="alarm"><strong>Alarm.</strong> {_text(text)}</p>\n'
        case Text(text, kind):
            return f'<p class="{kind}">{_text(text)}</p>\n'
        case Listing(items):
            return "<ul>" + "".join(f"<li>{_text(item)}</li>" for item in items) + "</ul>\n"
        case Facts(pairs):
            return "<dl>" + "".join(f"<dt>{_text(a)}</dt><dd>{_text(b)}</dd>" for a, b in pairs) + "</dl>\n"
        case Table():
            return _titled(block)
        case Drawing():
            return _drawing(block, names)
        case Code(title, text):
            return f'<details><summary>{_text(title)}</summary><pre tabindex="0">{_text(text)}</pre></details>\n'
        case Blank(what):
            return f'<p class="blank"><strong>To be filled in:</strong> {_text(what)}</p>\n'
    raise TypeError(block)


def _titled(block: Table) -> str:
    note = f'<p class="note">{_text(block.left_out)}</p>' if block.left_out else ""
    whole = _table(block.title, block.columns, block.rows) + note
    if block.folded:
        return f"<details><summary>{_text(block.title)} ({len(block.rows):,} rows)</summary>{whole}</details>\n"
    return f'<p class="table-title">{_text(block.title)}</p>{whole}\n'


def _table(label: str, columns: Sequence[TableColumn], rows: Sequence[Sequence[Cell]]) -> str:
    heads = "".join(
        f'<th scope="col"{_number_class(column)}>{_text(column.title)}'
        + (f" <span>{_text(column.unit)}</span>" if column.unit else "")
        + "</th>"
        for column in columns
    )
    body = "".join(
        "<tr>" + "".join(_cell(cell, column) for cell, column in zip(row, columns, strict=True)) + "</tr>"
        for row in rows
    )
    return (
        f'<div class="scroll" role="group" tabindex="0" aria-label="{_text(label)}">'
        f"<table><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _number_class(column: TableColumn) -> str:
    return ' class="number"' if column.numeric else ""


def _cell(cell: Cell, column: TableColumn) -> str:
    """A number is shown with the digits that one reads, and kept with all that it has."""
    if isinstance(cell, int | float) and not isinstance(cell, bool):
        inside = f'<data value="{cell!r}">{_text(number(cell))}</data>'
    else:
        inside = "–" if cell is None else _text(str(cell))
    return f"<td{_number_class(column)}>{inside}</td>"


def _drawing(block: Drawing, names: _Names) -> str:
    figure = block.light
    names.figures += 1
    name = f"figure-{names.figures}"
    rows = figure.rows[:MOST_FIGURE_ROWS]
    left_out = len(figure.rows) - len(rows)
    note = f'<p class="note">{left_out:,} more rows are in the CSV file of the measurements.</p>' if left_out else ""
    table = (
        f"<details><summary>Table of {len(rows):,} values</summary>{_table(figure.title, figure.columns, rows)}{note}"
        "</details>"
        if rows
        else ""
    )
    # Each variant as what differs from another one: colours, and on a narrow page texts and margins.
    stored = {"figure": figure.figure, "dark": list(changes(figure.figure, block.dark.figure))}
    if block.narrow is not None and block.narrow_dark is not None:
        stored["narrow"] = list(changes(figure.figure, block.narrow.figure))
        stored["narrowDark"] = list(changes(block.narrow.figure, block.narrow_dark.figure))
    data = json_inside(stored)
    size = len(data.encode())
    if size > MOST_FIGURE_BYTES or names.bytes + size > MOST_FIGURES_BYTES:
        picture = f'<p class="note">Not drawn here: it takes {_megabytes(size)}. The table has its numbers.</p>'
    else:
        names.bytes += size
        height = figure.figure.get("layout", {}).get("height", 420)
        picture = (
            f'<div class="plot" id="{name}" role="group" aria-labelledby="{name}-title" '
            f'style="min-height:{int(height)}px"></div>'
            f'<script type="application/json" id="{name}-data">{data}</script>'
        )
    return (
        f'<figure><h3 id="{name}-title">{_text(figure.title)}</h3>{picture}'
        f"<figcaption>{_text(figure.caption)}</figcaption>{table}</figure>\n"
    )
