"""What happens to a job whose worker stopped, in order or not."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from backend.contracts.results import Progress
from backend.store import jobs
from backend.store.tables import JobEventRow, JobRow, RunRow


def release(session: Session, job_id: str, attempt: int, *, lost: bool) -> bool:
    """Puts a running job of this attempt back among the waiting ones; what the attempt still writes changes nothing.

    `lost` says that its worker vanished, which counts towards the limit of attempts; a worker that stops in order
    hands its jobs back with `lost=False`. Returns False where the attempt owns the job no longer. A job that
    somebody asked to cancel ends here.
    """
    job = session.get(JobRow, job_id, with_for_update=True)
    if job is None or job.status != "running" or job.attempt != attempt:
        return False
    if job.cancel_requested:
        jobs.finish(session, job_id, attempt, "cancelled")
        return True
    job.status = "queued"
    job.worker_id = None
    progress = Progress.model_validate(job.progress)
    job.progress = progress.model_copy(
        update={"phase": "queued", "message": "Waiting for a worker to go on", "seconds_left": None, "share": None}
    ).model_dump()
    session.execute(
        update(RunRow)
        .where(RunRow.claimed_by == job_id, RunRow.status == "running")
        .values(status="queued", claimed_by=None, claimed_attempt=None)
    )
    jobs.add_event(session, job_id, "status", {"status": "queued", "lost": lost})
    return True


def fruitless_attempts(session: Session, job_id: str) -> int:
    """How often the job was claimed in vain: since it was last put on the queue in order, or last finished a run.

    A study that gets further with every attempt is never given up; one that takes its worker along each time is.
    """
    last_run = session.scalar(
        select(func.max(JobEventRow.id)).where(JobEventRow.job_id == job_id, JobEventRow.type == "run")
    )
    events = session.execute(
        select(JobEventRow.data)
        .where(JobEventRow.job_id == job_id, JobEventRow.type == "status", JobEventRow.id > (last_run or 0))
        .order_by(JobEventRow.id.desc())
    )
    claims = 0
    for (data,) in events:
        if data.get("status") == "running":
            claims += 1
        elif not data.get("lost"):
            break
    return claims


def running_jobs_of(session: Session, worker_id: str) -> list[JobRow]:
    """Running jobs that this worker claimed."""
    return list(session.scalars(select(JobRow).where(JobRow.status == "running", JobRow.worker_id == worker_id)))


def active(session: Session, limit: int = 1000) -> Sequence[JobRow]:
    """Jobs that are waiting or running, oldest first."""
    query = select(JobRow).where(JobRow.status.in_(("queued", "running"))).order_by(JobRow.created_at).limit(limit)
    return list(session.scalars(query))
