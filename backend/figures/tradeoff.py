"""The trade-off: two figures of every setting, one curve per method along epsilon, or a cloud where there are many.

How much is drawn follows from how much there is (`Detail`): the page gets what can be told apart, and the line below
says what was left out. The table and its file have the rest.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from backend.analysis.curves import Axis, Points, SettingSeries
from backend.analysis.findings import Finding
from backend.analysis.labels import Words, value_text
from backend.analysis.plain import finite
from backend.analysis.table import Flags, Floats, Ints
from backend.contracts.public import Figure, TableColumn
from backend.figures import parts
from backend.figures.parts import Cell, Json
from backend.figures.theme import SYMBOLS, Shades, Theme, faint, look

#: Curves at the same epsilon stand this far apart on the logarithmic axis, so that their intervals can be told apart.
DODGE = 0.012
#: More curves than this are drawn as points without lines and names.
MOST_CURVES = 24
#: More marks than this are drawn without single seeds, intervals, and the whole configuration on hover.
MOST_SEED_MARKS, MOST_INTERVALS, MOST_TEXTS = 3000, 600, 600
#: Rows of the table beside; its file has all.
MOST_ROWS = 500
#: Settings that are on the frontier in at least this share of resamples are called certain.
CERTAIN = 0.95


@dataclass(frozen=True)
class Channel:
    """What colour or size shows: a number of every setting, `[settings]`, or which of some names each has."""

    title: str
    values: Floats
    names: tuple[str, ...] = ()
    log: bool = False


@dataclass(frozen=True)
class Panel:
    """One of several small plots: its points, and which of them it shows."""

    title: str
    points: Points
    shown: Flags


@dataclass(frozen=True)
class Scale:
    """How an axis is drawn; what is None is chosen for the data."""

    log: bool | None = None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class View:
    """Everything that a trade-off shows."""

    x: Axis
    y: Axis
    words: Words
    series: Sequence[SettingSeries]
    labels: Mapping[int, str]
    panels: Sequence[Panel]
    finding: Finding
    caption: str
    split: str
    frontier: bool = False
    #: Per panel: the share of resamples in which each setting is on the frontier, `[settings]`.
    often: Sequence[Floats] = ()
    resamples: int = 0
    colour: Channel | None = None
    size: Channel | None = None
    x_scale: Scale = Scale()
    y_scale: Scale = Scale()
    free: bool = False


@dataclass(frozen=True)
class Detail:
    """What is drawn, given how much there is."""

    curves: bool
    seeds: bool
    intervals: bool
    texts: bool

    @classmethod
    def of(cls, view: View) -> Detail:
        """The most that can be told apart."""
        points = sum(int((panel.shown & panel.points.drawable).sum()) for panel in view.panels)
        runs = sum(int(panel.points.y.seeds[panel.shown].sum()) for panel in view.panels)
        return cls(
            curves=len(view.series) <= MOST_CURVES and view.colour is None,
            seeds=runs <= MOST_SEED_MARKS and view.colour is None and view.size is None,
            intervals=points <= MOST_INTERVALS,
            texts=points <= MOST_TEXTS,
        )


@dataclass(frozen=True)
class _Frame:
    """What every trace of one panel needs to know."""

    theme: Theme
    view: View
    detail: Detail
    panel: Panel
    number: int
    x_log: bool
    y_log: bool
    narrow: bool
    level: tuple[float, float]

    @property
    def along_epsilon(self) -> bool:
        return self.view.x.is_epsilon

    @property
    def axes(self) -> Json:
        end = "" if self.number == 0 else str(self.number + 1)
        return {"xaxis": f"x{end}", "yaxis": f"y{end}"} if end else {}

    def drawn(self, members: Ints) -> Ints:
        """Those of these settings that have a place in this panel."""
        points = self.panel.points
        keep = self.panel.shown & points.drawable
        if self.x_log:
            keep = keep & (points.x.mean > 0)
        if self.y_log:
            keep = keep & (points.y.mean > 0)
        return members[keep[members]]


@dataclass(frozen=True)
class _Group:
    """Settings that share a look."""

    name: str
    method: str
    members: Ints
    shades: Shades
    symbol: str
    line: bool
    order: float


def tradeoff(view: View, theme: Theme, *, width: int | None = None, whole_table: bool = False) -> Figure:
    """The figure. Over epsilon a baseline is a dashed line; against another metric it is a point."""
    narrow = width is not None and width < parts.NARROW
    detail = Detail.of(view)
    frames = _frames(view, theme, detail, narrow)
    every = np.arange(len(view.panels[0].points)) if view.panels else np.zeros(0, dtype=np.int64)
    anything = any(len(frame.drawn(every)) or (frame.along_epsilon and _levels(frame).any()) for frame in frames)
    if not anything:
        return parts.empty("tradeoff", view.finding.sentence, _why_empty(view), theme, view.caption)
    layout = parts.layout(theme, revision=_revision(view))
    _axes(frames, layout)
    data: list[Json] = []
    for frame in frames:
        for group in _groups(frame):
            if frame.along_epsilon and detail.curves and group.line and not _private(frame, group):
                data += _reference(frame, group)
            else:
                data += _marks(frame, group)
        if view.frontier:
            data += _frontier(frame)
    if detail.curves and len(frames) == 1:
        _label_ends(frames[0], layout)
    else:
        _key(frames[0], layout)
    if view.colour is not None and not view.colour.names:
        layout["coloraxis"] = _colour_axis(view.colour, theme)
        layout["margin"]["r"] = 90
    columns, rows, settings, of = _table(view, None if whole_table else MOST_ROWS)
    said = [view.caption, *_left_out(view, frames, detail, len(rows), of)]
    caption = "; ".join(part for part in said if part)
    return parts.figure(
        "tradeoff", view.finding.sentence, caption, data, layout, columns, rows, settings,
        supported=view.finding.supported, unsupported=view.finding.unsupported,
    )  # fmt: skip


def _revision(view: View) -> str:
    names = (view.x.metric.name, view.y.metric.name, view.y.subgroup, view.split)
    return "|".join(names) + (f"|{len(view.panels)}" if len(view.panels) > 1 else "")


def _why_empty(view: View) -> str:
    if not view.panels or not len(view.panels[0].points):
        return "No run has finished yet. The first points appear here as soon as one has."
    what = view.words.phrase(view.y.metric, view.y.subgroup)
    return f"{what} was not measured on the {view.split} split of these runs. Choose another metric, subgroup or split."


def _left_out(view: View, frames: Sequence[_Frame], detail: Detail, rows: int, of: int) -> list[str]:
    """What the figure does not show, in words."""
    said = []
    if not detail.curves and view.colour is None:
        said.append(f"{len(view.series):,} curves drawn as points")
    if not detail.seeds and any((f.panel.points.y.seeds[f.panel.shown] > 1).any() for f in frames):
        said.append("single seeds not drawn")
    if not detail.intervals:
        said.append("intervals in the table")
    off = sum(
        int((f.panel.shown & f.panel.points.drawable).sum()) - len(f.drawn(np.arange(len(f.panel.points))))
        for f in frames
    )
    if off:
        said.append(f"{off:,} {'point' if off == 1 else 'points'} at or below zero not on the logarithmic axis")
    outside = sum(_outside(f) for f in frames)
    if outside:
        said.append(f"{outside:,} {'point' if outside == 1 else 'points'} outside the chosen range")
    if rows < of:
        said.append(f"the table shows {rows:,} of {of:,} rows, its file all")
    return said


def _outside(frame: _Frame) -> int:
    points, members = frame.panel.points, frame.drawn(np.arange(len(frame.panel.points)))
    out = np.zeros(len(members), dtype=bool)
    for values, scale in ((points.x.mean, frame.view.x_scale), (points.y.mean, frame.view.y_scale)):
        if scale.low is not None:
            out |= values[members] < scale.low
        if scale.high is not None:
            out |= values[members] > scale.high
    return int(out.sum())


# --- panels and axes --------------------------------------------------------------------------------------------------


def _frames(view: View, theme: Theme, detail: Detail, narrow: bool) -> list[_Frame]:
    def log(axis: Axis, scale: Scale, which: str) -> bool:
        if scale.log is not None:
            return scale.log
        if axis.is_epsilon:
            return True
        values = np.concatenate([getattr(p.points, which).mean[p.shown] for p in view.panels] or [np.zeros(0)])
        return axis.metric.log and bool((values[np.isfinite(values)] > 0).all())

    # Over epsilon the vertical axis of a metric is linear unless asked for: gaps are read as differences.
    x_log = log(view.x, view.x_scale, "x")
    y_log = bool(view.y_scale.log)
    return [
        _Frame(theme, view, detail, panel, i, x_log, y_log, narrow, (0.1, 10.0)) for i, panel in enumerate(view.panels)
    ]


def _axes(frames: list[_Frame], layout: Json) -> None:
    first = frames[0]
    view, theme, narrow = first.view, first.theme, first.narrow
    words = view.words
    across = 1 if narrow or len(frames) == 1 else min(3, len(frames))
    down = -(-len(frames) // across)
    if len(frames) > 1:
        layout["height"] = 80 + 250 * down
        layout["margin"]["t"] = 34
    x_title = words.axis(view.x.metric, view.x.subgroup, log=first.x_log and not view.x.is_epsilon)
    y_title = words.axis(view.y.metric, "all" if _by_subgroup(view) else view.y.subgroup, log=first.y_log)
    infos = first.panel.points.table.ordered_infos
    epsilons = sorted({info.epsilon for info in infos if info.epsilon})
    for i, frame in enumerate(frames):
        column, row = i % across, i // across
        end = "" if i == 0 else str(i + 1)
        if frame.along_epsilon and frame.x_log:
            xaxis = parts.epsilon_axis(theme, words.axis(view.x.metric, "all"), epsilons, wrap=parts.across(narrow))
        else:
            xaxis = parts.metric_axis(theme, view.x.metric, x_title, wrap=parts.across(narrow), log=frame.x_log)
        yaxis = parts.metric_axis(theme, view.y.metric, y_title, wrap=parts.upright(narrow), log=frame.y_log)
        _range(xaxis, view.x_scale, frame.x_log)
        _range(yaxis, view.y_scale, frame.y_log)
        low, high = xaxis.get("range", (-1.0, 1.0))
        ends = (10**low, 10**high) if frame.x_log else (low, high)
        frames[i] = frame = _Frame(
            frame.theme, view, frame.detail, frame.panel, i, frame.x_log, frame.y_log, narrow, ends
        )  # fmt: skip
        if len(frames) > 1:
            wide, tall = 1 / across, 1 / down
            gap_x, gap_y = 0.05 * (across > 1), 0.13 if down > 1 else 0.0
            x0, x1 = column * wide + gap_x / 2, (column + 1) * wide - gap_x / 2
            y1 = 1 - row * tall
            y0 = y1 - tall + gap_y
            xaxis |= {"domain": [round(x0, 4), round(x1, 4)], "anchor": f"y{end}"}
            yaxis |= {"domain": [round(max(0.0, y0), 4), round(y1, 4)], "anchor": f"x{end}"}
            if i and not view.free:
                xaxis["matches"], yaxis["matches"] = "x", "y"
            if row < down - 1 and i + across < len(frames):
                xaxis["title"] = {"text": ""}
            if column:
                yaxis["title"] = {"text": ""}
            layout["annotations"].append(
                {
                    "x": round((x0 + x1) / 2, 4), "xref": "paper", "y": round(y1, 4), "yref": "paper",
                    "text": parts.safe(frame.panel.title), "showarrow": False, "yanchor": "bottom",
                    "font": {"size": 12, "color": theme.text},
                }
            )  # fmt: skip
        layout[f"xaxis{end}"], layout[f"yaxis{end}"] = xaxis, yaxis


def _by_subgroup(view: View) -> bool:
    return len({id(panel.points) for panel in view.panels}) > 1


def _range(axis: Json, scale: Scale, log: bool) -> None:
    """A fixed range, where both ends are given; one end leaves the other to the data."""
    if scale.low is None and scale.high is None:
        return

    def at(value: float | None) -> float | None:
        if value is None or (log and value <= 0):
            return None
        return math.log10(value) if log else value

    axis["range"] = [at(scale.low), at(scale.high)]
    axis["autorange"] = {(True, False): "max", (False, True): "min"}.get(
        (axis["range"][0] is not None, axis["range"][1] is not None), False
    )
    if axis["range"] == [None, None]:
        del axis["range"], axis["autorange"]


def _colour_axis(channel: Channel, theme: Theme) -> Json:
    """From faint to strong in one hue: order can be read from lightness alone, in print and by everybody."""
    strong = theme.hues["blue"]
    values = channel.values[np.isfinite(channel.values)]
    low, high = (float(values.min()), float(values.max())) if len(values) else (0.0, 1.0)
    return {
        "colorscale": [[0.0, faint_on(theme, strong.stroke, 0.16)], [1.0, strong.ink]],
        "cmin": low,
        "cmax": high if high > low else low + 1.0,
        "colorbar": {
            "title": {"text": parts.wrapped(channel.title, 14), "font": {"size": 11, "color": theme.muted}},
            "thickness": 10, "outlinewidth": 0, "tickfont": {"size": 11, "color": theme.muted}, "len": 0.8,
        },
    }  # fmt: skip


def faint_on(theme: Theme, colour: str, share: float) -> str:
    """A colour mixed with the page, opaque.

    >>> from backend.figures.theme import LIGHT
    >>> faint_on(LIGHT, "#000000", 0.5)
    '#808080'
    """
    mixed = [
        round(share * int(colour[i : i + 2], 16) + (1 - share) * int(theme.page[i : i + 2], 16)) for i in (1, 3, 5)
    ]
    return "#" + "".join(f"{value:02x}" for value in mixed)


# --- traces -----------------------------------------------------------------------------------------------------------


def _groups(frame: _Frame) -> list[_Group]:
    view, theme = frame.view, frame.theme
    if frame.detail.curves:
        private = [one for one in view.series if one.private]
        return [
            _Group(
                one.name, one.method, one.members, theme.of(one.method), look(one.method).symbol, True,
                private.index(one) - (len(private) - 1) / 2 if one.private else 0.0,
            )
            for one in view.series
        ]  # fmt: skip
    if view.colour is not None and view.colour.names:
        hues = [*theme.hues.values(), theme.neutral]
        codes = view.colour.values
        return [
            _Group(
                name, "", np.flatnonzero(codes == i).astype(np.int64), hues[i % len(hues)], SYMBOLS[i % len(SYMBOLS)],
                False, 0.0,
            )
            for i, name in enumerate(view.colour.names)
        ]  # fmt: skip
    by_method: dict[str, list[Ints]] = {}
    titles: dict[str, str] = {}
    for one in view.series:
        by_method.setdefault(one.method, []).append(one.members)
        titles[one.method] = one.title
    return [
        _Group(titles[m], m, np.sort(np.concatenate(found)), theme.of(m), look(m).symbol, False, 0.0)
        for m, found in by_method.items()
    ]


def _private(frame: _Frame, group: _Group) -> bool:
    infos = frame.panel.points.table.ordered_infos
    return bool(len(group.members)) and infos[int(group.members[0])].private


def _levels(frame: _Frame) -> Flags:
    """Baselines over epsilon that have a level."""
    points = frame.panel.points
    return frame.panel.shown & np.isnan(points.table.epsilons) & np.isfinite(points.y.mean)


def _x(frame: _Frame, values: Floats, order: float) -> Floats:
    return values * 10 ** (DODGE * order) if frame.along_epsilon and frame.x_log and order else values


def _hover(frame: _Frame, i: int) -> str:
    view, points = frame.view, frame.panel.points
    words, info = view.words, points.table.ordered_infos[i]
    lines = []
    if not frame.along_epsilon:
        ends = (points.x.mean[i], points.x.low[i], points.x.high[i])
        lines.append(f"{words.phrase(view.x.metric, view.x.subgroup)}: {parts.interval(*map(finite, ends))}")
    ends = (points.y.mean[i], points.y.low[i], points.y.high[i])
    lines.append(f"{words.phrase(view.y.metric, view.y.subgroup)}: {parts.interval(*map(finite, ends))}")
    for channel in (view.colour, view.size):
        if channel is not None and not channel.names:
            lines.append(f"{channel.title}: {parts.number(finite(channel.values[i]))}")
    seeds, n = int(points.y.seeds[i]), int(points.n[i])
    lines.append(f"{seeds} {'seed' if seeds == 1 else 'seeds'}" + (f", n = {n:,}" if n else ""))
    share = _share(frame, i)
    if share is not None:
        lines.append(f"On the frontier in {100 * share:.0f} % of {view.resamples:,} resamples of the seeds")
    if points.diverged[i]:
        lines.append(f"{int(points.diverged[i])} diverged and left out")
    if points.degenerate[i]:
        lines.append("Predicts one class for nearly everybody: its figures mean nothing")
    lines.append(parts.parameters({k: v for k, v in info.params.items() if k.startswith(("method.", "training."))}))
    return parts.hover(view.labels[info.id], lines)


def _short(frame: _Frame, members: Ints) -> Json:
    """Hover of many marks: the label of each, and the numbers that the trace has anyway."""
    view, points = frame.view, frame.panel.points
    ids = points.table.setting_ids[members].tolist()
    seeds = points.y.seeds[members]
    n = points.n[members]
    counted = f"{_between(seeds)} seeds" + (f", n = {_between(n[n > 0])}" if (n > 0).any() else "")
    x = parts.safe(view.words.phrase(view.x.metric, view.x.subgroup))
    y = parts.safe(view.words.phrase(view.y.metric, view.y.subgroup))
    return {
        "text": [parts.safe(view.labels[i]) for i in ids],
        "hovertemplate": f"<b>%{{text}}</b><br>{x}: %{{x:.3~g}}<br>{y}: %{{y:.3~g}}<br>{counted}<extra></extra>",
    }


def _between(values: Ints) -> str:
    low, high = int(values.min()), int(values.max())
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"


def _share(frame: _Frame, i: int) -> float | None:
    often = frame.view.often
    return finite(often[frame.number][i]) if frame.view.frontier and often else None


def _symbols(frame: _Frame, group: _Group, members: Ints) -> list[str]:
    points = frame.panel.points
    infos = points.table.ordered_infos
    names = [group.symbol or look(infos[i].method).symbol for i in members.tolist()]
    small = (points.n[members] > 0) & (points.n[members] < parts.SMALL_N)
    ill = points.degenerate[members]
    if not small.any() and not ill.any():
        return names
    marked = zip(names, small.tolist(), ill.tolist(), strict=True)
    return ["x-open" if bad else f"{name}-open" if few else name for name, few, bad in marked]


def _error(mean: Floats, low: Floats, high: Floats, colour: str) -> Json:
    return {
        "type": "data",
        "symmetric": False,
        "array": np.where(np.isfinite(high), high - mean, 0.0),
        "arrayminus": np.where(np.isfinite(low), mean - low, 0.0),
        "color": colour,
        "thickness": 1.4,
        "width": 0,
    }


def _marks(frame: _Frame, group: _Group) -> list[Json]:
    view, points, detail = frame.view, frame.panel.points, frame.detail
    members = frame.drawn(group.members)
    if not len(members):
        return []
    table, shades = points.table, group.shades
    line = group.line and len(members) > 1 and not view.x.exact_parameter
    symbols = _symbols(frame, group, members)
    marker: Json = {
        "symbol": symbols if detail.texts or len(set(symbols)) > 1 else symbols[0],
        "size": 9 if detail.texts else 5,
        "color": shades.stroke,
        "line": {"color": shades.stroke, "width": 1.5 if detail.texts else 0.5},
    }
    if not detail.texts:
        marker["opacity"] = 0.6
    if view.colour is not None and not view.colour.names:
        marker |= {"color": view.colour.values[members], "coloraxis": "coloraxis", "line": {"width": 0}}
    if view.size is not None:
        marker["size"] = _areas(view.size, members)
    trace: Json = {
        "type": "scatter",
        "mode": "lines+markers" if line else "markers",
        "name": parts.safe(group.name),
        "x": _x(frame, points.x.mean[members], group.order),
        "y": points.y.mean[members],
        "meta": {"settings": table.setting_ids[members].tolist()},
        "marker": marker,
        **frame.axes,
    }
    if detail.texts:
        starts, sizes = table.starts[members].tolist(), table.sizes[members].tolist()
        trace["customdata"] = [list(table.keys[a : a + size]) for a, size in zip(starts, sizes, strict=True)]
        trace |= {"hovertext": [_hover(frame, i) for i in members.tolist()], "hoverinfo": "text"}
    else:
        trace |= _short(frame, members)
    if group.line:
        trace["line"] = {"color": shades.stroke, "width": 2, "dash": look(group.method).dash}
    if detail.intervals:
        colour = faint(shades.stroke, 0.6)
        ends = points.y
        trace["error_y"] = _error(ends.mean[members], ends.low[members], ends.high[members], colour)
        if not view.x.exact:
            ends = points.x
            trace["error_x"] = _error(ends.mean[members], ends.low[members], ends.high[members], colour)
    return [*(_seeds(frame, group, members) if detail.seeds else []), trace]


def _areas(channel: Channel, members: Ints) -> Floats:
    """Diameters of marks whose area grows with the number; a setting without one is as small as the smallest."""
    known = channel.values[np.isfinite(channel.values)]
    low, high = (float(known.min()), float(known.max())) if len(known) else (0.0, 1.0)
    share = (channel.values[members] - low) / (high - low) if high > low else np.full(len(members), 0.5)
    return 5 + 15 * np.sqrt(np.where(np.isfinite(share), share, 0.0))


def _seeds(frame: _Frame, group: _Group, members: Ints) -> list[Json]:
    """Single seeds as faint marks."""
    points, table = frame.panel.points, frame.panel.points.table
    rows = np.concatenate(
        [np.arange(a, a + n) for a, n in zip(table.starts[members], table.sizes[members], strict=True)]
    )
    x = table.epsilons[table.place[rows]] if frame.along_epsilon else points.x_runs[rows]
    return [
        {
            "type": "scatter",
            "mode": "markers",
            "name": parts.safe(group.name),
            "x": _x(frame, x, group.order),
            "y": points.y_runs[rows],
            "customdata": [[table.keys[i]] for i in rows.tolist()],
            "meta": {"settings": table.settings[rows].tolist()},
            "hoverinfo": "skip",
            "marker": {"size": 4, "color": faint(group.shades.stroke, 0.4)},
            **frame.axes,
        }
    ]


def _reference(frame: _Frame, group: _Group) -> list[Json]:
    """A baseline over epsilon: it has none, so it is a level and never a point."""
    points, table = frame.panel.points, frame.panel.points.table
    low, high = frame.level
    shades = group.shades
    traces: list[Json] = []
    levels = _levels(frame)
    for i in group.members[levels[group.members]].tolist():
        text = _hover(frame, i)
        keys = list(table.keys[table.starts[i] : table.starts[i] + table.sizes[i]])
        common = {"type": "scatter", "name": parts.safe(group.name), "x": [low, high], **frame.axes}
        mean, ends = float(points.y.mean[i]), (finite(points.y.low[i]), finite(points.y.high[i]))
        if None not in ends:
            band = {"mode": "lines", "line": {"width": 0}, "hoverinfo": "skip", "showlegend": False}
            colour = faint(shades.stroke, 0.09)
            traces.append({**common, **band, "y": [ends[0]] * 2})
            traces.append({**common, **band, "y": [ends[1]] * 2, "fill": "tonexty", "fillcolor": colour})
        traces.append(
            {
                **common,
                "mode": "lines",
                "y": [mean, mean],
                "customdata": [keys, keys],
                "meta": {"settings": [int(table.setting_ids[i])] * 2},
                "hovertext": [text, text],
                "hoverinfo": "text",
                "line": {"color": shades.stroke, "width": 1.5, "dash": "dash"},
            }
        )
    return traces


def _frontier(frame: _Frame) -> list[Json]:
    """A thin step line, below (or above) which nothing was measured, and a ring around each setting on it.

    The ring is the stronger, the more resamples of the seeds put the setting there.
    """
    view, points = frame.view, frame.panel.points
    if view.x.metric.higher_is_better is None or view.y.metric.higher_is_better is None:
        return []
    best = frame.drawn(np.flatnonzero(points.on_frontier & frame.panel.shown).astype(np.int64))
    if not len(best):
        return []
    best = best[np.lexsort((points.y.mean[best], points.x.mean[best]))]
    x, y = points.x.mean[best], points.y.mean[best]
    traces: list[Json] = [
        {
            "type": "scatter",
            "mode": "lines",
            "name": "Frontier",
            "x": x,
            "y": y,
            "line": {
                "color": frame.theme.muted,
                "width": 1.2,
                "shape": "vh" if view.x.metric.higher_is_better else "hv",
            },
            "hoverinfo": "skip",
            **frame.axes,
        }
    ]
    share = view.often[frame.number] if view.often else np.full(len(points), np.nan)
    near = frame.drawn(np.flatnonzero((share > 0) & frame.panel.shown).astype(np.int64))
    if len(near):
        ids = points.table.setting_ids[near].tolist()
        traces.append(
            {
                "type": "scatter",
                "mode": "markers",
                "name": "On the frontier",
                "x": points.x.mean[near],
                "y": points.y.mean[near],
                "meta": {"settings": ids},
                "hovertext": [_hover(frame, i) for i in near.tolist()],
                "hoverinfo": "text",
                "marker": {
                    "symbol": "circle-open",
                    "size": 15,
                    "color": frame.theme.text,
                    "opacity": 0.15 + 0.85 * share[near],
                    "line": {"width": 1.5},
                },
                **frame.axes,
            }
        )
    return traces


# --- names ------------------------------------------------------------------------------------------------------------


def _label_ends(frame: _Frame, layout: Json) -> None:
    """Names at the right end of each curve, moved apart where they would cover each other.

    Over epsilon, curves that reach the right end, and levels, have their names beside the plot.
    """
    view, points = frame.view, frame.panel.points
    ends: list[tuple[SettingSeries, int, bool]] = []
    for one in view.series:
        level = not one.private and frame.along_epsilon
        shown = one.members[_levels(frame)[one.members]] if level else frame.drawn(one.members)
        if level:
            ends += [(one, i, True) for i in shown.tolist()]
        elif len(shown):
            ends.append((one, int(shown[np.argmax(points.x.mean[shown])]), False))
    if not ends:
        return
    width = 15 if frame.narrow else 24
    last = max((float(points.x.mean[i]) for _, i, level in ends if not level), default=None)
    texts = [parts.wrapped(_end_text(frame, one, i), width) for one, i, _ in ends]
    drawn = frame.panel.shown & np.isfinite(points.y.mean)
    edges = np.concatenate([points.y.mean[drawn], points.y.low[drawn], points.y.high[drawn]])
    if frame.y_log:
        edges = np.log10(edges[edges > 0])
    edges = edges[np.isfinite(edges)]
    heights = [parts.LABEL_HEIGHT * (1 + text.count("<br>")) for text in texts]
    at = [_place(float(points.y.mean[i]), frame.y_log) for _, i, _ in ends]
    shifts = parts.spread(at, float(edges.min()), float(edges.max()), heights)
    for (one, i, level), text, shift, y in zip(ends, texts, shifts, at, strict=True):
        x = 0.0 if level else float(points.x.mean[i])
        ink = frame.theme.of(one.method).ink
        beside = frame.along_epsilon and (level or x == last)
        where: Json = {"x": 1.0, "xref": "paper", "xshift": 6} if beside else {}
        label = parts.end_label(frame.theme, _place(x, frame.x_log), y, text, ink, yshift=shift)
        layout["annotations"].append({**label, **where})
    longest = max(len(line) for text in texts for line in text.split("<br>"))
    layout["margin"]["r"] = min(150 if frame.narrow else 220, 18 + parts.CHARACTER * longest)


def _place(value: float, log: bool) -> float:
    return math.log10(value) if log and value > 0 else value


def _end_text(frame: _Frame, one: SettingSeries, i: int) -> str:
    if frame.along_epsilon:
        return one.name if one.private or "private" in one.name else f"{one.name}, not private"
    # Which end it is cannot be read off the axes.
    epsilon = frame.panel.points.table.ordered_infos[i].epsilon
    return one.name if epsilon is None else f"{one.name}, ε = {value_text(epsilon)}"


def _key(frame: _Frame, layout: Json) -> None:
    """Names the symbols above the plot, where curves have no ends to write them at."""
    entries = [(group.name, group.symbol, group.shades.ink) for group in _groups(frame) if len(group.members)]
    if frame.view.colour is not None and not frame.view.colour.names:
        entries = [(name, symbol, frame.theme.text) for name, symbol, _ in entries]
    parts.key(entries[:MOST_CURVES], layout, frame.theme, frame.narrow, above=18 if len(frame.view.panels) > 1 else 0)


# --- table ------------------------------------------------------------------------------------------------------------


def _table(view: View, most: int | None) -> tuple[list[TableColumn], list[list[Cell]], list[int], int]:
    """Columns, rows, the setting of each, and how many rows there are in all.

    Settings on the frontier come first if not all are shown.
    """
    words, x, y = view.words, view.x, view.y
    several = len(view.panels) > 1
    columns = [TableColumn(title="Panel", numeric=False)] if several else []
    columns += [TableColumn(title="Setting", numeric=False), TableColumn(title="ε")]
    with_x = not x.is_epsilon
    for axis in ([x] if with_x else []) + [y]:
        subgroup = "all" if axis is y and _by_subgroup(view) else axis.subgroup
        columns.append(TableColumn(title=words.phrase(axis.metric, subgroup), unit=axis.metric.unit))
        if not axis.exact:
            columns += [TableColumn(title=f"95 % {end}", unit=axis.metric.unit) for end in ("low", "high")]
    channels = [c for c in (view.colour, view.size) if c is not None]
    columns += [TableColumn(title=c.title, numeric=not c.names) for c in channels]
    columns += [TableColumn(title="n"), TableColumn(title="Seeds")]
    with_share = view.frontier and bool(view.often)
    columns += [TableColumn(title="On the frontier", unit="share of resamples")] if with_share else []
    columns += [TableColumn(title="Note", numeric=False)]
    order = np.concatenate([one.members for one in view.series] or [np.zeros(0, dtype=np.int64)])
    listed = [(p, int(i)) for p, panel in enumerate(view.panels) for i in order[panel.shown[order]]]
    of = len(listed)
    if most is not None and of > most:
        listed.sort(key=lambda at: not view.panels[at[0]].points.on_frontier[at[1]])
        listed = listed[:most]
    rows: list[list[Cell]] = []
    settings: list[int] = []
    for p, i in listed:
        panel = view.panels[p]
        points = panel.points
        info = points.table.ordered_infos[i]
        row: list[Cell] = [panel.title] if several else []
        row += [view.labels[info.id], info.epsilon]
        for axis, ends in ([(x, points.x)] if with_x else []) + [(y, points.y)]:
            row.append(finite(ends.mean[i]))
            row += [] if axis.exact else [finite(ends.low[i]), finite(ends.high[i])]
        row += [c.names[int(c.values[i])] if c.names else finite(c.values[i]) for c in channels]
        row += [int(points.n[i]) or None, int(points.y.seeds[i])]
        row += [finite(view.often[p][i])] if with_share else []
        notes = [] if info.private else ["not private"]
        notes += ["one class for nearly everybody"] if points.degenerate[i] else []
        notes += [f"{int(points.diverged[i])} diverged"] if points.diverged[i] else []
        notes += ["on the frontier"] if points.on_frontier[i] else []
        rows.append([*row, ", ".join(notes)])
        settings.append(info.id)
    return columns, rows, settings, of
