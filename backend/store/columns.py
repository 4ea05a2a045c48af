"""Whole columns for charts, straight from the driver: what 100,000 runs need is read without one object per row.

Statements name jobs, or ranges of runs; single runs only where a few are new.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

import numpy as np
from sqlalchemy import Text, case, cast, func, select
from sqlalchemy.orm import Session

from backend.contracts.results import FINISHED
from backend.errors import NotFound
from backend.store._sql import joined
from backend.store.tables import JobEventRow, JobRow, JobRunRow, MeasurementRow, RunRow, SeriesRow, SettingRow

Ints = np.ndarray[Any, np.dtype[np.int64]]
Floats = np.ndarray[Any, np.dtype[np.float64]]
Flags = np.ndarray[Any, np.dtype[np.bool_]]

#: A series is read as one range of run ids unless that would read more than this many times the runs asked for.
WASTE = 4
#: Up to so many runs are named one by one.
FEW = 500
#: Looks at an index before a series' presence is settled by one exact question.
LOOKS = 8


@dataclass(frozen=True)
class RunColumns:
    """Runs with a result, in order of setting, seed and id; all `[runs]`."""

    ids: Ints
    keys: list[str]
    seeds: Ints
    settings: Ints
    degenerate: Flags
    diverged: Flags
    #: What tells a run's result from that of any other, also of one that had the same row before a deletion.
    marks: Ints


class SettingText(NamedTuple):
    """A setting as the database has it; parameters are read where somebody looks at them."""

    id: int
    hash: str
    method: str
    epsilon: float | None
    dataset: str
    model: str
    context: str
    rest: str
    version: str
    params: str


def _fetch(session: Session, query: Any) -> list[tuple[Any, ...]]:
    """The driver's own tuples: no row objects, no type conversion."""
    result: Any = session.connection().execute(query)
    rows: list[tuple[Any, ...]] = result.cursor.fetchall()
    result.close()
    return rows


@contextmanager
def _streamed(session: Session, query: Any) -> Iterator[Iterator[tuple[Any, ...]]]:
    """The same one after the other, where a list of them would only be thrown away."""
    result: Any = session.connection().execute(query)
    try:
        yield iter(result.cursor)
    finally:
        result.close()


def _of_jobs(job_ids: Sequence[str]) -> Any:
    return select(JobRunRow.run_id).where(JobRunRow.job_id.in_(job_ids))


def _finished(job_ids: Sequence[str], as_of: datetime | None) -> list[Any]:
    conditions: list[Any] = [RunRow.id.in_(_of_jobs(job_ids)), RunRow.status.in_(FINISHED)]
    return [*conditions, RunRow.finished_at <= as_of] if as_of is not None else conditions


def moment(session: Session) -> tuple[int, ...]:
    """Changes with whatever changes a chart: no result is written or removed without one of these moving.

    The newest event alone would do on SQLite; on Postgres an older number may be committed after a newer one.
    """
    newest = session.scalar(select(func.max(JobEventRow.id))) or 0
    finished = session.scalar(select(func.count()).select_from(RunRow).where(RunRow.status.in_(FINISHED))) or 0
    return int(newest), int(finished)


def job_state(session: Session, job_ids: Sequence[str]) -> tuple[tuple[str, int, int], ...]:
    """(id, submission, attempt) of each job. Raises `NotFound` for one that does not exist."""
    query = select(JobRow.id, JobRow.submission, JobRow.attempt).where(JobRow.id.in_(job_ids))
    found = {row[0]: (row[0], int(row[1]), int(row[2])) for row in _fetch(session, query)}
    for job_id in job_ids:
        if job_id not in found:
            raise NotFound(f"There is no study {job_id!r}.", fix="It may have been deleted; see the list of studies.")
    return tuple(found[job_id] for job_id in job_ids)


def contents(session: Session, job_ids: Sequence[str], as_of: datetime | None) -> tuple[int, int]:
    """How many runs of these jobs have a result, and the sum of their ids: results never change once written."""
    query = select(func.count(), func.coalesce(func.sum(RunRow.id), 0)).where(*_finished(job_ids, as_of))
    ((count, total),) = _fetch(session, query)
    return int(count), int(total)


def run_columns(session: Session, job_ids: Sequence[str], as_of: datetime | None = None) -> RunColumns:
    """The runs of these jobs that have a result (by `as_of`, if given), each once."""
    # Each column as one text: 100,000 rows of Python objects would take three times as long.
    ended = cast(RunRow.finished_at, Text)
    query = select(
        joined(session, RunRow.id), joined(session, RunRow.seed), joined(session, RunRow.setting_id),
        joined(session, case((RunRow.degenerate, 1), else_=0)),
        joined(session, case((RunRow.status == "diverged", 1), else_=0)),
        joined(session, RunRow.key), joined(session, func.coalesce(ended, "")),
    ).where(*_finished(job_ids, as_of))  # fmt: skip
    (row,) = _fetch(session, query)
    if row[0] is None:
        none = np.zeros(0, dtype=np.int64)
        return RunColumns(none, [], none, none, none.astype(bool), none.astype(bool), none)
    ids, seeds, settings, degenerate, diverged = (np.fromstring(text, dtype=np.int64, sep=",") for text in row[:5])
    keys, moments = (text.split(",") for text in row[5:])
    hashed = np.fromiter(map(hash, moments), dtype=np.int64, count=len(moments))
    # Wraps around: what is equal stays equal, and what is not is so by chance once in 2^64.
    marks = ids * np.int64(0x1E3779B97F4A7C15) + hashed
    order = np.lexsort((ids, seeds, settings))
    return RunColumns(
        ids=ids[order],
        keys=[keys[i] for i in order.tolist()],
        seeds=seeds[order],
        settings=settings[order],
        degenerate=degenerate[order].astype(bool),
        diverged=diverged[order].astype(bool),
        marks=marks[order],
    )


def settings_text(session: Session, setting_ids: Ints) -> list[SettingText]:
    """The settings with these row ids (ascending)."""
    row = SettingRow
    query = select(
        row.id, row.hash, row.method, row.epsilon, row.dataset, row.model, row.context, row.rest, row.version,
        cast(row.params, Text),
    )  # fmt: skip
    if not len(setting_ids):
        return []
    wanted = set(setting_ids.tolist())
    found: list[SettingText] = []
    first, last = int(setting_ids[0]), int(setting_ids[-1])
    if last - first < WASTE * len(setting_ids) + 1000:
        parts = [row.id.between(first, last)]
    else:
        listed = setting_ids.tolist()
        parts = [row.id.in_(listed[start : start + FEW]) for start in range(0, len(listed), FEW)]
    for part in parts:
        found += [SettingText._make(one) for one in _fetch(session, query.where(part)) if one[0] in wanted]
    return found


def newest_jobs(session: Session, *, most_jobs: int, most_runs: int) -> list[str]:
    """The newest jobs that no list hides, as many as have together at most `most_runs` runs."""
    query = select(JobRow.id, JobRow.size).where(JobRow.archived_at.is_(None))
    found: list[str] = []
    for job_id, size in _fetch(session, query.order_by(JobRow.created_at.desc()).limit(most_jobs)):
        most_runs -= size
        if most_runs < 0:
            break
        found.append(job_id)
    return found


def listed_runs(session: Session) -> int:
    """Runs of all jobs that no list hides, each job's own."""
    query = select(func.coalesce(func.sum(JobRow.size), 0)).where(JobRow.archived_at.is_(None))
    return int(_fetch(session, query)[0][0])


def series_ids(session: Session) -> dict[tuple[str, str, str], int]:
    """Every series by (metric, subgroup, split)."""
    query = select(SeriesRow.metric, SeriesRow.subgroup, SeriesRow.split, SeriesRow.id)
    return {(row[0], row[1], row[2]): row[3] for row in _fetch(session, query)}


def series_column(session: Session, job_ids: Sequence[str], ordered: Ints, series_id: int) -> tuple[Ints, Floats, Ints]:
    """(run row ids, values, n) of one series, a superset of the numbers of the runs `ordered` (ascending ids).

    Measurements are clustered by (series, run), and runs of a job follow each other: one range is read. Where the runs
    lie far apart, they are named if they are few, and the jobs' own runs are looked up if not.
    """
    if not len(ordered):
        none = np.zeros(0, dtype=np.int64)
        return none, none.astype(np.float64), none
    first, last = int(ordered[0]), int(ordered[-1])
    # A value that is not defined comes as an infinity, which none is: one conversion for the whole answer.
    query = select(
        MeasurementRow.run_id, func.coalesce(MeasurementRow.value, math.inf), func.coalesce(MeasurementRow.n, 0)
    ).where(MeasurementRow.series_id == series_id)
    if last - first < WASTE * len(ordered) + 1000:
        query = query.where(MeasurementRow.run_id.between(first, last))
    elif len(ordered) <= FEW:
        query = query.where(MeasurementRow.run_id.in_(ordered.tolist()))
    else:
        query = query.where(MeasurementRow.run_id.in_(_of_jobs(job_ids)))
    # Whole numbers below 2^53 stand in a float exactly.
    with _streamed(session, query) as rows:
        flat = np.fromiter(itertools.chain.from_iterable(rows), dtype=np.float64).reshape(-1, 3)
    values = np.where(np.isfinite(flat[:, 1]), flat[:, 1], np.nan)
    return flat[:, 0].astype(np.int64), values, flat[:, 2].astype(np.int64)


def series_values(session: Session, run_ids: Ints, series_id: int) -> list[tuple[int, float | None, int | None]]:
    """(run row id, value, n) of one series for a few runs, each looked up."""
    query = select(MeasurementRow.run_id, MeasurementRow.value, MeasurementRow.n)
    query = query.where(MeasurementRow.series_id == series_id)
    listed = run_ids.tolist()
    found: list[Any] = []
    for start in range(0, len(listed), FEW):
        found += _fetch(session, query.where(MeasurementRow.run_id.in_(listed[start : start + FEW])))
    return found


def series_in(session: Session, job_ids: Sequence[str], ordered: Ints) -> list[tuple[str, str, str]]:
    """Every (metric, subgroup, split) that has a row for one of the runs `ordered` (ascending ids).

    Ten million measurements are not scanned: from each series the first run at or after the first of ours is looked up;
    if it is not ours, the next look begins at the first of ours after it. Runs of a job follow each other, so that one
    look is mostly enough.
    """
    found = []
    mine = set(ordered.tolist())
    for name, series_id in series_ids(session).items():
        at = int(ordered[0]) if len(ordered) else None
        for look in range(LOOKS + 1):
            if at is None:
                break
            if look == LOOKS:
                inside = select(MeasurementRow.run_id).where(
                    MeasurementRow.series_id == series_id, MeasurementRow.run_id.in_(_of_jobs(job_ids))
                )
                if any(row[0] in mine for row in _fetch(session, inside)):
                    found.append(name)
                break
            next_one = (
                select(MeasurementRow.run_id)
                .where(MeasurementRow.series_id == series_id, MeasurementRow.run_id >= at)
                .order_by(MeasurementRow.run_id)
                .limit(1)
            )
            rows = _fetch(session, next_one)
            if not rows:
                break
            if rows[0][0] in mine:
                found.append(name)
                break
            after = int(np.searchsorted(ordered, rows[0][0]))
            at = int(ordered[after]) if after < len(ordered) else None
    return sorted(found)
