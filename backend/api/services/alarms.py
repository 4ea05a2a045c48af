"""Alarms of audits, as jobs and runs show them. See `backend.analysis.alarms` for the rule."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.analysis import alarms
from backend.contracts.results import ALL
from backend.store.tables import JobRunRow, MeasurementRow, RunRow, SeriesRow, SettingRow


def audits_of(session: Session, job_ids: Sequence[str]) -> dict[str, list[alarms.Audited]]:
    """The audits of each of these jobs; jobs that have none are absent."""
    tests = session.scalars(
        select(SeriesRow.metric).where(SeriesRow.metric.endswith(alarms.P_AT_CLAIM, autoescape=True))
    )
    names = set(tests)
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
    figures: dict[str, list[tuple[str, str, float | None]]] = {}
    claims: dict[str, float | None] = {}
    for job, run, claim, metric, value in session.execute(query):
        figures.setdefault(job, []).append((run, metric, value))
        claims[run] = claim
    found = {job: alarms.audited(rows, claims) for job, rows in figures.items()}
    return {job: audits for job, audits in found.items() if audits}


def of_jobs(session: Session, job_ids: Sequence[str]) -> dict[str, str | None]:
    """What is said of each job that has audits."""
    return {job: alarms.of_job(audits) for job, audits in audits_of(session, job_ids).items()}


def of_runs(session: Session, job_id: str, runs: Sequence[str]) -> dict[str, str | None]:
    """What is said beside these runs of a job."""
    audits = audits_of(session, [job_id]).get(job_id, [])
    return {run: alarms.of_run(audits, run) for run in runs} if audits else {}


def of_run(session: Session, job_ids: Sequence[str], run: str) -> str | None:
    """What is said of a run by itself: the alarm of the first of its jobs that raises one."""
    said = (alarms.of_run(audits, run) for audits in audits_of(session, job_ids).values())
    return next((one for one in said if one is not None), None)
