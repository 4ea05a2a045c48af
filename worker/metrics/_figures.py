"""Figures of many runs as arrays, and the measurements that are written of them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from backend.contracts.results import Measurement, Split

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Figure:
    """One metric of all runs: `value[..., subgroup]`, with one subgroup for each of `subgroups`.

    NaN where a value or an end of its interval is not defined. `n` (rows it was measured on), `low` and `high` have
    the shape of `value` or broadcast to it; so does `value` to the leading axes of the runs.
    """

    metric: str
    subgroups: Sequence[str]
    value: Array
    n: Array | None = None
    low: Array | None = None
    high: Array | None = None


def measurements(figures: Iterable[Figure], runs: tuple[int, ...], split: Split) -> list[list[Measurement]]:
    """The measurements of each run, the leading axes `runs` flattened: of one run where there are none."""
    answer: list[list[Measurement]] = [[] for _ in range(math.prod(runs))]
    for figure in figures:
        names = figure.subgroups
        shape = (*runs, len(names))
        values = _rows(figure.value, shape)
        counts, lows, highs = (_rows(one, shape) for one in (figure.n, figure.low, figure.high))
        for run, row in enumerate(values):
            answer[run].extend(
                Measurement(
                    metric=figure.metric,
                    subgroup=name,
                    split=split,
                    value=value,
                    n=None if n is None else int(n),
                    low=None if value is None else low,
                    high=None if value is None else high,
                )
                for name, value, n, low, high in zip(names, row, counts[run], lows[run], highs[run], strict=True)
            )
    return answer


def _rows(figure: Array | None, shape: tuple[int, ...]) -> list[list[Any]]:
    """`[runs, subgroups]` as lists, None where not defined."""
    flat = (math.prod(shape[:-1]), shape[-1])
    if figure is None:
        return [[None] * flat[1]] * flat[0]
    whole = np.broadcast_to(np.asarray(figure), shape).reshape(flat)
    missing = np.isnan(whole)
    if missing.any():
        whole = whole.astype(object)
        whole[missing] = None
    rows: list[list[Any]] = whole.tolist()
    return rows
