"""Measurements: read by run, by filter, or as the columns of a chart."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, cast

from sqlalchemy import Select, select, tuple_
from sqlalchemy.orm import Session

from backend.contracts.public import MeasurementOut
from backend.store._sql import decode_positions, encode_cursor
from backend.store.tables import JobRunRow, MeasurementRow, RunRow, SeriesRow, SettingRow


@dataclass(frozen=True)
class Filter:
    """Which measurements; an empty field matches everything."""

    job_id: Sequence[str] = ()
    run_id: Sequence[str] = ()
    setting_id: Sequence[int] = ()
    metric: Sequence[str] = ()
    subgroup: Sequence[str] = ()
    method: Sequence[str] = ()
    split: str | None = None


def _select(wanted: Filter) -> Select[*tuple[Any, ...]]:
    query: Select[*tuple[Any, ...]] = (
        select(MeasurementRow, SeriesRow, RunRow.key, RunRow.seed, SettingRow.method, SettingRow.epsilon)
        .join(SeriesRow, SeriesRow.id == MeasurementRow.series_id)
        .join(RunRow, RunRow.id == MeasurementRow.run_id)
        .join(SettingRow, SettingRow.id == RunRow.setting_id)
    )
    if wanted.job_id:
        query = query.where(
            MeasurementRow.run_id.in_(select(JobRunRow.run_id).where(JobRunRow.job_id.in_(wanted.job_id)))
        )
    for column, values in (
        (RunRow.key, wanted.run_id),
        (RunRow.setting_id, wanted.setting_id),
        (SeriesRow.metric, wanted.metric),
        (SeriesRow.subgroup, wanted.subgroup),
        (SettingRow.method, wanted.method),
        (SeriesRow.split, (wanted.split,) if wanted.split else ()),
    ):
        if values:
            query = query.where(column.in_(values))
    return query


def _out(row: Any) -> MeasurementOut:
    measurement, series, key, seed, method, epsilon = row
    return MeasurementOut(
        run_id=key,
        method=method,
        seed=seed,
        epsilon=epsilon,
        metric=series.metric,
        subgroup=series.subgroup,
        split=series.split,
        value=measurement.value,
        n=measurement.n,
        low=measurement.low,
        high=measurement.high,
    )


def page(
    session: Session, wanted: Filter, *, limit: int, cursor: str | None = None
) -> tuple[list[MeasurementOut], str | None]:
    """A page of measurements, ordered by series and run."""
    query = _select(wanted).order_by(MeasurementRow.series_id, MeasurementRow.run_id)
    if cursor:
        series_id, run_id = decode_positions(cursor, 2)
        query = query.where(tuple_(MeasurementRow.series_id, MeasurementRow.run_id) > (int(series_id), int(run_id)))
    rows = session.execute(query.limit(limit + 1)).all()
    following = None
    if len(rows) > limit:
        last: MeasurementRow = rows[limit - 1][0]
        following = encode_cursor(last.series_id, last.run_id)
    return [_out(row) for row in rows[:limit]], following


def stream(session: Session, wanted: Filter) -> Iterator[MeasurementOut]:
    """All matching measurements, fetched in portions: what a download needs."""
    query = _select(wanted).order_by(MeasurementRow.series_id, MeasurementRow.run_id)
    for row in session.execute(query.execution_options(yield_per=2000)):
        yield _out(row)


#: One row of a download: the fields of `MeasurementOut` in the order of the file.
Plain = tuple[str, str, int, float | None, str, str, str, float | None, int | None, float | None, float | None]


def portion(
    session: Session, wanted: Filter, *, limit: int, after: tuple[int, int] | None
) -> tuple[list[Plain], tuple[int, int] | None]:
    """The next rows after a place in the order of `page`, as plain tuples, and the place to go on from."""
    query = _select(wanted).with_only_columns(
        RunRow.key,
        SettingRow.method,
        RunRow.seed,
        SettingRow.epsilon,
        SeriesRow.metric,
        SeriesRow.subgroup,
        SeriesRow.split,
        MeasurementRow.value,
        MeasurementRow.n,
        MeasurementRow.low,
        MeasurementRow.high,
        MeasurementRow.series_id,
        MeasurementRow.run_id,
        maintain_column_froms=True,
    )
    if after is not None:
        query = query.where(tuple_(MeasurementRow.series_id, MeasurementRow.run_id) > after)
    query = query.order_by(MeasurementRow.series_id, MeasurementRow.run_id).limit(limit)
    rows = session.execute(query).all()
    last = (int(rows[-1][11]), int(rows[-1][12])) if len(rows) == limit else None
    return [cast(Plain, tuple(row[:11])) for row in rows], last


def series_of_jobs(session: Session, job_ids: Sequence[str]) -> list[SeriesRow]:
    """Every series that has a number in these jobs: the content of axis and subgroup menus."""
    used = (
        select(MeasurementRow.series_id)
        .where(MeasurementRow.run_id.in_(select(JobRunRow.run_id).where(JobRunRow.job_id.in_(job_ids))))
        .distinct()
    )
    query = select(SeriesRow).where(SeriesRow.id.in_(used))
    return list(session.scalars(query.order_by(SeriesRow.metric, SeriesRow.subgroup)))


# --- what charts are drawn from: whole columns, never row by row ------------------------------------------------------


def _run_ids(job_ids: Sequence[str]) -> Any:
    return select(JobRunRow.run_id).where(JobRunRow.job_id.in_(job_ids))


def run_table(session: Session, job_ids: Sequence[str]) -> list[tuple[int, str, int, str, bool, int]]:
    """(row id, key, seed, status, degenerate, setting) of the runs of these jobs that have a result, each run once."""
    query = (
        select(RunRow.id, RunRow.key, RunRow.seed, RunRow.status, RunRow.degenerate, RunRow.setting_id)
        .where(RunRow.id.in_(_run_ids(job_ids)), RunRow.status.in_(("succeeded", "diverged")))
        .order_by(RunRow.setting_id, RunRow.seed, RunRow.id)
    )
    return [(r[0], r[1], r[2], r[3], r[4], r[5]) for r in session.execute(query)]


def settings_of_jobs(session: Session, job_ids: Sequence[str]) -> list[SettingRow]:
    """Settings of the runs of these jobs, each once."""
    used = select(RunRow.setting_id).where(RunRow.id.in_(_run_ids(job_ids)))
    return list(session.scalars(select(SettingRow).where(SettingRow.id.in_(used)).order_by(SettingRow.id)))


def values(
    session: Session, job_ids: Sequence[str], metric: str, subgroup: str, split: str
) -> list[tuple[int, float | None, int | None]]:
    """(run row id, value, n) of one series over the runs of these jobs."""
    query = (
        select(MeasurementRow.run_id, MeasurementRow.value, MeasurementRow.n)
        .join(SeriesRow, SeriesRow.id == MeasurementRow.series_id)
        .where(
            SeriesRow.metric == metric,
            SeriesRow.subgroup == subgroup,
            SeriesRow.split == split,
            MeasurementRow.run_id.in_(_run_ids(job_ids)),
        )
    )
    return [(r[0], r[1], r[2]) for r in session.execute(query)]


def values_by_subgroup(
    session: Session, run_ids: Sequence[int], metric: str, split: str
) -> list[tuple[str, int, float | None, int | None, float | None, float | None]]:
    """(subgroup, run row id, value, n, low, high) of one metric over these runs."""
    query = (
        select(
            SeriesRow.subgroup,
            MeasurementRow.run_id,
            MeasurementRow.value,
            MeasurementRow.n,
            MeasurementRow.low,
            MeasurementRow.high,
        )
        .join(SeriesRow, SeriesRow.id == MeasurementRow.series_id)
        .where(SeriesRow.metric == metric, SeriesRow.split == split, MeasurementRow.run_id.in_(run_ids))
    )
    return [(r[0], r[1], r[2], r[3], r[4], r[5]) for r in session.execute(query)]
