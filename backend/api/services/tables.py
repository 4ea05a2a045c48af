"""Runs and columns of sets of jobs, kept in the process while nothing changes.

Results never change once they are written, so what was read stays true until a run is added to the set. Every request
asks the database whether that happened (`columns.moment`, two looks at an index): the answer is right with several
replicas of the API and with workers in other processes. Of a set that grew, or of another set with the same runs, only
what is new is read. What is kept is bounded in bytes, the least recently used leaves first.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any, TypeVar, cast
from weakref import WeakValueDictionary

import numpy as np
from pydantic_core import from_json
from sqlalchemy.orm import Session

from backend.analysis.labels import EPSILON, Words
from backend.analysis.table import Column, Flags, Ints, RunTable, SettingInfo
from backend.contracts.catalogue import Catalogue
from backend.store import columns, workers
from backend.store.tables import SettingRow

T = TypeVar("T")

#: Bytes of arrays and names that one process keeps.
MOST_BYTES = 160 * 2**20
#: What a Python text or a small object takes, about.
TEXT_BYTES = 70

#: One run in so many is few: then single numbers are read instead of a whole column.
FEW_OF = 10

SetKey = tuple[tuple[str, ...], datetime | None]


class Kept:
    """Values by key and version, least recently used first out; safe in threads.

    Two threads that miss the same key do the work once: the second waits for the first.
    """

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self.most_bytes = most_bytes
        self.bytes = 0
        self._lock = threading.Lock()
        self._values: OrderedDict[Hashable, tuple[Hashable, Any, int]] = OrderedDict()
        self._busy: dict[Hashable, threading.Lock] = {}

    def __len__(self) -> int:
        return len(self._values)

    def get(self, key: Hashable, version: Hashable, make: Callable[[], T], size: Callable[[T], int]) -> T:
        """The value of that key in that version, made if it is not there."""
        with self._lock:
            found = self._find(key, version)
            if found is not None:
                return cast(T, found[1])
            own = self._busy.setdefault((key, version), threading.Lock())
        with own:
            with self._lock:
                found = self._find(key, version)
            if found is not None:
                return cast(T, found[1])
            try:
                value = make()
                self._keep(key, version, value, size(value))
            finally:
                with self._lock:
                    self._busy.pop((key, version), None)
        return value

    def peers(self, name: Hashable) -> list[Any]:
        """Values of any set and version under that name, the most recently used first."""
        with self._lock:
            return [
                found[1]
                for key, found in reversed(self._values.items())
                if isinstance(key, tuple) and key[1:] == (name,)
            ]

    def _find(self, key: Hashable, version: Hashable) -> tuple[Hashable, Any, int] | None:
        found = self._values.get(key)
        if found is None or found[0] != version:
            return None
        self._values.move_to_end(key)
        return found

    def _keep(self, key: Hashable, version: Hashable, value: Any, size: int) -> None:
        with self._lock:
            before = self._values.pop(key, None)
            if before is not None:
                self.bytes -= before[2]
            if size > self.most_bytes:
                return
            self._values[key] = (version, value, size)
            self.bytes += size
            while self.bytes > self.most_bytes:
                _, (_, _, gone) = self._values.popitem(last=False)
                self.bytes -= gone


class Shelf:
    """What one process keeps of one database."""

    def __init__(self) -> None:
        self.kept = Kept()
        #: Settings by hash, as long as a table that is kept has them.
        self.infos: WeakValueDictionary[str, SettingInfo] = WeakValueDictionary()


#: Where the shelf lies in `Session.info`, which all sessions of one `Database` share.
SHELF = "shelf"


def shelf_of(session: Session) -> Shelf:
    """The shelf of the session's database; a session of nobody's has one of its own."""
    shared = session.info.get("kept")
    if shared is None:
        shared = session.info["kept"] = {}
    shelf: Shelf = shared.setdefault(SHELF, Shelf())
    return shelf


@dataclass(frozen=True)
class Read:
    """A table, and what tells its results from others: `marks` in ascending order, `order` where each stands."""

    table: RunTable
    marks: Ints
    order: Ints

    @classmethod
    def of(cls, table: RunTable, marks: Ints) -> Read:
        """From marks in the table's order."""
        order = np.argsort(marks, kind="stable")
        return cls(table, marks[order], order.astype(np.int64))

    def shared(self, other: Read) -> tuple[Ints, Ints]:
        """Places here and there of the results that both have."""
        if not len(self.marks) or not len(other.marks):
            none = np.zeros(0, dtype=np.int64)
            return none, none
        at = np.minimum(np.searchsorted(other.marks, self.marks), len(other.marks) - 1)
        same = other.marks[at] == self.marks
        return self.order[same], other.order[at[same]]


@dataclass
class RunSet:
    """The runs of some jobs that have a result by some moment, and columns over them, as one request sees them."""

    session: Session
    job_ids: tuple[str, ...]
    as_of: datetime | None = None
    table: RunTable = field(init=False)
    version: Hashable = field(init=False)

    def __post_init__(self) -> None:
        self._shelf = shelf_of(self.session)
        state = columns.job_state(self.session, self.job_ids)
        now = columns.moment(self.session)
        contents = self._kept(
            "contents", (state, now), lambda: columns.contents(self.session, self.job_ids, self.as_of), lambda _: 100
        )
        self.version = (state, contents)
        self._read = self.keep("table", self._table, _table_bytes)
        self.table = self._read.table

    @property
    def key(self) -> SetKey:
        """What names the set."""
        return self.job_ids, self.as_of

    def keep(self, name: Hashable, make: Callable[[], T], size: Callable[[T], int]) -> T:
        """Something that follows from the runs of this set alone, kept until the set changes."""
        return self._kept(name, self.version, make, size)

    def _kept(self, name: Hashable, version: Hashable, make: Callable[[], T], size: Callable[[T], int]) -> T:
        return self._shelf.kept.get((self.key, name), version, make, size)

    def _table(self) -> Read:
        read = columns.run_columns(self.session, self.job_ids, self.as_of)
        table = RunTable(
            ids=read.ids,
            keys=read.keys,
            seeds=read.seeds,
            settings=read.settings,
            degenerate=read.degenerate,
            diverged=read.diverged,
            infos=self._infos(np.unique(read.settings)),
        )
        return Read.of(table, read.marks)

    def _infos(self, setting_ids: Ints) -> dict[int, SettingInfo]:
        known = self._shelf.infos
        found: dict[int, SettingInfo] = {}
        for row in columns.settings_text(self.session, setting_ids):
            info = known.get(row.hash)
            # A setting that was deleted and came back has another row id.
            if info is None or info.id != row.id:
                info = known[row.hash] = StoredSetting(row)
            found[row.id] = info
        return found

    def column(self, metric: str, subgroup: str, split: str) -> Column:
        """One series over the runs of the set; NaN where there is no number."""
        if metric == EPSILON:
            return self.table.epsilon()
        name = (metric, subgroup, split)
        _, column = self.keep(name, lambda: (self._read, self._column(name)), lambda found: found[1].values.nbytes * 2)
        return column

    def part(self, metric: str, subgroup: str, split: str, mask: Flags, which: Hashable) -> Column:
        """The same of the runs in the mask, which `which` names.

        Where they are few and nobody has read the whole column, only theirs is read: a first view waits for no more.
        """
        name = (metric, subgroup, split)
        few = int(mask.sum()) * FEW_OF < len(mask)
        if metric == EPSILON or not few or self._shelf.kept.peers(name):
            whole = self.column(*name)
            return Column(whole.values[mask], whole.n[mask])
        return self.keep(
            ("part", name, which), lambda: self._part(name, self.table.ids[mask]), lambda found: found.values.nbytes * 2
        )

    def _part(self, name: tuple[str, str, str], ids: Ints) -> Column:
        series = columns.series_ids(self.session).get(name)
        read = columns.series_values(self.session, ids, series) if series is not None else []
        found = {run: (value, n) for run, value, n in read}
        own = [found.get(run, (None, None)) for run in ids.tolist()]
        return Column(
            np.array([value for value, _ in own], dtype=np.float64),
            np.array([n or 0 for _, n in own], dtype=np.int64),
        )

    def _column(self, name: tuple[str, str, str]) -> Column:
        table = self.table
        values, n = np.full(len(table), np.nan), np.zeros(len(table), dtype=np.int64)
        missing = np.ones(len(table), dtype=bool)
        for other, column in self._shelf.kept.peers(name):
            here, there = self._read.shared(other)
            values[here], n[here] = column.values[there], column.n[there]
            missing[here] = False
            if not missing.any():
                return Column(values, n)
        series = columns.series_ids(self.session).get(name)
        if series is not None:
            ordered = np.sort(table.ids[missing])
            read = table.aligned(*columns.series_column(self.session, self.job_ids, ordered, series))
            values[missing], n[missing] = read.values[missing], read.n[missing]
        return Column(values, n)

    def series(self) -> list[tuple[str, str, str]]:
        """Every (metric, subgroup, split) that has a row for a run of the set: the content of menus."""
        return self.keep("series", self._series, lambda found: 3 * TEXT_BYTES * len(found))

    def _series(self) -> list[tuple[str, str, str]]:
        return columns.series_in(self.session, self.job_ids, self.table.by_id[0])


def _table_bytes(read: Read) -> int:
    # Ids, seeds, settings, marks, places and orders, and twice as much for what is derived once it is asked for.
    return len(read.table) * (2 * 8 * 8 + TEXT_BYTES) + len(read.table.infos) * 2000


def run_set(session: Session, job_ids: Sequence[str], as_of: datetime | None = None) -> RunSet:
    """The runs of these jobs. Raises `NotFound` for a job that does not exist."""
    # In whatever order they are asked for, the same jobs are the same set.
    return RunSet(session, tuple(sorted(set(job_ids))), as_of)


def catalogue_of(session: Session) -> Catalogue | None:
    """The newest catalogue, None where no worker has ever started; parsed once per version."""
    version = workers.catalogue_version(session)
    if version is None:
        return None
    kept = shelf_of(session).kept
    return kept.get("catalogue", version, lambda: workers.catalogue(session), lambda _: 2_000_000)


def words_of(session: Session) -> Words:
    """Titles from the newest catalogue, if any."""
    version = workers.catalogue_version(session)
    if version is None:
        return Words()
    kept = shelf_of(session).kept
    return kept.get("words", version, lambda: Words.of(catalogue_of(session)), lambda _: 500_000)


class StoredSetting(SettingInfo):
    """A setting whose parameters are read when somebody looks at them: of ten thousand few are named."""

    def __init__(self, row: columns.SettingText) -> None:
        self.__dict__.update(
            id=row.id, method=row.method, epsilon=row.epsilon, dataset=row.dataset, model=row.model,
            context=row.context, rest=row.rest, version=row.version, _text=row.params,
        )  # fmt: skip

    @cached_property
    def params(self) -> dict[str, Any]:
        """Flat: method.*, training.*, model.*, dataset.*."""
        found: dict[str, Any] = from_json(self.__dict__["_text"])
        return found


def setting_info(row: SettingRow) -> SettingInfo:
    """What the analysis needs of a setting."""
    return SettingInfo(
        id=row.id,
        method=row.method,
        epsilon=row.epsilon,
        params=row.params,
        dataset=row.dataset,
        model=row.model,
        context=row.context,
        rest=row.rest,
        version=row.version,
    )
