"""Alarms of audits, as jobs and runs show them. See `backend.analysis.alarms` for the rule."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from backend.analysis import alarms
from backend.contracts.results import ALL
from backend.store.tables import JobRunRow, MeasurementRow, RunRow, SeriesRow, SettingRow

#: Runs that a statement names one by one.
FEW = 1000


def audits_of(session: Session, job_ids: Sequence[str], runs: Sequence[str] = ()) -> dict[str, list[alarms.Audited]]:
    """The audits of each of these jobs, of these runs alone if any are named; jobs that have none are absent."""
    names = _tests(session)
    if not names:
        return {}
    names |= {name.removesuffix(alarms.P_AT_CLAIM) + alarms.BOUND for name in names}
    query = (
        select(JobRunRow.job_id, RunRow.key, SettingRow.epsilon, SeriesRow.metric, MeasurementRow.value)
        .join(RunRow, RunRow.id == JobRunRow.run_id)
        .join(SettingRow, SettingRow.id == RunRow.setting_id)
        .join(MeasurementRow, MeasurementRow.run_id == RunRow.id)
        .join(SeriesRow, SeriesRow.id == MeasurementRow.series_id)
        .where(JobRunRow.job_id.in_(job_ids), SeriesRow.metric.in_(names), SeriesRow.subgroup == ALL)
    )
    if runs:
        query = query.where(RunRow.key.in_(runs))
    figures: dict[str, list[tuple[str, str, float | None]]] = {}
    claims: dict[str, float | None] = {}
    for job, run, claim, metric, value in session.execute(query):
        figures.setdefault(job, []).append((run, metric, value))
        claims[run] = claim
    found = {job: alarms.audited(rows, claims) for job, rows in figures.items()}
    return {job: audits for job, audits in found.items() if audits}


def _tests(session: Session) -> set[str]:
    """Metrics that are p-values of claims."""
    query = select(SeriesRow.metric).where(SeriesRow.metric.endswith(alarms.P_AT_CLAIM, autoescape=True))
    return set(session.scalars(query))


def _counted(session: Session, job_ids: Sequence[str]) -> dict[str, tuple[int, float]]:
    """Per job that has audits: how many, and the smallest p-value. Counted in the database: lists hold 100,000."""
    ids = _series(session)
    if not ids:
        return {}
    query = (
        select(JobRunRow.job_id, func.count(), func.min(MeasurementRow.value))
        .join(MeasurementRow, MeasurementRow.run_id == JobRunRow.run_id)
        .where(JobRunRow.job_id.in_(job_ids), MeasurementRow.series_id.in_(ids), MeasurementRow.value.is_not(None))
        .group_by(JobRunRow.job_id)
    )
    return {job: (int(count), float(least or 0.0)) for job, count, least in session.execute(query)}


def _series(session: Session) -> list[int]:
    query = select(SeriesRow.id).where(SeriesRow.metric.in_(_tests(session)), SeriesRow.subgroup == ALL)
    return list(session.scalars(query))


def _refuted(session: Session, job_id: str, level: float) -> int:
    """Runs of a job that have an audit with a p-value below the level."""
    query = (
        select(func.count(MeasurementRow.run_id.distinct()))
        .join(JobRunRow, JobRunRow.run_id == MeasurementRow.run_id)
        .where(JobRunRow.job_id == job_id, MeasurementRow.series_id.in_(_series(session)), MeasurementRow.value < level)
    )
    return int(session.scalar(query) or 0)


def of_jobs(session: Session, job_ids: Sequence[str]) -> dict[str, str | None]:
    """What is said of each job that has audits."""
    said: dict[str, str | None] = {}
    for job, (count, least) in _counted(session, job_ids).items():
        level = alarms.LEVEL / count
        said[job] = alarms.of_count(_refuted(session, job, level), count) if least < level else None
    return said


def of_runs(session: Session, job_id: str, runs: Sequence[str]) -> dict[str, str | None]:
    """What is said beside these runs of a job."""
    number, least = _counted(session, [job_id]).get(job_id, (0, 1.0))
    if not number or not runs:
        return {}
    if least >= alarms.LEVEL / number:
        return dict.fromkeys(runs)
    # Named one by one where they are few, as on a page; all audits are read for more.
    audits = audits_of(session, [job_id], runs if len(runs) <= FEW else ()).get(job_id, [])
    own: dict[str, list[alarms.Audited]] = {}
    for one in audits:
        own.setdefault(one.run, []).append(one)
    return {run: alarms.of_run(own.get(run, []), run, number) for run in runs}


def of_run(session: Session, job_ids: Sequence[str], run: str) -> str | None:
    """What is said of a run by itself: the alarm of the first of its jobs that raises one."""
    said = (alarms.of_run(audits, run) for audits in audits_of(session, job_ids).values())
    return next((one for one in said if one is not None), None)
