"""A quantity along training: threshold, loss, factor on gradients."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from backend.analysis.intervals import grouped
from backend.analysis.plain import finite
from backend.analysis.table import Floats
from backend.contracts.public import Figure, TableColumn
from backend.figures import parts
from backend.figures.parts import Cell, Json
from backend.figures.theme import Theme, faint, look

#: Quantities that span orders of magnitude.
LOGARITHMIC = frozenset({"threshold", "upper_threshold"})

TITLES = {
    "threshold": "Clipping threshold",
    "upper_threshold": "Upper threshold",
    "train_loss": "Training loss",
    "validation_loss": "Validation loss",
    "validation_accuracy": "Validation accuracy",
    # True of every method: some rescale all gradients, and a factor may exceed 1.
    "share_clipped": "Gradients longer than the sensitivity",
    "gradient_kept": "Mean factor on gradients",
}

#: Where the unit of the record is that of hard clipping alone.
UNITS = {"gradient_kept": "1 leaves them as they are"}


@dataclass(frozen=True)
class HistoryLine:
    """One setting: the series of each of its runs, as (epochs, values)."""

    label: str
    method: str
    runs: Sequence[tuple[Floats, Floats]]
    run_ids: list[str]
    setting: int | None = None


def title_of(series: str) -> str:
    """A series in words; that of a subgroup with the subgroup's name.

    >>> title_of("threshold[sex=Female]")
    'Clipping threshold, sex=Female'
    >>> title_of("share_clipped"), title_of("gradient_kept")
    ('Gradients longer than the sensitivity', 'Mean factor on gradients')
    """
    name, _, group = series.partition("[")
    title = TITLES.get(name, name.replace("_", " ").capitalize())
    return f"{title}, {group.removesuffix(']')}" if group else title


def history(
    lines: Sequence[HistoryLine], series: str, unit: str, theme: Theme, *, at: str, caption: str, width: int | None
) -> Figure:
    """Mean over seeds with its 95 % interval as a band, one line per setting."""
    title = f"{title_of(series)} along training{at}"
    unit = UNITS.get(series.partition("[")[0], unit)
    lines = [line for line in lines if any(len(steps) for steps, _ in line.runs)]
    if not lines:
        return parts.empty(
            "history", title, f"These runs have no record of {title_of(series).lower()}.", theme, caption
        )
    narrow = width is not None and width < parts.NARROW
    positive = all((v > 0)[np.isfinite(v)].all() for line in lines for _, v in line.runs)
    log = series.partition("[")[0] in LOGARITHMIC and positive
    layout = parts.layout(theme, revision=f"history|{series}")
    last = max(float(steps.max()) for line in lines for steps, _ in line.runs if len(steps))
    layout["xaxis"] = parts.axis(theme, "Epoch", range=[0, 1.02 * last])
    y_title = ", ".join(part for part in (title_of(series), unit, "log scale" if log else "") if part)
    layout["yaxis"] = parts.axis(
        theme, y_title, wrap=parts.upright(narrow), **({"type": "log", "dtick": "D2"} if log else {})
    )
    data: list[Json] = []
    ends: list[tuple[HistoryLine, float, float]] = []
    rows: list[list[Cell]] = []
    edges: list[float] = []
    for line in lines:
        steps, mean, low, high, n = _mean(line)
        data += _traces(line, steps, mean, low, high, title_of(series), theme)
        finite = np.flatnonzero(np.isfinite(mean))
        if len(finite):
            ends.append((line, float(steps[finite[-1]]), float(mean[finite[-1]])))
            edges += [float(v) for v in np.concatenate([mean, low, high]) if np.isfinite(v) and (not log or v > 0)]
        values = zip(steps.tolist(), mean.tolist(), low.tolist(), high.tolist(), n.tolist(), strict=True)
        rows += [[line.label, *value] for value in values]
    _label(ends, edges, layout, theme, log, narrow)
    columns = [
        TableColumn(title="Setting", numeric=False),
        TableColumn(title="Epoch"),
        TableColumn(title=title_of(series), unit=unit),
        TableColumn(title="95 % low", unit=unit),
        TableColumn(title="95 % high", unit=unit),
        TableColumn(title="Seeds"),
    ]
    return parts.figure("history", title, caption, data, layout, columns, rows)


def _mean(line: HistoryLine) -> tuple[Floats, Floats, Floats, Floats, Floats]:
    steps = np.unique(np.concatenate([s for s, _ in line.runs]))
    values = np.concatenate([v for _, v in line.runs])
    place = np.searchsorted(steps, np.concatenate([s for s, _ in line.runs])).astype(np.int64)
    mean, low, high, n = grouped(values, place, len(steps))
    return steps, mean, low, high, n.astype(np.float64)


def _traces(
    line: HistoryLine, steps: Floats, mean: Floats, low: Floats, high: Floats, what: str, theme: Theme
) -> list[Json]:
    shades = theme.of(line.method)
    traces: list[Json] = []
    banded = np.isfinite(low) & np.isfinite(high)
    if banded.sum() > 1:
        x = steps[banded].tolist()
        traces.append(
            {
                "type": "scatter",
                "mode": "lines",
                "name": parts.safe(line.label),
                "x": x + x[::-1],
                "y": high[banded].tolist() + low[banded].tolist()[::-1],
                "fill": "toself",
                "fillcolor": faint(shades.stroke, 0.14),
                "line": {"width": 0},
                "hoverinfo": "skip",
            }
        )
    text = [
        parts.hover(line.label, [f"epoch {s:g}", f"{what}: {parts.interval(m, finite(a), finite(b))}"])
        for s, m, a, b in zip(steps.tolist(), mean.tolist(), low.tolist(), high.tolist(), strict=True)
    ]
    traces.append(
        {
            "type": "scatter",
            "mode": "lines+markers" if len(steps) <= 30 else "lines",
            "name": parts.safe(line.label),
            "x": steps.tolist(),
            "y": mean.tolist(),
            "customdata": [line.run_ids] * len(steps),
            "meta": {"settings": [line.setting] * len(steps)},
            "hovertext": text,
            "hoverinfo": "text",
            "line": {"color": shades.stroke, "width": 2, "dash": look(line.method).dash},
            "marker": {"symbol": look(line.method).symbol, "size": 5, "color": shades.stroke},
        }
    )
    return traces


def _label(
    ends: Sequence[tuple[HistoryLine, float, float]],
    edges: Sequence[float],
    layout: Json,
    theme: Theme,
    log: bool,
    narrow: bool,
) -> None:
    if not ends:
        return

    def scaled(value: float) -> float:
        return math.log10(value) if log else value

    width = 15 if narrow else 24
    texts = [parts.wrapped(line.label, width) for line, _, _ in ends]
    heights = [parts.LABEL_HEIGHT * (1 + text.count("<br>")) for text in texts]
    low, high = scaled(min(edges)), scaled(max(edges))
    shifts = parts.spread([scaled(y) for _, _, y in ends], low, high, heights)
    for (line, x, y), text, shift in zip(ends, texts, shifts, strict=True):
        ink = theme.of(line.method).ink
        label = parts.end_label(theme, x, scaled(y), text, ink, yshift=shift)
        layout["annotations"].append({**label, "x": 1.0, "xref": "paper", "xshift": 6})
    longest = max(len(part) for text in texts for part in text.split("<br>"))
    layout["margin"]["r"] = min(150 if narrow else 220, 18 + parts.CHARACTER * longest)
