"""How much smaller a metric is than a reference method's: along epsilon, and in every way of tuning beside a claim."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from backend.analysis.curves import Axis
from backend.analysis.effects import Effect
from backend.analysis.labels import Words, direction, lower_first, value_text
from backend.analysis.protocols import TITLES, Compared
from backend.analysis.significance import FEWEST_PAIRS, LEVEL
from backend.contracts.catalogue import MetricInfo
from backend.contracts.public import Claim, Figure, ProtocolRow, TableColumn
from backend.figures import parts
from backend.figures.parts import Cell, Json
from backend.figures.theme import Theme, look

DODGE = 0.02
#: Ways of tuning, for a narrow figure; the table gives them in full.
SHORT = {
    "validation_loss": "By loss",
    "shared": "Shared",
    "validation_accuracy": "By accuracy",
    "matched_loss": "Equal loss",
    "best_cell": "Best cell",
}
TEST = "paired Wilcoxon signed-rank tests over seeds, Holm-corrected; interval: BCa bootstrap over seeds, 95 %"


@dataclass(frozen=True)
class Mark:
    """One method against the reference at one epsilon."""

    effect: Effect
    p: float
    corrected: float | None
    bonferroni: float | None
    reachable: bool
    degenerate: bool

    def with_corrected(self, holm: float, bonferroni: float) -> Mark:
        """The same with its corrected p, where a test could pass at all."""
        return replace(self, corrected=holm, bonferroni=bonferroni) if self.reachable else self

    @property
    def passed(self) -> bool:
        """Whether the p corrected as Holm does is below the level."""
        return self.corrected is not None and self.corrected < LEVEL


def _bars(effects: Sequence[Effect], colour: str) -> Json:
    def beyond(value: float | None, end: float | None) -> float:
        return abs(end - value) if value is not None and end is not None else 0.0

    return {
        "type": "data", "symmetric": False, "color": colour, "thickness": 1.4, "width": 0,
        "array": [beyond(e.reduction, e.reduction_high) for e in effects],
        "arrayminus": [beyond(e.reduction, e.reduction_low) for e in effects],
    }  # fmt: skip


def _p(value: float | None) -> str:
    return "no test" if value is None else f"corrected p = {value:.2g}"


def _percent(e: Effect) -> str:
    if e.reduction is None:
        return "not defined"
    if e.reduction_low is None or e.reduction_high is None:
        return f"{e.reduction:.0f} %"
    return f"{e.reduction:.0f} % (95 %: {e.reduction_low:.0f} to {e.reduction_high:.0f})"


def reductions_figure(
    marks: Sequence[tuple[str, float, Mark]],
    reference: str,
    y: Axis,
    words: Words,
    theme: Theme,
    caption: str,
    width: int | None,
    *,
    mixed: bool = False,
) -> Figure:
    """Methods x epsilon; filled where the corrected p < 0.05, hollow otherwise, a labelled line at zero."""
    shown = [(m, e, k) for m, e, k in marks if k.effect.reduction is not None]
    what, versus = words.phrase(y.metric, y.subgroup), words.method(reference)
    title = f"{what} against that of {versus} at each ε"
    if not shown:
        reason = f"No other private method has runs at an ε at which {versus} has some. Choose another reference."
        if mixed:
            reason = "The study mixes data or models; methods are compared within one of each alone."
        return parts.empty("reductions", title, reason, theme, caption)
    narrow = width is not None and width < parts.NARROW
    layout = parts.layout(theme, revision=f"reductions|{y.metric.name}|{reference}|{y.subgroup}", left=60)
    layout["xaxis"] = parts.epsilon_axis(
        theme, "Privacy budget ε, lower is more private", [e for _, e, _ in shown], wrap=parts.across(narrow)
    )
    axis = f"Reduction of the {lower_first(y.metric.title)} against {versus}, %{_better(y.metric)}"
    layout["yaxis"] = parts.axis(theme, axis, wrap=parts.upright(narrow))
    zero = {"type": "line", "xref": "paper", "x0": 0, "x1": 1, "y0": 0, "y1": 0}
    layout["shapes"].append({**zero, "line": {"color": theme.muted, "width": 1.2, "dash": "dash"}})
    methods = sorted({m for m, _, _ in shown})
    data: list[Json] = []
    ends: list[tuple[float, str, str]] = [(0.0, f"as {versus}", theme.muted)]
    for index, method in enumerate(methods):
        own = [(e, k) for m, e, k in shown if m == method]
        shades, shift = theme.of(method), 10 ** (DODGE * (index - (len(methods) - 1) / 2))
        symbol = look(method).symbol
        data.append(
            {
                "type": "scatter",
                "mode": "lines+markers" if len(own) > 1 else "markers",
                "name": parts.safe(words.method(method)),
                "x": [e * shift for e, _ in own],
                "y": [k.effect.reduction for _, k in own],
                "error_y": _bars([k.effect for _, k in own], shades.stroke),
                "line": {"color": shades.stroke, "width": 1.5, "dash": look(method).dash},
                "marker": {
                    "size": 10,
                    "color": shades.stroke,
                    "line": {"color": shades.stroke, "width": 1.6},
                    "symbol": ["x-open" if k.degenerate else symbol if k.passed else f"{symbol}-open" for _, k in own],
                },
                "hoverinfo": "text",
                "hovertext": [
                    parts.hover(
                        f"{words.method(method)}, ε = {value_text(e)}",
                        [f"{what}: {_percent(k.effect)} smaller", _p(k.corrected), f"{k.effect.pairs} pairs"],
                    )
                    for e, k in own
                ],
            }
        )
        ends.append((own[-1][1].effect.reduction or 0.0, words.method(method), shades.ink))
    _labels(layout, theme, ends, [v for _, _, k in shown for v in _edges(k.effect)], narrow)
    how = f"{TEST}; filled: p < {LEVEL:g}, {len(marks)} {'test' if len(marks) == 1 else 'tests'}"
    if not any(k.reachable for _, _, k in marks):
        how += f"; fewer than {FEWEST_PAIRS} seeds: no test can reach p < {LEVEL:g}"
    passed = [(m, e, k) for m, e, k in shown if k.passed and not k.degenerate]
    if passed:
        m, e, k = max(passed, key=lambda one: abs(one[2].effect.reduction or 0.0))
        by = k.effect.reduction or 0.0
        title = (
            f"At ε = {value_text(e)}, {words.method(m)}'s {lower_first(what)} is "
            f"{abs(by):.0f} % {'smaller' if by > 0 else 'larger'} than {versus}'s "
            f"(Holm-corrected p = {k.corrected:.2g}, {k.effect.pairs} seeds)"
        )
    else:
        title += ": no difference passes its test"
    unsupported = None if passed else f"no difference passes its test ({how})"
    columns = [TableColumn(title="Method", numeric=False), TableColumn(title="ε")]
    columns += [TableColumn(title=t, unit="%") for t in ("Smaller by", "95 % low", "95 % high")]
    columns += [TableColumn(title="Mean difference", unit=y.metric.unit)]
    columns += [TableColumn(title=t) for t in ("p", "Holm p", "Bonferroni p", "Rank-biserial", "Pairs")]
    rows: list[list[Cell]] = [
        [words.method(m), e, k.effect.reduction, k.effect.reduction_low, k.effect.reduction_high,
         k.effect.difference, k.p if k.effect.pairs else None, k.corrected, k.bonferroni, k.effect.rank_biserial,
         k.effect.pairs]
        for m, e, k in marks
    ]  # fmt: skip
    return parts.figure(
        "reductions", title, f"{caption}; {how}", data, layout, columns, rows,
        supported=bool(passed), unsupported=unsupported,
    )  # fmt: skip


def _better(metric: MetricInfo) -> str:
    """Which way a reduction is better, to stand behind its axis title."""
    if metric.higher_is_better is None:
        return ""
    return f", {direction(metric.model_copy(update={'higher_is_better': not metric.higher_is_better}))}"


def _edges(e: Effect) -> list[float]:
    return [v for v in (0.0, e.reduction, e.reduction_low, e.reduction_high) if v is not None]


def _labels(
    layout: Json, theme: Theme, ends: Sequence[tuple[float, str, str]], edges: Sequence[float], narrow: bool
) -> None:
    texts = [parts.wrapped(text, 12 if narrow else 22) for _, text, _ in ends]
    heights = [parts.LABEL_HEIGHT * (1 + text.count("<br>")) for text in texts]
    shifts = parts.spread([y for y, _, _ in ends], min(edges), max(edges), heights)
    for (y, _, ink), text, shift in zip(ends, texts, shifts, strict=True):
        label = parts.end_label(theme, 1.0, y, text, ink, yshift=shift)
        layout["annotations"].append({**label, "xref": "paper", "xshift": 6})
    longest = max(len(line) for text in texts for line in text.split("<br>"))
    layout["margin"]["r"] = 18 + parts.CHARACTER * longest


# --- claims -----------------------------------------------------------------------------------------------------------


def reproduction_figure_of(
    compared: Sequence[Compared],
    rows: Sequence[ProtocolRow],
    claims: Sequence[Claim],
    subgroup: str,
    words: Words,
    theme: Theme,
    width: int | None,
) -> Figure:
    """Ways of tuning x epsilon as rows, the reduction across; one symbol per reference, the paper's figure dotted."""
    method = words.method(str(claims[0].method))
    title = f"{method}'s loss gap by {words.subgroup(subgroup)} against its rivals', in five ways of tuning"
    shown = [c for c in compared if c.effect.reduction is not None]
    if not shown:
        reason = "No way of tuning has its settings yet. They appear here as runs finish."
        return parts.empty("reproduction", title, reason, theme)
    narrow = width is not None and width < parts.NARROW
    # Above the rows: the labels of the lines, and above these the key.
    rise = 1.2 if narrow else 0.2
    keys = [(p, e) for p in TITLES for e in sorted({c.epsilon for c in shown if c.protocol == p})]
    place = {key: len(keys) - 1 - i for i, key in enumerate(keys)}
    top = len(keys) + rise + 1.7
    layout = parts.layout(theme, revision=f"reproduction|{subgroup}", right=20, height=190 + 28 * len(keys))
    axis = "Reduction of the loss gap against the rival, %, higher is fairer"
    layout["xaxis"] = parts.axis(theme, axis, wrap=26 if narrow else 90)
    names = [f"{(SHORT if narrow else TITLES)[p]}, ε = {e:g}" for p, e in keys]
    layout["yaxis"] = parts.axis(
        theme, "", tickmode="array", tickvals=[place[key] for key in keys], ticktext=names,
        range=[-0.7, top], ticks="", showline=False, fixedrange=True,
    )  # fmt: skip
    references = list(dict.fromkeys(c.reference for c in shown))
    data: list[Json] = []
    for i, reference in enumerate(references):
        own = [c for c in shown if c.reference == reference]
        shades, symbol, lift = theme.of(reference), look(reference).symbol, 0.16 * ((len(references) - 1) / 2 - i)
        passed = [c.corrected is not None and c.corrected < LEVEL for c in own]
        data.append(
            {
                "type": "scatter",
                "mode": "markers",
                "name": parts.safe(f"against {words.method(reference)}"),
                "x": [c.effect.reduction for c in own],
                "y": [place[c.protocol, c.epsilon] + lift for c in own],
                "error_x": _bars([c.effect for c in own], shades.stroke),
                "marker": {
                    "size": 9,
                    "color": shades.stroke,
                    "line": {"color": shades.stroke, "width": 1.6},
                    "symbol": [symbol if ok else f"{symbol}-open" for ok in passed],
                },
                "hoverinfo": "text",
                "hovertext": [
                    parts.hover(
                        f"{TITLES[c.protocol]}, ε = {c.epsilon:g}",
                        [f"{_percent(c.effect)} smaller than {words.method(reference)}'s", _p(c.corrected)],
                    )
                    for c in own
                ],
            }
        )
        # The key, above the rows: coloured names, since rows have no ends to be labelled at.
        layout["annotations"].append(
            parts.end_label(theme, 0.0, top - 0.3 - 0.75 * i, parts.safe(f"against {words.method(reference)}"),
                            shades.ink, xref="paper", xshift=0)
        )  # fmt: skip
    lines = [(0.0, "no difference", theme.muted, "dash")]
    for claim in claims:
        if claim.value is not None and claim.reference in references:
            lines.append((claim.value, f"paper {claim.value:g} %", theme.of(str(claim.reference)).ink, "dot"))
    for i, (x, text, ink, dash) in enumerate(lines):
        line = {"type": "line", "yref": "y", "y0": -0.7, "y1": len(keys) - 0.4, "x0": x, "x1": x}
        layout["shapes"].append({**line, "line": {"color": ink, "width": 1.3, "dash": dash}, "layer": "below"})
        lifted = 14 * i if narrow else 0
        layout["annotations"].append(
            {"x": x, "y": len(keys) - 0.4, "yanchor": "bottom", "yshift": lifted, "xanchor": "center", "text": text,
             "showarrow": False, "font": {"color": ink, "size": 11}}
        )  # fmt: skip
    tests = [c for c in shown if c.corrected is not None]
    ok = [c for c in tests if (c.corrected or 0.0) < LEVEL]
    less, more = (sum((c.effect.reduction or 0.0) * s > 0 for c in ok) for s in (1, -1))
    title += f": smaller in {less} of {len(tests)} tests, larger in {more}" if tests else ": no test can pass yet"
    pairs = sorted({c.effect.pairs for c in shown})
    seeds = f"{pairs[0]} seeds" if len(pairs) == 1 else f"{pairs[0]} to {pairs[-1]} seeds"
    caption = (
        f"{seeds}; {TEST}, all attributes of a way of tuning together; filled: p < {LEVEL:g}; the best cell is chosen "
        "on the test rows and has no test; tuning is not a private step"
    )
    return parts.figure(
        "reproduction", title, caption, data, layout, *_table(shown, rows, references, words),
        supported=bool(tests), unsupported=None if tests else f"fewer than {FEWEST_PAIRS} seeds: no test can pass yet",
    )  # fmt: skip


def _table(
    shown: Sequence[Compared], rows: Sequence[ProtocolRow], references: Sequence[str], words: Words
) -> tuple[list[TableColumn], list[list[Cell]]]:
    columns = [TableColumn(title="Way of tuning", numeric=False), TableColumn(title="ε")]
    columns += [TableColumn(title="Setting", numeric=False)]
    columns += [TableColumn(title="Gap", unit="nats"), TableColumn(title="Excess over no privacy", unit="nats")]
    for reference in references:
        columns += [TableColumn(title=f"Smaller than {words.method(reference)}", unit="%"), TableColumn(title="p")]
    columns += [TableColumn(title="Loss", unit="nats"), TableColumn(title="Accuracy"), TableColumn(title="AUROC")]
    columns += [TableColumn(title="Calibration error"), TableColumn(title="Majority share")]
    columns += [TableColumn(title="Note", numeric=False)]
    found = {(c.protocol, c.epsilon, c.method, c.reference): c for c in shown}
    out: list[list[Cell]] = []
    for row in rows:
        against: list[Cell] = []
        for reference in references:
            c = found.get((row.protocol, row.epsilon or 0.0, row.method, reference))
            against += [c.effect.reduction, c.corrected] if c is not None else [None, None]
        note = "one class for nearly everybody" if row.degenerate else "not private" if row.epsilon is None else ""
        out.append(
            [TITLES[row.protocol], row.epsilon, row.label, row.gap, row.excess_gap, *against, row.loss, row.accuracy,
             row.auroc, row.calibration_error, row.majority_share, note]
        )  # fmt: skip
    return columns, out
