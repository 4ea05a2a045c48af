"""Claimed against audited epsilon: a bound above the claim is an alarm."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from backend.analysis.alarms import LEVEL
from backend.analysis.labels import Words
from backend.contracts.public import Figure, TableColumn
from backend.figures import parts
from backend.figures.parts import Cell, Json
from backend.figures.theme import Theme

#: What the accountants are called.
ACCOUNTANTS = {"rdp": "RDP", "prv": "PRV", "pld": "PLD"}
_TICKS = {"rdp": "line-ew", "prv": "cross-thin", "pld": "x-thin"}


@dataclass(frozen=True)
class Audit:
    """One audit of one run: claim, lower bound at 95 % confidence, p-value of the claim, what accountants say."""

    run: str
    setting: int
    label: str
    method: str
    audit: str
    claim: float
    bound: float
    p: float
    refuted: bool
    accountants: Mapping[str, float]


def audit_figure(audits: Sequence[Audit], theme: Theme, words: Words, *, caption: str, width: int | None) -> Figure:
    """A triangle at each bound, pointing to where the true epsilon may be; red where the claim is refuted."""
    title = "Claimed ε beside what audits bound it from below by"
    if not audits:
        reason = "No run of these studies was audited. Submit one with an audit among its attacks."
        return parts.empty("audit", title, reason, theme, caption)
    narrow = width is not None and width < parts.NARROW
    claims = [a.claim for a in audits]
    low, high = min(claims), max(claims)
    layout = parts.layout(theme, revision="audit")
    layout["xaxis"] = parts.epsilon_axis(
        theme, "Claimed ε, lower is more private", sorted(set(claims)), wrap=parts.across(narrow)
    )
    layout["yaxis"] = parts.axis(
        theme, "Audited ε, lower bound at 95 % confidence", wrap=parts.upright(narrow), rangemode="tozero"
    )
    ends = [low / 1.2, high * 1.2]
    steps = [ends[0] * (ends[1] / ends[0]) ** (i / 40) for i in range(41)]
    data: list[Json] = [
        {
            "type": "scatter", "mode": "lines", "name": "Claim", "x": steps, "y": steps, "hoverinfo": "skip",
            "line": {"color": theme.muted, "width": 1.2, "dash": "dash"},
        }
    ]  # fmt: skip
    for name, symbol in _TICKS.items():
        said = [a for a in audits if math.isfinite(a.accountants.get(name, math.nan))]
        if said:
            data.append(
                {
                    "type": "scatter", "mode": "markers", "name": ACCOUNTANTS[name],
                    "x": [a.claim for a in said], "y": [a.accountants[name] for a in said],
                    "meta": {"settings": [a.setting for a in said]}, "customdata": [[a.run] for a in said],
                    "hovertext": [_hover(a) for a in said], "hoverinfo": "text",
                    "marker": {"symbol": symbol, "size": 9, "line": {"color": theme.muted, "width": 1.4}},
                }
            )  # fmt: skip
    for method in sorted({a.method for a in audits}):
        own = [a for a in audits if a.method == method]
        shades = theme.of(method)
        colours = [theme.alarm if a.refuted else shades.stroke for a in own]
        data.append(
            {
                "type": "scatter", "mode": "markers", "name": parts.safe(words.method(method)),
                "x": [a.claim for a in own], "y": [a.bound for a in own],
                "meta": {"settings": [a.setting for a in own]}, "customdata": [[a.run] for a in own],
                "hovertext": [_hover(a) for a in own], "hoverinfo": "text",
                "marker": {
                    "symbol": ["triangle-up" if a.refuted else "triangle-up-open" for a in own],
                    "size": 11, "color": colours, "line": {"color": colours, "width": 1.6},
                },
                "error_y": {
                    "type": "data", "symmetric": False, "array": [0.0] * len(own), "arrayminus": [a.bound for a in own],
                    "color": shades.stroke, "thickness": 0.6, "width": 0,
                },
            }
        )  # fmt: skip
    entries = [(words.method(m), "triangle-up", theme.of(m).ink) for m in sorted({a.method for a in audits})]
    heard = [n for n in ACCOUNTANTS if any(math.isfinite(a.accountants.get(n, math.nan)) for a in audits)]
    parts.key(entries, layout, theme, narrow)
    layout["annotations"].append(
        parts.end_label(theme, math.log10(high), high, "claim", theme.muted, xanchor="right", xshift=-8, yshift=8)
    )
    said_below = [
        caption,
        f"{len(audits)} {'audit' if len(audits) == 1 else 'audits'}; a triangle is a lower bound, the true ε is above",
        f"red: the claim is refuted at {LEVEL:g} over the number of audits of its study (Bonferroni)",
    ]
    if heard:
        said_below.append("ticks: what " + ", ".join(ACCOUNTANTS[n] for n in heard) + " say of the noise")
    columns = [
        TableColumn(title="Run", numeric=False), TableColumn(title="Setting", numeric=False),
        TableColumn(title="Audit", numeric=False), TableColumn(title="Claimed ε"), TableColumn(title="Lower bound"),
        TableColumn(title="p at the claim"), *(TableColumn(title=f"ε by {ACCOUNTANTS[n]}") for n in heard),
        TableColumn(title="Note", numeric=False),
    ]  # fmt: skip
    ordered = sorted(audits, key=lambda a: (not a.refuted, a.p, a.run))
    rows: list[list[Cell]] = [
        [
            a.run, a.label, a.audit, a.claim, a.bound, a.p, *(a.accountants.get(n) for n in heard),
            "claim refuted" if a.refuted else "",
        ]
        for a in ordered
    ]  # fmt: skip
    caption = "; ".join(s for s in said_below if s)
    settings = [a.setting for a in ordered]
    return parts.figure("audit", finding(audits), caption, data, layout, columns, rows, settings, supported=True)


def finding(audits: Sequence[Audit]) -> str:
    """Whether any claim is refuted. That none is does not show that the claims hold, and is not said so."""
    bad = len({a.run for a in audits if a.refuted})
    whole = len({a.run for a in audits})
    if bad:
        return f"Audits refute the claimed ε of {bad} of {whole} {'run' if whole == 1 else 'runs'}"
    return f"No audit refutes a claimed ε, {whole} {'run' if whole == 1 else 'runs'} audited"


def _hover(a: Audit) -> str:
    heard = [f"{ACCOUNTANTS[n]} {parts.number(v)}" for n, v in a.accountants.items() if math.isfinite(v)]
    return parts.hover(
        a.label,
        [
            f"{a.audit}: at least ε = {parts.number(a.bound)} (95 % confidence)",
            f"Claimed ε = {parts.number(a.claim)}; p = {a.p:.2g} if it were true",
            "Accountants: " + ", ".join(heard) if heard else "",
            "The audit refutes the claim" if a.refuted else "",
            f"Run {a.run}",
        ],
    )
