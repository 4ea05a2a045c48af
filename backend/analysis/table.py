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
    def by_id(self) -> tuple[Ints, Ints]:
        """Row ids in ascending order, and the place of each in the table."""
        order = np.argsort(self.ids, kind="stable")
        return self.ids[order], order.astype(np.int64)

    def column(self, rows: Sequence[tuple[int, float | None, int | None]]) -> Column:
        """Aligns (run row id, value, n) with the table; rows of other runs are left out."""
        return self.aligned(
            np.array([row[0] for row in rows], dtype=np.int64),
            np.array([row[1] for row in rows], dtype=np.float64),
            np.array([row[2] or 0 for row in rows], dtype=np.int64),
        )

    def aligned(self, ids: Ints, values: Floats, n: Ints) -> Column:
        """The same from arrays `[rows]`."""
        whole = np.full(len(self), np.nan)
        counts = np.zeros(len(self), dtype=np.int64)
        if len(ids) and len(self):
            ordered, order = self.by_id
            place = np.minimum(np.searchsorted(ordered, ids), len(ordered) - 1)
            known = ordered[place] == ids
            at = order[place[known]]
            whole[at] = values[known]
            counts[at] = n[known]
        return Column(whole, counts)

    def epsilon(self) -> Column:
        """The asked epsilon as an axis: exactly what was asked, NaN for what is not private."""
        return self.per_setting(self.epsilons)

    def per_setting(self, values: Floats) -> Column:
        """A number of every setting as a column of its runs."""
        return Column(values[self.place], np.zeros(len(self), dtype=np.int64))

    @cached_property
    def starts(self) -> Ints:
        """Where each setting's runs begin, `[settings]`."""
        if not len(self):
            return np.zeros(0, dtype=np.int64)
        return np.flatnonzero(np.append(True, self.settings[1:] != self.settings[:-1])).astype(np.int64)

    @cached_property
    def sizes(self) -> Ints:
        """Runs of each setting, `[settings]`."""
        return np.diff(np.append(self.starts, len(self))).astype(np.int64)

    @cached_property
    def place(self) -> Ints:
        """To which setting each run belongs: its place in `setting_ids`, `[runs]`."""
        return np.repeat(np.arange(len(self.starts)), self.sizes).astype(np.int64)

    @cached_property
    def setting_ids(self) -> Ints:
        """Settings in the table's order, `[settings]`."""
        return self.settings[self.starts]

    @cached_property
    def ordered_infos(self) -> list[SettingInfo]:
        """What is known of each setting, in the table's order."""
        return [self.infos[s] for s in self.setting_ids.tolist()]

    @cached_property
    def epsilons(self) -> Floats:
        """The asked epsilon of each setting, NaN where there is none, `[settings]`."""
        return np.array([info.epsilon for info in self.ordered_infos], dtype=np.float64)

    def blocks(self) -> list[tuple[int, slice]]:
        """(setting, its runs), in the table's order."""
        ends = np.append(self.starts[1:], len(self)).tolist()
        return [
            (setting, slice(a, b))
            for setting, a, b in zip(self.setting_ids.tolist(), self.starts.tolist(), ends, strict=False)
        ]

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
