"""The one source of colours. One hue, symbol and dash per method, the same on every screen; light and dark tokens.

Hues are Okabe and Ito's (2008), which the colour-blind tell apart. Where one of them has less than 3:1 contrast with
the page, lines take a darker or lighter shade of the same hue; labels, being text, take one with 4.5:1.
Red is kept for alarms.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

ThemeName = Literal["light", "dark"]


@dataclass(frozen=True)
class Shades:
    """A hue as marks and lines (`stroke`) and as text (`ink`)."""

    stroke: str
    ink: str


@dataclass(frozen=True)
class Theme:
    """Everything that has a colour in a figure."""

    name: ThemeName
    page: str
    text: str
    muted: str
    grid: str
    line: str
    hover: str
    shade: str
    alarm: str
    neutral: Shades
    hues: dict[str, Shades]

    def of(self, method: str) -> Shades:
        """A method's shades. Plain training is neutral: it is what the others are compared with."""
        return self.hues.get(look(method).hue, self.neutral)


LIGHT = Theme(
    name="light",
    page="#ffffff",
    text="#1d232a",
    muted="#59626e",
    grid="#e5e8ec",
    line="#b9c0c9",
    hover="#ffffff",
    shade="rgba(29,35,42,0.06)",
    alarm="#b3261e",
    neutral=Shades("#545d69", "#363e48"),
    hues={
        "blue": Shades("#0072b2", "#00609a"),
        "green": Shades("#009e73", "#00775a"),
        "orange": Shades("#c17f00", "#8a5a00"),
        "purple": Shades("#c4699a", "#9c4575"),
        "sky": Shades("#2f95cd", "#1f6f9c"),
        "vermillion": Shades("#d55e00", "#a84a00"),
    },
)
DARK = Theme(
    name="dark",
    page="#14181d",
    text="#d6dae0",
    muted="#98a1ac",
    grid="#2a3038",
    line="#454d58",
    hover="#1f242b",
    shade="rgba(214,218,224,0.08)",
    alarm="#ff8a80",
    neutral=Shades("#98a1ac", "#b7bdc6"),
    hues={
        "blue": Shades("#2a8dcc", "#79b8e2"),
        "green": Shades("#009e73", "#4cc9a4"),
        "orange": Shades("#e69f00", "#f0b84a"),
        "purple": Shades("#cc79a7", "#e0a3c4"),
        "sky": Shades("#56b4e9", "#8accf1"),
        "vermillion": Shades("#d55e00", "#f08b3e"),
    },
)
THEMES: dict[ThemeName, Theme] = {"light": LIGHT, "dark": DARK}


@dataclass(frozen=True)
class Look:
    """How a method is told from others without reading: hue, symbol, dash."""

    hue: str
    symbol: str
    dash: str


#: Methods that come with Equipoise. What is not here gets a fixed look from its name.
KNOWN: dict[str, Look] = {
    "sgd": Look("neutral", "circle", "dash"),
    "dp_sgd": Look("orange", "square", "solid"),
    "adaptive_dp_sgd": Look("blue", "diamond", "dashdot"),
    "soft_ada_clip": Look("green", "triangle-up", "solid"),
    "global_adapt": Look("purple", "hexagon", "dot"),
    "bounded_adaptive": Look("sky", "triangle-down", "dashdot"),
    "automatic_clipping": Look("vermillion", "pentagon", "dash"),
    "dp_sgd_f": Look("purple", "cross", "dash"),
    "past": Look("vermillion", "star", "solid"),
}
#: Symbols of what is no method, in order.
SYMBOLS = ("circle", "square", "diamond", "triangle-up", "triangle-down", "cross", "pentagon", "hexagon", "star", "x")
_SYMBOLS = ("x", "star-square", "hourglass", "bowtie", "star-diamond", "hexagram", "star-triangle-up")
_DASHES = ("solid", "dot", "dash", "dashdot", "longdash")


def look(method: str) -> Look:
    """The look of a method: fixed for known ones, derived from the name for others, the same for ever.

    >>> look("soft_ada_clip").hue, look("my_method") == look("my_method")
    ('green', True)
    """
    known = KNOWN.get(method)
    if known is not None:
        return known
    digest = hashlib.sha256(method.encode()).digest()
    hues = sorted(LIGHT.hues)
    return Look(hues[digest[0] % len(hues)], _SYMBOLS[digest[1] % len(_SYMBOLS)], _DASHES[digest[2] % len(_DASHES)])


def contrast(a: str, b: str) -> float:
    """Contrast ratio of two colours, as WCAG 2.2 defines it.

    >>> contrast("#000000", "#ffffff")
    21.0
    """
    low, high = sorted((_luminance(a), _luminance(b)))
    return round((high + 0.05) / (low + 0.05), 2)


def _luminance(colour: str) -> float:
    def channel(text: str) -> float:
        value = int(text, 16) / 255
        return float(value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4)

    r, g, b = (channel(colour[i : i + 2]) for i in (1, 3, 5))
    return 0.2126 * r + 0.7152 * g + 0.0722 * b


def faint(colour: str, opacity: float) -> str:
    """A colour made transparent."""
    r, g, b = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({r},{g},{b},{opacity:g})"


def weakest(theme: Theme) -> Iterable[tuple[str, float, float]]:
    """Every hue with the contrast of its strokes and of its text with the page."""
    for name, shades in {**theme.hues, "neutral": theme.neutral}.items():
        yield name, contrast(shades.stroke, theme.page), contrast(shades.ink, theme.page)
