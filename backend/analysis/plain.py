"""Numbers and counts as JSON and sentences have them. Imports nothing that takes time to load."""

from __future__ import annotations

import math
from typing import SupportsFloat


def finite(value: SupportsFloat) -> float | None:
    """A number as JSON has it: None for what is not defined or not finite.

    >>> finite(0.5), finite(float("nan")), finite(float("inf"))
    (0.5, None, None)
    """
    number = float(value)
    return number if math.isfinite(number) else None


def counted(number: int, noun: str) -> str:
    """A count with its noun.

    >>> counted(1, "run"), counted(1200, "seed")
    ('1 run', '1,200 seeds')
    """
    return f"{number:,} {noun}" + ("" if number == 1 else "s")
