"""A document as Markdown that any renderer reads alike. Figures are left out; their tables are not.

Texts are escaped so that they read as they were written: no markup, no HTML, no link comes out of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from backend.contracts.public import TableColumn
from backend.figures.parts import number
from backend.reports.document import Blank, Block, Cell, Code, Document, Drawing, Facts, Listing, Table, Text

MEDIA_TYPE = "text/markdown; charset=utf-8"

#: What could begin markup anywhere in a line.
_ACTIVE = re.compile(r"[\\`*_{}\[\]<>|~#$]")


def plain(text: str) -> str:
    """A text on one line in which nothing is markup, an address nothing that is turned into a link.

    >>> plain("<b>1 * 2</b> & [x](http://y)")
    '\\\\<b\\\\>1 \\\\* 2\\\\</b\\\\> &amp; \\\\[x\\\\](http&#58;//y)'
    >>> plain("- item"), plain("1. item")
    ('\\\\- item', '1&#46; item')
    """
    text = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    text = _ACTIVE.sub(lambda m: "\\" + m[0], text.replace("&", "&amp;"))
    # A renderer of GitHub's kind makes links of bare addresses.
    text = re.sub(r"(?i)(://|mailto:|xmpp:|www\.)", lambda m: m[0].replace(":", "&#58;").replace(".", "&#46;"), text)
    text = text.replace("@", "&#64;")
    if re.match(r"\d+[.)](\s|$)", text):
        text = re.sub(r"[.)]", lambda m: f"&#{ord(m[0])};", text, count=1)
    return re.sub(r"^[+\-=]", lambda m: "\\" + m[0], text)


def write(document: Document) -> Iterator[str]:
    """The file in portions."""
    yield f"# {plain(document.title)}\n\n{plain(document.kind)}\n\n"
    for block in document.lead:
        yield _block(block)
    for section in document.sections:
        yield f"{'#' * section.level} {plain(section.title)}\n\n"
        for block in section.blocks:
            yield _block(block)
    yield f"---\n\nMade {document.moment:%Y-%m-%d %H:%M} UTC by Equipoise {plain(document.release)}.\n"


def _block(block: Block) -> str:
    match block:
        case Text(text, "alarm"):
            return f"**Alarm.** {plain(text)}\n\n"
        case Text(text, _):
            return f"{plain(text)}\n\n"
        case Listing(items):
            return "".join(f"- {plain(item)}\n" for item in items) + "\n"
        case Facts(pairs):
            return "".join(f"- **{plain(a)}:** {plain(b)}\n" for a, b in pairs) + "\n"
        case Table(title, columns, rows):
            note = f"{plain(block.left_out)}\n\n" if block.left_out else ""
            return f"**{plain(title)}**\n\n{_table(columns, rows)}\n{note}"
        case Drawing(light):
            return f"**{plain(light.title)}**\n\n{plain(light.caption)}\n\n{_table(light.columns, light.rows)}\n"
        case Code(title, text):
            # A fence longer than any in the text cannot be ended by it.
            fence = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", text)), default=0))
            return f"**{plain(title)}**\n\n{fence}\n{text.rstrip()}\n{fence}\n\n"
        case Blank(what):
            return f"> **To be filled in:** {plain(what)}\n\n"
    raise TypeError(block)


def _table(columns: Sequence[TableColumn], rows: Sequence[Sequence[Cell]]) -> str:
    heads = [plain(f"{c.title} ({c.unit})" if c.unit else c.title) or " " for c in columns]
    lines = [heads, ["---:" if c.numeric else ":---" for c in columns]]
    lines += [[_cell(cell) for cell in row] for row in rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _cell(cell: Cell) -> str:
    if isinstance(cell, int | float) and not isinstance(cell, bool):
        return number(cell)
    return "–" if cell is None else plain(str(cell))
