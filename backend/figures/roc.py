"""An attack's rates on logarithmic axes: what it finds at false alarm rates that matter."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from backend.analysis.table import Floats
from backend.contracts.public import Figure, TableColumn
from backend.figures import parts
from backend.figures.parts import Cell, Json
from backend.figures.theme import Theme, look

#: False positive rates that are read out in the table.
LOW_RATES = (0.001, 0.01, 0.1)
#: Points of an averaged curve.
POINTS = 160


@dataclass(frozen=True)
class RocLine:
    """One curve: of one run, or the mean over seeds. `quiet` ones are drawn thin and grey."""

    label: str
    method: str
    fpr: Floats
    tpr: Floats
    members: int
    non_members: int
    seeds: int
    run_ids: list[str]
    quiet: bool = False
    setting: int | None = None


def step(fpr: Floats, tpr: Floats, at: Floats) -> Floats:
    """True positive rate at each false positive rate: that of the last point not beyond it, never interpolated.

    >>> step(np.array([0.0, 0.1, 1.0]), np.array([0.0, 0.5, 1.0]), np.array([0.05, 0.1, 0.5])).tolist()
    [0.0, 0.5, 0.5]
    """
    place = np.searchsorted(fpr, at * (1 + 1e-9), side="right") - 1
    return np.asarray(np.where(place >= 0, tpr[np.maximum(place, 0)], 0.0))


def average(curves: Sequence[tuple[Floats, Floats]], non_members: int) -> tuple[Floats, Floats]:
    """Mean true positive rate of several curves at common false positive rates (vertical averaging)."""
    grid = np.geomspace(1 / max(non_members, 2), 1.0, POINTS)
    return grid, np.mean([step(fpr, tpr, grid) for fpr, tpr in curves], axis=0)


def roc(
    lines: Sequence[RocLine],
    attack: str,
    theme: Theme,
    *,
    at: str,
    caption: str,
    width: int | None,
    missing: str | None = None,
) -> Figure:
    """Curves over the chance line; rates that the number of non-members cannot resolve are shaded.

    `missing` is why there are no curves, where the attack was asked for and could not be made.
    """
    title = f"{attack}: members found at each false alarm rate{at}"
    if not lines:
        reason = missing or "No attack has been made on these runs. Add one under evaluation when you submit a study."
        return parts.empty("roc", title, reason, theme, caption)
    narrow = width is not None and width < parts.NARROW
    loud = [line for line in lines if not line.quiet] or list(lines)
    fewest = max(2, min(line.non_members for line in loud))
    most = max(2, max(line.non_members for line in lines))
    low = 10 ** math.floor(math.log10(1 / most) * 2) if most < 4 else 10 ** (math.log10(1 / most) - 0.1)
    layout = parts.layout(theme, revision=f"roc|{attack}", height=440)
    rate_ticks = [t for t in (1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0) if t >= low]
    ticks: Json = {
        "type": "log", "tickmode": "array", "tickvals": rate_ticks, "minor": {"showgrid": False}, "tickangle": 0,
        "ticktext": [_percent(t) for t in rate_ticks], "range": [math.log10(low), 0.03],
    }  # fmt: skip
    x_title = "False positive rate, share of non-members named, log scale"
    y_title = "True positive rate, share of members named, log scale, lower is more private"
    layout["xaxis"] = parts.axis(theme, x_title, wrap=parts.across(narrow), **ticks)
    layout["yaxis"] = parts.axis(theme, y_title, wrap=parts.upright(narrow), **ticks)
    data: list[Json] = [_chance(low, theme)]
    data += [_trace(line, theme) for line in sorted(lines, key=lambda line: not line.quiet)]
    _unresolved(fewest, low, layout, theme)
    _names(loud, layout, theme, narrow)
    resolution = f"with {fewest:,} non-members no rate below {_percent(1 / fewest)} can be measured"
    columns, rows = _table(lines)
    return parts.figure("roc", title, f"{caption}; {resolution}", data, layout, columns, rows)


def _percent(rate: float) -> str:
    """
    >>> _percent(0.001), _percent(1.0), _percent(1 / 9044)
    ('0.1 %', '100 %', '0.011 %')
    """
    return f"{100 * rate:.2g} %" if rate < 0.995 else "100 %"


def _chance(low: float, theme: Theme) -> Json:
    return {
        "type": "scatter",
        "mode": "lines",
        "name": "chance",
        "x": [low, 1.0],
        "y": [low, 1.0],
        "line": {"color": theme.muted, "width": 1.2, "dash": "dash"},
        "hovertext": ["Chance: an attack that only guesses"] * 2,
        "hoverinfo": "text",
    }


def _trace(line: RocLine, theme: Theme) -> Json:
    shown = (line.fpr > 0) & (line.tpr > 0)
    fpr, tpr = line.fpr[shown].tolist(), line.tpr[shown].tolist()
    shades = theme.of(line.method)
    seeds = f"mean of {line.seeds} seeds" if line.seeds > 1 else "1 seed"
    return {
        "type": "scatter",
        "mode": "lines",
        "name": parts.safe(line.label),
        "x": fpr,
        "y": tpr,
        # A mean of several runs leads to none of them.
        "customdata": [line.run_ids] * len(fpr) if line.seeds == 1 else None,
        "meta": {"settings": [line.setting] * len(fpr)},
        "hovertext": [
            parts.hover(
                line.label,
                [
                    f"finds {_percent(t)} of members at {_percent(f)} false alarms",
                    f"{line.members:,} members, {line.non_members:,} non-members, {seeds}",
                ],
            )
            for f, t in zip(fpr, tpr, strict=True)
        ],
        "hoverinfo": "text",
        "line": {
            "color": theme.line if line.quiet else shades.stroke,
            "width": 1 if line.quiet else 2,
            "dash": "solid" if line.quiet else look(line.method).dash,
            "shape": "hv",
        },
    }


def _unresolved(non_members: int, low: float, layout: Json, theme: Theme) -> None:
    edge = 1 / non_members
    if edge <= low * 1.3:
        return
    layout["shapes"].append(
        {
            "type": "rect", "xref": "x", "x0": low, "x1": edge, "yref": "paper", "y0": 0, "y1": 1,
            "fillcolor": theme.shade, "line": {"width": 0}, "layer": "below",
        }
    )  # fmt: skip
    layout["annotations"].append(
        {
            "x": math.log10(edge), "y": 0, "yref": "paper", "text": f"fewer than 1 in {non_members:,}",
            "showarrow": False, "xanchor": "left", "yanchor": "bottom", "xshift": 4,
            "font": {"size": 11, "color": theme.muted},
        }
    )  # fmt: skip


def _names(lines: Sequence[RocLine], layout: Json, theme: Theme, narrow: bool) -> None:
    """All curves end in the same corner: their names stand beside it, in the order of their rates at 1 %.

    On a narrow page they stand below the chance line, where curves hardly ever run, so that the width is theirs.
    """
    at_one = {id(line): float(step(line.fpr, line.tpr, np.array([0.01]))[0]) for line in lines}
    if narrow:
        _names_inside(sorted(lines, key=lambda line: at_one[id(line)]), layout, theme)
        return
    width = 24
    drop = 0.0
    longest = 0
    for line in sorted(lines, key=lambda line: -at_one[id(line)]):
        text = parts.wrapped(line.label, width)
        longest = max(longest, *(len(part) for part in text.split("<br>")))
        layout["annotations"].append(
            parts.end_label(theme, 0.0, 0.0, text, theme.of(line.method).ink, yanchor="top", yshift=-drop)
        )
        drop += parts.LABEL_HEIGHT * (1 + text.count("<br>")) + 2
    layout["margin"]["r"] = min(220, 24 + parts.CHARACTER * longest)


def _names_inside(upwards: Sequence[RocLine], layout: Json, theme: Theme) -> None:
    rise = 6.0
    for line in upwards:
        text = parts.wrapped(line.label, 18)
        label = parts.end_label(theme, 1.0, 0.0, text, theme.of(line.method).ink, yanchor="bottom", yshift=rise)
        layout["annotations"].append(
            {**label, "xref": "paper", "yref": "paper", "xanchor": "right", "xshift": -4, "align": "right"}
        )
        rise += parts.LABEL_HEIGHT * (1 + text.count("<br>"))
    layout["margin"]["r"] = 16


def _table(lines: Sequence[RocLine]) -> tuple[list[TableColumn], list[list[Cell]]]:
    columns = [
        TableColumn(title="Curve", numeric=False),
        *(TableColumn(title=f"Found at {_percent(rate)} false alarms", unit="share of members") for rate in LOW_RATES),
        TableColumn(title="Members"),
        TableColumn(title="Non-members"),
        TableColumn(title="Seeds"),
    ]
    rows: list[list[Cell]] = []
    for line in lines:
        found: list[Cell] = [
            float(step(line.fpr, line.tpr, np.array([rate]))[0]) if line.non_members * rate >= 1 - 1e-9 else None
            for rate in LOW_RATES
        ]
        rows.append([line.label, *found, line.members, line.non_members, line.seeds])
    return columns, rows
