"""What a method's clipping does to each subgroup's gradients, along training: whom does it bend, and when."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from backend.analysis.intervals import grouped
from backend.analysis.labels import Words
from backend.analysis.plain import finite
from backend.analysis.table import Floats
from backend.contracts.public import Figure, TableColumn
from backend.contracts.results import ALL
from backend.figures import parts
from backend.figures.parts import Cell, Json
from backend.figures.theme import Theme, faint

#: Panels from top to bottom: series, title with unit.
PANELS = (
    ("gradient_cosine", "Direction kept, cosine"),
    ("gradient_length_kept", "Length kept, share"),
    ("share_clipped_sample", "Records clipped, share"),
    ("gradient_norm_p50", "Gradient norm, median and 5 to 95 %, log scale"),
)
#: Where a mean can be: an interval over seeds is cut off there.
BOUNDS = {"gradient_cosine": (-1.0, 1.0), "gradient_length_kept": (0.0, math.inf), "share_clipped_sample": (0.0, 1.0)}
#: Bands of at most so many groups can be told apart; of more, each group has bars beside those of the others.
BANDS = 2
#: Between two looks, the share of the way over which the groups of one look are spread.
SPREAD = 0.3
COSINE, KEPT, CLIPPED, NORM = (name for name, _ in PANELS)
#: The ends of the band around a median, and the longest that a scaled gradient can be.
LOW, HIGH, LIMIT = "gradient_norm_p05", "gradient_norm_p95", "gradient_limit"
SERIES = (*(name for name, _ in PANELS), LOW, HIGH)
#: Subgroups are told apart by dash and symbol: the hue is the method's.
DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")
SYMBOLS = ("circle", "square", "diamond", "triangle-up", "triangle-down", "pentagon", "cross", "x", "star", "hexagon")
#: Height of a panel, and share of it that is left free below.
PANEL_HEIGHT, GAP = 190, 0.16

#: Of one run: epochs and values.
Course = tuple[Floats, Floats]


@dataclass(frozen=True)
class Mean:
    """A series over the runs that have it: all arrays are `[epochs]`."""

    steps: Floats
    mean: Floats
    low: Floats
    high: Floats
    n: Floats

    @classmethod
    def of(cls, runs: Sequence[Course], bounds: tuple[float, float] = (-math.inf, math.inf)) -> Mean:
        """Mean and 95 % Student t interval at each epoch, cut off where no mean can be."""
        every = np.concatenate([steps for steps, _ in runs]) if runs else np.zeros(0)
        steps = np.unique(every)
        values = np.concatenate([v for _, v in runs]) if runs else np.zeros(0)
        mean, low, high, n = grouped(values, np.searchsorted(steps, every).astype(np.int64), len(steps))
        return cls(steps, mean, np.maximum(low, bounds[0]), np.minimum(high, bounds[1]), n.astype(np.float64))

    def at(self, step: float) -> tuple[float, float, float]:
        """Mean and interval after that epoch, not a number where there is none."""
        found = np.flatnonzero(self.steps == step)
        if not len(found):
            return math.nan, math.nan, math.nan
        place = int(found[0])
        return float(self.mean[place]), float(self.low[place]), float(self.high[place])


def clipping(
    courses: Mapping[str, Mapping[str, Sequence[Course]]], limit: Sequence[Course], label: str, method: str,
    run_ids: list[str], words: Words, theme: Theme, *, at: str, caption: str, width: int | None,
) -> Figure:  # fmt: skip
    """`courses[subgroup][series]` holds one course per run; `label` names the one setting that is drawn."""
    title = f"What clipping does to the gradients of each subgroup{at}, {label}"
    groups = {
        name: {series: Mean.of(found.get(series, ()), BOUNDS.get(series, (-math.inf, math.inf))) for series in SERIES}
        for name, found in courses.items()
        if found.get(COSINE)
    }
    if not groups:
        reason = (
            "Nothing was recorded of how these runs clip gradients: they are not private, or older than this figure. "
            "Duplicate the study and run it again with a private method."
        )
        return parts.empty("clipping", title, reason, theme, caption)
    narrow = width is not None and width < parts.NARROW
    layout = parts.layout(theme, revision=f"clipping|{label}", height=PANEL_HEIGHT * len(PANELS) + 60)
    # Looks follow each other in ever longer steps: side by side the first ones have room too.
    epochs = np.unique(np.concatenate([found[COSINE].steps for found in groups.values()]))
    layout["xaxis"] = parts.axis(
        theme, "Epoch, one place for each look", range=[-0.25, len(epochs) - 0.75], anchor=f"y{len(PANELS)}",
        tickvals=list(range(len(epochs))), ticktext=[f"{epoch:g}" for epoch in epochs],
    )  # fmt: skip
    banded = len(groups) <= BANDS
    shifts = np.zeros(len(groups)) if banded else np.linspace(-SPREAD / 2, SPREAD / 2, len(groups))
    shades, share = theme.of(method), 1 / len(PANELS)
    data: list[Json] = []
    longest = 0
    for number, (series, name) in enumerate(PANELS):
        key = "yaxis" if number == 0 else f"yaxis{number + 1}"
        top = 1 - number * share
        log = series == NORM
        layout[key] = parts.axis(
            theme, name, wrap=24, domain=[max(0.0, top - share * (1 - GAP)), top], anchor="x",
            **({"type": "log"} if log else {"tickformat": ".3~g"}),
        )  # fmt: skip
        axis = "y" if number == 0 else f"y{number + 1}"
        ends: list[tuple[str, float]] = []
        for place, (group, found) in enumerate(groups.items()):
            at_epochs = np.searchsorted(epochs, found[series].steps) + shifts[place]
            data += _traces(found, series, group, place, at_epochs, axis, shades.stroke, words, run_ids, banded)
            finite = found[series].mean[np.isfinite(found[series].mean)]
            if len(finite) and (not log or finite[-1] > 0):
                ends.append((_name(group, words), float(finite[-1])))
        if log:
            data += _limit(Mean.of(limit), epochs, axis, theme)
        longest = max([longest, *(len(text) for text, _ in ends)])
        drawn = [y for trace in data if trace["yaxis"] == axis for y in trace["y"]]
        drawn += [end for trace in data if trace["yaxis"] == axis for end in _ends(trace)]
        drawn = [y for y in drawn if math.isfinite(y) and (y > 0 or not log)]
        _label(ends, drawn, axis, log, layout, theme, shades.ink, narrow)
    layout["margin"]["r"] = min(120 if narrow else 200, 18 + parts.CHARACTER * longest)
    columns, rows = _table(groups, words)
    said = finding(groups, words, at, label)
    # Of a single run it says what happened in it: there is no interval that would support more.
    supported = said is not None and any(float(found[KEPT].n.max()) > 1 for found in groups.values())
    return parts.figure(
        "clipping", said or title, caption, data, layout, columns, rows, supported=supported
    )  # fmt: skip


def _name(group: str, words: Words) -> str:
    return "Everybody" if group == ALL else words.subgroup(group)


def _traces(
    found: Mapping[str, Mean], series: str, group: str, place: int, at: Floats, axis: str, colour: str, words: Words,
    run_ids: list[str], banded: bool,
) -> list[Json]:  # fmt: skip
    """The line of one subgroup in one panel at the places `at`, with a band or bars: 5 to 95 % of the norms, or the
    interval over seeds.
    """
    course, who = found[series], _name(group, words)
    low, high = (found[LOW].mean, found[HIGH].mean) if series == NORM else (course.low, course.high)
    same = len(low) == len(course.steps) == len(high)
    known = np.isfinite(low) & np.isfinite(high) & np.isfinite(course.mean) if same else np.zeros(len(at), bool)
    traces: list[Json] = []
    bars: Json = {}
    if banded and known.sum() > 1:
        x = at[known].tolist()
        traces.append(
            {
                "type": "scatter", "mode": "lines", "name": parts.safe(who), "x": x + x[::-1],
                "y": high[known].tolist() + low[known].tolist()[::-1], "fill": "toself",
                "fillcolor": faint(colour, 0.1), "line": {"width": 0}, "hoverinfo": "skip", "xaxis": "x", "yaxis": axis,
            }
        )  # fmt: skip
    elif not banded and known.any():
        up, down = (np.where(known, length, 0.0) for length in (high - course.mean, course.mean - low))
        bars["error_y"] = {
            "type": "data", "symmetric": False, "array": up.tolist(), "arrayminus": down.tolist(),
            "color": faint(colour, 0.5), "thickness": 1.2, "width": 0,
        }  # fmt: skip
    what = dict(PANELS)[series].partition(",")[0]
    values = zip(course.steps.tolist(), course.mean.tolist(), course.low.tolist(), course.high.tolist(), strict=True)
    text = [
        parts.hover(who, [f"epoch {s:g}", f"{what}: {parts.interval(m, finite(a), finite(b))}"])
        for s, m, a, b in values
    ]
    traces.append(
        {
            **bars, "type": "scatter", "mode": "lines+markers", "name": parts.safe(who), "x": at.tolist(),
            "y": course.mean.tolist(), "customdata": [run_ids] * len(text), "hovertext": text, "hoverinfo": "text",
            "line": {"color": colour, "width": 2, "dash": DASHES[place % len(DASHES)]},
            "marker": {"symbol": SYMBOLS[place % len(SYMBOLS)], "size": 6, "color": colour},
            "xaxis": "x", "yaxis": axis,
        }
    )  # fmt: skip
    return traces


def _ends(trace: Json) -> list[float]:
    """Where its bars end, if it has any."""
    bars = trace.get("error_y")
    if bars is None:
        return []
    both = zip(trace["y"], bars["array"], bars["arrayminus"], strict=True)
    return [end for y, up, down in both for end in (y + up, y - down)]


def _limit(course: Mean, epochs: Floats, axis: str, theme: Theme) -> list[Json]:
    """The longest that a scaled gradient can be: the threshold of hard clipping."""
    known = np.isfinite(course.mean) & (course.mean > 0)
    if not known.any():
        return []
    steps, values = course.steps[known].tolist(), course.mean[known].tolist()
    name = "Longest that a scaled gradient can be"
    text = [parts.hover(name, [f"epoch {s:g}", parts.number(v)]) for s, v in zip(steps, values, strict=True)]
    return [
        {
            "type": "scatter", "mode": "lines", "name": name, "x": np.searchsorted(epochs, steps).tolist(), "y": values,
            "hovertext": text,
            "hoverinfo": "text", "line": {"color": theme.neutral.stroke, "width": 1.5, "dash": "dash"}, "xaxis": "x",
            "yaxis": axis,
        }
    ]  # fmt: skip


def _label(
    ends: Sequence[tuple[str, float]],
    drawn: Sequence[float],
    axis: str,
    log: bool,
    layout: Json,
    theme: Theme,
    ink: str,
    narrow: bool,
) -> None:
    """Names at the ends of lines, moved apart within the panel."""
    if not ends:
        return
    at = [math.log10(value) if log else value for _, value in ends]
    low, high = (math.log10(end) if log else end for end in (min(drawn), max(drawn)))
    # `spread` reckons with a plot of its own height.
    room = PANEL_HEIGHT * (1 - GAP) / parts.PLOT_HEIGHT
    shifts = parts.spread([y * room for y in at], low, high)
    for (text, _), y, shift in zip(ends, at, shifts, strict=True):
        short = text if not narrow or len(text) <= 16 else text[:15] + "…"
        label = parts.end_label(theme, 1.0, y, parts.safe(short), ink, yshift=shift, yref=axis)
        layout["annotations"].append({**label, "xref": "paper", "xshift": 6})


def finding(groups: Mapping[str, Mapping[str, Mean]], words: Words, at: str, label: str) -> str | None:
    """Names the groups that keep least and most, at the epoch where they differ most; None where data leave doubt.

    With several runs their intervals must not overlap, and two groups must be there in any case.
    """
    named = {name: found for name, found in groups.items() if name != ALL}
    best: tuple[float, str] | None = None
    for step in sorted({float(s) for found in named.values() for s in found[KEPT].steps}):
        kept = {name: found[KEPT].at(step) for name, found in named.items()}
        known = {name: values for name, values in kept.items() if math.isfinite(values[0])}
        if len(known) < 2 or len(known) < len(named):
            continue
        least, most = (choose(known, key=lambda name: known[name][0]) for choose in (min, max))
        (low, _, low_end), (high, high_end, _) = known[least], known[most]
        if math.isfinite(low_end) and math.isfinite(high_end):
            clear = low_end < high_end
        else:
            clear = all(float(found[KEPT].n.max()) == 1 for found in named.values())
        directions = [named[name][COSINE].at(step)[0] for name in (least, most)]
        texts = [f"{100 * low:.2g} %", f"{100 * high:.2g} %"]
        if not clear or texts[0] == texts[1] or not all(map(math.isfinite, directions)):
            continue
        when = f"After epoch {step:g}" if step else "Before the first step"
        sentence = (
            f"{when} the gradients of {words.subgroup(least)} keep {texts[0]} of their length, those of "
            f"{words.subgroup(most)} {texts[1]}; direction: cosine {directions[0]:.2f} and {directions[1]:.2f}"
        )
        if best is None or high - low > best[0]:
            best = high - low, sentence
    return None if best is None else f"{best[1]} ({label}{at})"


def _table(groups: Mapping[str, Mapping[str, Mean]], words: Words) -> tuple[list[TableColumn], list[list[Cell]]]:
    columns = [
        TableColumn(title="Subgroup", numeric=False),
        TableColumn(title="Epoch"),
        TableColumn(title="Cosine"),
        TableColumn(title="95 % low"),
        TableColumn(title="95 % high"),
        TableColumn(title="Length kept", unit="share"),
        TableColumn(title="Clipped", unit="share of records"),
        TableColumn(title="Norm, 5 %"),
        TableColumn(title="Norm, median"),
        TableColumn(title="Norm, 95 %"),
        TableColumn(title="Seeds"),
    ]
    rows: list[list[Cell]] = []
    for group, found in groups.items():
        cosine = found[COSINE]
        for place, step in enumerate(cosine.steps.tolist()):
            others = [found[series].at(step)[0] for series in (KEPT, CLIPPED, LOW, NORM, HIGH)]
            rows.append([_name(group, words), step, *cosine.at(step), *others, int(cosine.n[place])])
    return columns, rows
