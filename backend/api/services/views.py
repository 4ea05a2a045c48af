"""Rows of the store as the API shows them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from backend import __version__
from backend.api.services import alarms
from backend.contracts.public import Health, Job, JobDetail, ProblemDetails, Run, RunDetail, Worker
from backend.contracts.results import Progress
from backend.contracts.runs import Setting
from backend.contracts.spec import JobSpec
from backend.settings import Settings
from backend.store import jobs, measurements, runs, workers
from backend.store.tables import JobRow, RunRow, WorkerRow

_NO_COUNTS = {"runs": 0, "finished": 0, "diverged": 0, "failed": 0, "reused": 0, "degenerate": 0}

#: Workers that ended longer ago than this are not listed.
WORKERS_SINCE = timedelta(days=7)


def _job_fields(row: JobRow, counts: dict[str, int]) -> dict[str, object]:
    return {
        "id": row.id,
        "name": row.name,
        "status": row.status,
        "created_at": row.created_at,
        "started_at": row.started_at,
        "finished_at": row.finished_at,
        "attempt": row.attempt,
        "progress": Progress.model_validate(row.progress),
        "problem": ProblemDetails.model_validate(row.problem) if row.problem else None,
        "dataset": row.dataset,
        "model": row.model,
        "methods": row.methods,
        "tags": row.tags,
        "priority": row.priority,
        "preset": row.preset,
        "archived_at": row.archived_at,
        "submitter": row.submitter,
        **_NO_COUNTS,
        **counts,
    }


def job_list(session: Session, rows: Sequence[JobRow]) -> list[Job]:
    """Jobs as lists show them."""
    ids = [row.id for row in rows]
    counts, raised = jobs.counts(session, ids), alarms.of_jobs(session, ids)
    return [
        Job.model_validate({**_job_fields(row, counts.get(row.id, {})), "alarm": raised.get(row.id)}) for row in rows
    ]


def job_detail(session: Session, row: JobRow) -> JobDetail:
    """A job whole."""
    counts = jobs.counts(session, [row.id]).get(row.id, {})
    return JobDetail.model_validate(
        {
            **_job_fields(row, counts),
            "spec": JobSpec.model_validate(row.spec),
            "subgroups": jobs.subgroups(session, row.id),
            "alarm": alarms.of_jobs(session, [row.id]).get(row.id),
        }
    )


def _run_fields(row: RunRow, reused: bool) -> dict[str, object]:
    return {
        "id": row.key,
        "status": row.status,
        "method": row.setting.method,
        "setting_id": row.setting_id,
        "seed": row.seed,
        "epsilon": row.setting.epsilon,
        "params": row.setting.params,
        "engine": row.engine,
        "wall_seconds": row.wall_seconds,
        "degenerate": row.degenerate,
        "message": row.message,
        "finished_at": row.finished_at,
        "reused": reused,
    }


def run_list(session: Session, job_id: str, rows: Sequence[tuple[RunRow, bool]]) -> list[Run]:
    """Runs of a job as lists show them; each comes with whether it is reused."""
    raised = alarms.of_runs(session, job_id, [row.key for row, _ in rows])
    return [Run.model_validate({**_run_fields(row, reused), "alarm": raised.get(row.key)}) for row, reused in rows]


def run_detail(session: Session, row: RunRow) -> RunDetail:
    """A run whole, with all that it measured."""
    of_jobs = runs.jobs_of(session, row.id)
    return RunDetail.model_validate(
        {
            **_run_fields(row, reused=False),
            "config_hash": row.config_hash,
            "setting": Setting.model_validate(row.setting.config),
            "jobs": of_jobs,
            "alarm": alarms.of_run(session, of_jobs, row.key),
            "measurements": list(measurements.stream(session, measurements.Filter(run_id=[row.key]))),
            "history": runs.history(session, row.id),
            "rocs": [roc for _, roc in runs.rocs(session, [row.id])],
            "exposed": runs.exposed(session, row.id),
        }
    )


def worker_list(session: Session, settings: Settings) -> list[Worker]:
    """Workers, online ones first; those that ended long ago are left out."""
    online = {row.id for row in workers.online(session, settings.worker_timeout_seconds)}
    since = workers.database_now(session) - WORKERS_SINCE
    rows = [row for row in workers.all_workers(session) if row.heartbeat_at >= since]
    query = select(JobRow.worker_id, JobRow.id).where(JobRow.status == "running").order_by(JobRow.started_at)
    busy: dict[str, list[str]] = {}
    for worker_id, job_id in session.execute(query.where(JobRow.worker_id.is_not(None))):
        busy.setdefault(str(worker_id), []).append(job_id)
    rows.sort(key=lambda row: row.id not in online)
    return [_worker(row, row.id in online, busy.get(row.id, [])) for row in rows]


def _worker(row: WorkerRow, online: bool, busy: list[str]) -> Worker:
    return Worker(
        id=row.id,
        host=row.host,
        device=row.device,
        queues=row.queues,
        status="online" if online else "stopped" if row.stopped_at is not None else "gone",
        started_at=row.started_at,
        heartbeat_at=row.heartbeat_at,
        jobs=busy,
    )


def health(session: Session, settings: Settings) -> Health:
    """Whether studies can be submitted and will be run, and if not, what to do."""
    online = len(workers.online(session, settings.worker_timeout_seconds))
    version = workers.catalogue_version(session)
    if version is None:
        message = "No worker has started yet. A local one needs some seconds; start one with `equipoise worker`."
    elif online == 0:
        message = "No worker is running: studies wait on the queue. Start one with `equipoise worker`."
    else:
        message = ""
    return Health(
        status="degraded" if message else "ok",
        version=__version__,
        database="sqlite" if settings.embedded() else "postgresql",
        workers=online,
        catalogue=version,
        message=message,
    )
