"""What all figures share: the layout, texts without markup, labels at curve ends, figures with nothing in them."""

from __future__ import annotations

import html
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from backend.analysis.labels import value_text
from backend.contracts.catalogue import MetricInfo
from backend.contracts.public import Figure, TableColumn
from backend.figures.theme import Theme

Json = dict[str, Any]
Cell = str | float | int | None

#: Subgroups with fewer rows are drawn hollow.
SMALL_N = 20
#: Figures narrower than this many pixels put long labels on two lines.
NARROW = 520
#: Epsilons that are marked on an axis.
USUAL_EPSILONS = (0.0625, 0.125, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0)
#: Height of a plot that label distances are worked out for, and of a label, in pixels.
PLOT_HEIGHT, LABEL_HEIGHT = 330.0, 17.0
#: Width of a character, in pixels.
CHARACTER = 7.0


def safe(text: str) -> str:
    """Text for Plotly, which would otherwise draw a subset of HTML: names given by people stay text.

    Quotes stay as they are: outside of a tag they mean nothing, and Plotly would draw their entity as it is written.

    >>> safe("<a href='x'>& co")
    "&lt;a href='x'&gt;&amp; co"
    """
    return html.escape(text, quote=False)


def number(value: float | None, digits: int = 3) -> str:
    """A number with sensible digits.

    >>> number(0.81234), number(None), number(27133.0), number(1e-5)
    ('0.812', 'not defined', '27,133', '1e-05')
    """
    if value is None or not math.isfinite(value):
        return "not defined"
    if value == int(value) and 1000 <= abs(value) < 1e12:
        return f"{int(value):,}"
    return f"{value:.{digits}g}"


def interval(value: float | None, low: float | None, high: float | None) -> str:
    """A number and its interval.

    >>> interval(0.8, 0.75, 0.85)
    '0.8 (95 %: 0.75 to 0.85)'
    """
    if low is None or high is None:
        return number(value)
    return f"{number(value)} (95 %: {number(low)} to {number(high)})"


def hover(title: str, lines: Sequence[str]) -> str:
    """A hover text. Everything in it is escaped here and nowhere else."""
    return "<br>".join([f"<b>{safe(title)}</b>", *(wrapped(line, 64) for line in lines if line)])


def parameters(params: Mapping[str, Any]) -> str:
    """The configuration as part of a hover text; what is left at "none" is not mentioned.

    >>> parameters({"method.clip": 1.0, "method.epsilon": 2.0, "training.batch_size": 256, "method.delta": None})
    'clip 1, batch size 256'
    """
    return ", ".join(
        f"{name.partition('.')[2].replace('_', ' ')} {value_text(value)}"
        for name, value in params.items()
        if value is not None and name != "method.epsilon"
    )


def wrapped(text: str, width: int) -> str:
    """Escaped text broken at spaces into lines of about `width` characters."""
    lines: list[str] = []
    for word in text.replace(" = ", "\u00a0=\u00a0").split(" "):
        if lines and len(lines[-1]) + 1 + len(word) <= width:
            lines[-1] += " " + word
        else:
            lines.append(word)
    return "<br>".join(safe(line) for line in lines)


# --- layout -----------------------------------------------------------------------------------------------------------


def layout(theme: Theme, *, revision: str, right: float = 24, left: float = 56, height: int = 420) -> Json:
    """The common layout: transparent, no legend, hover at the nearest mark, zoom kept while the figure grows."""
    return {
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {
            "family": "Inter, system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif",
            "size": 13,
            "color": theme.text,
        },
        "showlegend": False,
        "hovermode": "closest",
        "hoverlabel": {
            "bgcolor": theme.hover,
            "bordercolor": theme.line,
            "font": {"color": theme.text, "size": 12},
            "align": "left",
        },
        "margin": {"l": left, "r": right, "t": 16, "b": 52, "pad": 2},
        "height": height,
        "uirevision": safe(revision),
        "annotations": [],
        "shapes": [],
    }


def axis(theme: Theme, title: str, *, wrap: int = 90, **more: Any) -> Json:
    """One axis; the title is escaped here, and broken into lines of about `wrap` characters."""
    return {
        "title": {"text": wrapped(title, wrap), "standoff": 10, "font": {"size": 12, "color": theme.muted}},
        "gridcolor": theme.grid,
        "linecolor": theme.line,
        "tickcolor": theme.line,
        "tickfont": {"size": 12, "color": theme.muted},
        "zeroline": False,
        "showline": True,
        "ticks": "outside",
        "ticklen": 4,
        "automargin": True,
        **more,
    }


def across(narrow: bool) -> int:
    """Characters that fit below a plot."""
    return 34 if narrow else 90


def upright(narrow: bool) -> int:
    """Characters that fit beside a plot."""
    return 38 if narrow else 46


def metric_axis(theme: Theme, metric: MetricInfo, title: str, *, wrap: int = 90, log: bool = False) -> Json:
    """An axis of a metric; one that starts at zero shows zero only where bars would."""
    more: Json = {"type": "log", "dtick": "D2", "minor": {"showgrid": False}} if log else {}
    if not log and metric.unit.startswith("share"):
        more["tickformat"] = ".3~g"
    return axis(theme, title, wrap=wrap, **more)


def epsilon_axis(theme: Theme, title: str, values: Sequence[float], *, wrap: int = 90) -> Json:
    """A logarithmic axis that marks the usual budgets. Its range depends on the epsilons asked for and on nothing
    that is measured, so it stays where it is while a study runs."""
    if not values:
        return axis(theme, title, wrap=wrap, type="log")
    low, high = min(values), max(values)
    inside = [e for e in USUAL_EPSILONS if low / 1.05 <= e <= high * 1.05]
    ticks = inside if len(inside) >= 2 else sorted(set(values))[:: max(1, len(set(values)) // 8)]
    room = max(0.07, 0.06 * math.log10(high / low)) if high > low else 0.3
    return axis(
        theme,
        title,
        wrap=wrap,
        type="log",
        tickmode="array",
        tickvals=ticks,
        ticktext=[f"{tick:g}" for tick in ticks],
        range=[math.log10(low) - room, math.log10(high) + room],
        minor={"showgrid": False},
    )


def end_label(theme: Theme, x: float, y: float, text: str, ink: str, **more: Any) -> Json:
    """A label beside the end of a curve. `x` and `y` are in axis units, logarithms on a logarithmic axis."""
    return {
        "x": x,
        "y": y,
        "text": text,
        "showarrow": False,
        "xanchor": "left",
        "yanchor": "middle",
        "align": "left",
        "xshift": 10,
        "font": {"color": ink, "size": 12},
        **more,
    }


def spread(positions: Sequence[float], low: float, high: float, heights: Sequence[float] | None = None) -> list[float]:
    """Vertical shifts in pixels that keep labels from covering each other, for positions in axis units.

    The labels keep their order; each moves as little as the ones below it allow, and the stack is centred on where
    its labels wanted to be.
    """
    if not positions:
        return []
    scale = PLOT_HEIGHT / (high - low) if high > low else 0.0
    wanted = [(p - low) * scale for p in positions]
    tall = list(heights) if heights is not None else [LABEL_HEIGHT] * len(positions)
    order = sorted(range(len(wanted)), key=lambda i: wanted[i])
    # Blocks of touching labels: [members, centre of the block, its height].
    blocks: list[tuple[list[int], float, float]] = []
    for i in order:
        block: tuple[list[int], float, float] = ([i], wanted[i], tall[i])
        while blocks and blocks[-1][1] + blocks[-1][2] / 2 > block[1] - block[2] / 2:
            before = blocks.pop()
            members = before[0] + block[0]
            centre = sum(wanted[m] for m in members) / len(members)
            block = (members, centre, before[2] + block[2])
        blocks.append(block)
    shifts = [0.0] * len(wanted)
    for members, centre, height in blocks:
        at = centre - height / 2
        for m in members:
            shifts[m] = round(at + tall[m] / 2 - wanted[m], 1)
            at += tall[m]
    return shifts


#: Symbols of the key above the plot, as text.
_GLYPHS = {
    "circle": "●", "square": "■", "diamond": "◆", "triangle-up": "▲", "triangle-down": "▼", "pentagon": "⬟",
    "hexagon": "⬢", "star": "★", "cross": "✚", "x": "✖", "hourglass": "⧗", "bowtie": "⧓",
}  # fmt: skip


def key(entries: Sequence[tuple[str, str, str]], drawn: Json, theme: Theme, narrow: bool, *, above: int = 0) -> None:
    """Names (text, symbol, ink) in lines above the plot, each in its own colour; `above`: pixels of room below them."""
    texts = [
        f'<span style="color:{ink}">{_GLYPHS.get(symbol, "●")} {safe(text)}</span>' for text, symbol, ink in entries
    ]
    per_row = 1 if narrow else 3
    lines = ["    ".join(texts[i : i + per_row]) for i in range(0, len(texts), per_row)]
    drawn["margin"]["t"] = 14 + above + 18 * len(lines)
    drawn["annotations"].append(
        {
            "x": 0, "xref": "paper", "y": 1, "yref": "paper", "text": "<br>".join(lines), "showarrow": False,
            "align": "left", "xanchor": "left", "yanchor": "bottom", "yshift": 4 + above,
            "font": {"size": 12, "color": theme.text},
        }
    )  # fmt: skip


# --- the whole --------------------------------------------------------------------------------------------------------


def figure(
    name: str,
    title: str,
    caption: str,
    data: Sequence[Json],
    drawn_layout: Json,
    columns: Sequence[TableColumn],
    rows: Sequence[Sequence[Cell]],
    settings: Sequence[int | None] = (),
    *,
    supported: bool = False,
    unsupported: str | None = None,
) -> Figure:
    """The figure with everything around it; numbers that JSON does not have become null.

    `settings`: of which setting each row is, for tables in which settings can be selected. `supported`: the title is a
    finding, set where its test is computed; `unsupported`: why the one that was looked for is none.
    """
    return Figure(
        name=name,
        title=title,
        caption=caption,
        figure={"data": [_clean(trace) for trace in data], "layout": _clean(drawn_layout)},
        columns=list(columns),
        rows=[[_clean(cell) for cell in row] for row in rows],
        row_settings=list(settings),
        supported=supported,
        unsupported=unsupported,
    )


def empty(name: str, title: str, reason: str, theme: Theme, caption: str = "") -> Figure:
    """A figure with nothing to draw yet, and why."""
    blank = layout(theme, revision="empty")
    blank["xaxis"] = {"visible": False}
    blank["yaxis"] = {"visible": False}
    return Figure(
        name=name, title=title, caption=caption, figure={"data": [], "layout": blank}, columns=[], rows=[], empty=reason
    )


#: Digits that the page gets of a number: more than a screen can show.
DIGITS = 7


def listed(values: np.ndarray[Any, Any]) -> list[Any]:
    """An array as JSON has it: `DIGITS` significant digits, null for what is no number.

    >>> listed(np.array([1 / 3, np.nan, 12345678.9]))
    [0.3333333, None, 12345680.0]
    """
    if values.dtype.kind != "f":
        return list(values.tolist())
    known = np.isfinite(values)
    with np.errstate(divide="ignore", invalid="ignore"):
        magnitude = np.floor(np.log10(np.abs(np.where(known & (values != 0), values, 1.0))))
    # Rounding is a multiplication and a division by an exact power of ten: the result prints short.
    places = DIGITS - 1 - magnitude
    scale = 10.0 ** np.abs(places)
    up = places >= 0
    rounded = np.where(up, np.round(values * np.where(up, scale, 1)) / scale, np.round(values / scale) * scale)
    if known.all():
        return list(rounded.tolist())
    answer = rounded.astype(object)
    answer[~known] = None
    return list(answer.tolist())


def _clean(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return listed(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _clean(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_clean(entry) for entry in value]
    return value
