"""Runs and measurements as columns: one entry per run, one array per axis."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

Floats = np.ndarray[Any, np.dtype[np.float64]]
Ints = np.ndarray[Any, np.dtype[np.int64]]
Flags = np.ndarray[Any, np.dtype[np.bool_]]


@dataclass(frozen=True)
class SettingInfo:
    """One setting: everything of a run but its seed.

    `context` is equal for settings on the same data and model, `rest` for settings that differ in epsilon alone.
    """

    id: int
    method: str
    epsilon: float | None
    params: Mapping[str, Any]
    dataset: str
    model: str
    context: str
    rest: str
    version: str = ""

    @property
    def private(self) -> bool:
        """Whether it was asked for an epsilon."""
        return self.epsilon is not None


@dataclass(frozen=True)
class Column:
    """One series over the runs of a table: `values` and `n` are `[runs]`, NaN and 0 where there is no number."""

    values: Floats
    n: Ints

    @property
    def empty(self) -> bool:
        """Whether no run has a number."""
        return not bool(np.isfinite(self.values).any())


@dataclass(frozen=True)
class RunTable:
    """Runs with a result, in order of setting and seed; all arrays are `[runs]`."""

    ids: Ints
    keys: Sequence[str]
    seeds: Ints
    settings: Ints
    degenerate: Flags
    diverged: Flags
    infos: Mapping[int, SettingInfo]

    @classmethod
    def of(cls, rows: Iterable[tuple[int, str, int, str, bool, int]], infos: Iterable[SettingInfo]) -> RunTable:
        """From (row id, key, seed, status, degenerate, setting)."""
        listed = sorted(rows, key=lambda row: (row[5], row[2], row[0]))
        return cls(
            ids=np.array([row[0] for row in listed], dtype=np.int64),
            keys=[row[1] for row in listed],
            seeds=np.array([row[2] for row in listed], dtype=np.int64),
            settings=np.array([row[5] for row in listed], dtype=np.int64),
            degenerate=np.array([row[4] for row in listed], dtype=bool),
            diverged=np.array([row[3] == "diverged" for row in listed], dtype=bool),
            infos={info.id: info for info in infos},
        )

    def __len__(self) -> int:
        return len(self.ids)

    @cached_property
    def _by_id(self) -> tuple[Ints, Ints]:
        order = np.argsort(self.ids, kind="stable")
        return self.ids[order], order.astype(np.int64)

    def column(self, rows: Sequence[tuple[int, float | None, int | None]]) -> Column:
        """Aligns (run row id, value, n) with the table; rows of other runs are left out."""
        values = np.full(len(self), np.nan)
        n = np.zeros(len(self), dtype=np.int64)
        if rows and len(self):
            ids = np.array([row[0] for row in rows], dtype=np.int64)
            ordered, order = self._by_id
            place = np.minimum(np.searchsorted(ordered, ids), len(ordered) - 1)
            known = ordered[place] == ids
            at = order[place[known]]
            values[at] = np.array([np.nan if row[1] is None else row[1] for row in rows], dtype=np.float64)[known]
            n[at] = np.array([row[2] or 0 for row in rows], dtype=np.int64)[known]
        return Column(values, n)

    def epsilon(self) -> Column:
        """The asked epsilon as an axis: exactly what was asked, NaN for what is not private."""
        values = [self.infos[s].epsilon for s in self.settings.tolist()]
        return Column(
            np.array([np.nan if v is None else v for v in values], dtype=np.float64),
            np.zeros(len(self), dtype=np.int64),
        )

    def blocks(self) -> list[tuple[int, slice]]:
        """(setting, its runs), in the table's order."""
        if not len(self):
            return []
        starts = np.flatnonzero(np.append(True, self.settings[1:] != self.settings[:-1]))
        ends = np.append(starts[1:], len(self))
        return [(int(self.settings[a]), slice(int(a), int(b))) for a, b in zip(starts, ends, strict=True)]

    def only(self, keep: Iterable[int]) -> Flags:
        """Runs of these settings, as a mask."""
        return np.isin(self.settings, np.fromiter(keep, dtype=np.int64))

    def take(self, mask: Flags) -> RunTable:
        """The table of the runs in the mask."""
        return RunTable(
            ids=self.ids[mask],
            keys=[self.keys[i] for i in np.flatnonzero(mask).tolist()],
            seeds=self.seeds[mask],
            settings=self.settings[mask],
            degenerate=self.degenerate[mask],
            diverged=self.diverged[mask],
            infos=self.infos,
        )
