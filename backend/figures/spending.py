"""Epsilon along a training: how three accountants see the budget go."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from backend.contracts.public import Figure, TableColumn
from backend.figures import parts
from backend.figures.parts import Cell, Json
from backend.figures.theme import Look, Theme

#: How accountants are told from each other; none of them is a method.
LOOKS = {
    "rdp": Look("orange", "circle", "solid"),
    "prv": Look("blue", "square", "dash"),
    "pld": Look("green", "triangle-up", "dot"),
}


def spending(
    epochs: Sequence[float],
    steps: Sequence[int],
    found: Mapping[str, Sequence[float]],
    sigma: float,
    theme: Theme,
    *,
    caption: str,
    width: int | None,
) -> Figure:
    """One line per accountant from nothing spent. `found` has one epsilon per place, the last being the training's."""
    narrow = width is not None and width < parts.NARROW
    layout = parts.layout(theme, revision="spending", right=64)
    top = max(max(values) for values in found.values())
    layout["xaxis"] = parts.axis(theme, "Epoch", range=[0, 1.02 * epochs[-1]])
    y_title = "Privacy budget spent, \u03b5, lower is more private"
    layout["yaxis"] = parts.axis(theme, y_title, wrap=parts.upright(narrow), range=[0, 1.06 * top or 1.0])
    shifts = parts.spread([values[-1] for values in found.values()], 0.0, 1.06 * top)
    data: list[Json] = []
    for (name, values), shift in zip(found.items(), shifts, strict=True):
        look, title = LOOKS[name], name.upper()
        shades = theme.hues[look.hue]
        data.append(
            {
                "type": "scatter",
                "mode": "lines+markers",
                "name": title,
                "x": [0.0, *epochs],
                "y": [0.0, *values],
                "hovertext": [
                    parts.hover(title, [f"epoch {epoch:.4g}, step {step:,}", f"\u03b5 = {parts.number(value)}"])
                    for epoch, step, value in zip([0.0, *epochs], [0, *steps], [0.0, *values], strict=True)
                ],
                "hoverinfo": "text",
                "line": {"color": shades.stroke, "width": 2, "dash": look.dash},
                "marker": {"symbol": look.symbol, "size": 6, "color": shades.stroke},
            }
        )
        label = parts.end_label(theme, 1.0, values[-1], title, shades.ink, yshift=shift)
        layout["annotations"].append({**label, "xref": "paper", "xshift": 6})
    columns = [
        TableColumn(title="Epoch"),
        TableColumn(title="Step"),
        *(TableColumn(title=f"\u03b5 by {name.upper()}") for name in found),
    ]
    rows: list[list[Cell]] = [list(row) for row in zip(epochs, steps, *found.values(), strict=True)]
    return parts.figure("spending", _finding(epochs[-1], found, sigma), caption, data, layout, columns, rows)


def _finding(epochs: float, found: Mapping[str, Sequence[float]], sigma: float) -> str:
    """The tightest epsilon at the end, and how far above it the loosest is."""
    last = {name: values[-1] for name, values in found.items()}
    best, worst = min(last, key=lambda name: last[name]), max(last, key=lambda name: last[name])
    length = "1 epoch costs" if epochs == 1 else f"{parts.number(epochs)} epochs cost"
    said = f"With \u03c3 = {parts.number(sigma)}, {length} \u03b5 = {parts.number(last[best])} by {best.upper()}"
    more = 100 * (last[worst] / last[best] - 1) if last[best] > 0 else 0.0
    if more < 0.5:
        return f"{said}; all three accountants agree"
    return f"{said}; {worst.upper()} says {more:.2g} % more"
