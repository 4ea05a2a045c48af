"""Jobs: submitted, claimed by a worker, watched, cancelled, retried, deleted."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Select, case, delete, func, or_, select, tuple_, update
from sqlalchemy.orm import Session

from backend.contracts.results import ENDED, JobEvent, JobStatus, Progress
from backend.contracts.spec import JobSpec
from backend.errors import Conflict, NotFound, StaleAttempt
from backend.store import reviews
from backend.store._sql import decode_cursor, encode_cursor, malformed_cursor, now
from backend.store.tables import JobEventRow, JobRow, JobRunRow, MeasurementRow, RunRow, SeriesRow

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"


def new_job_id() -> str:
    """A short random id that can be read aloud: 60 bits, no look-alike letters."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(12))


def create(session: Session, spec: JobSpec, *, runs: int, idempotency_key: str | None = None) -> JobRow:
    """Inserts a queued job. Its runs are attached by `runs.attach`."""
    job = JobRow(
        id=new_job_id(),
        name=spec.name,
        status="queued",
        spec=spec.model_dump(mode="json"),
        dataset=spec.dataset.name,
        model=spec.model.name,
        methods=[m.name for m in spec.methods],
        tags=spec.tags,
        preset=spec.preset,
        priority=spec.priority,
        created_at=now(),
        progress=Progress(message="Waiting for a worker", total=runs).model_dump(),
        idempotency_key=idempotency_key,
    )
    session.add(job)
    session.flush()
    add_event(session, job.id, "status", {"status": "queued"})
    return job


def get(session: Session, job_id: str) -> JobRow:
    """The job, or `NotFound`."""
    job = session.get(JobRow, job_id)
    if job is None:
        raise NotFound(f"There is no study {job_id!r}.", fix="It may have been deleted; see the list of studies.")
    return job


def by_idempotency_key(session: Session, key: str) -> JobRow | None:
    """The job that this key made earlier."""
    return session.scalar(select(JobRow).where(JobRow.idempotency_key == key))


def page(
    session: Session,
    *,
    limit: int,
    cursor: str | None = None,
    status: Sequence[str] = (),
    dataset: str | None = None,
    method: str | None = None,
    text: str | None = None,
    tag: str | None = None,
) -> tuple[list[JobRow], str | None]:
    """Newest first. `method` and `tag` match any of the job's; `text` is looked for in name and id."""
    query: Select[JobRow] = select(JobRow)
    if status:
        query = query.where(JobRow.status.in_(status))
    if dataset:
        query = query.where(JobRow.dataset == dataset)
    if text:
        pattern = "%" + text.lower().replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%"
        query = query.where(or_(func.lower(JobRow.name).like(pattern, escape="\\"), JobRow.id == text))
    for column, wanted in ((JobRow.methods, method), (JobRow.tags, tag)):
        if wanted:
            query = query.where(_json_list_contains(session, column, wanted))
    if cursor:
        created, job_id = decode_cursor(cursor, 2)
        query = query.where(tuple_(JobRow.created_at, JobRow.id) < (_parse(cursor, created), str(job_id)))
    rows = list(session.scalars(query.order_by(JobRow.created_at.desc(), JobRow.id.desc()).limit(limit + 1)))
    following = encode_cursor(rows[limit - 1].created_at, rows[limit - 1].id) if len(rows) > limit else None
    return rows[:limit], following


def _json_list_contains(session: Session, column: Any, wanted: str) -> Any:
    if session.get_bind().dialect.name == "sqlite":
        each = func.json_each(column).table_valued("value")
        return select(1).select_from(each).where(each.c.value == wanted).exists()
    each = func.json_array_elements_text(column).table_valued("value")
    return select(1).select_from(each).where(each.c.value == wanted).exists()


def _parse(cursor: str, text: Any) -> datetime:
    try:
        moment = datetime.fromisoformat(str(text))
    except ValueError as error:
        raise malformed_cursor(cursor) from error
    if moment.tzinfo is None:
        raise malformed_cursor(cursor)
    return moment


def counts(session: Session, job_ids: Sequence[str]) -> dict[str, dict[str, int]]:
    """Per job: runs, finished, diverged, failed, reused, degenerate."""
    query = (
        select(
            JobRunRow.job_id,
            func.count().label("runs"),
            func.sum(case((RunRow.status.in_(("succeeded", "diverged")), 1), else_=0)).label("finished"),
            func.sum(case((RunRow.status == "diverged", 1), else_=0)).label("diverged"),
            func.sum(case((RunRow.status == "failed", 1), else_=0)).label("failed"),
            func.sum(case((JobRunRow.reused.is_(True), 1), else_=0)).label("reused"),
            func.sum(case((RunRow.degenerate.is_(True), 1), else_=0)).label("degenerate"),
        )
        .join(RunRow, RunRow.id == JobRunRow.run_id)
        .where(JobRunRow.job_id.in_(job_ids))
        .group_by(JobRunRow.job_id)
    )
    return {row.job_id: {k: int(v) for k, v in row._mapping.items() if k != "job_id"} for row in session.execute(query)}


def subgroups(session: Session, job_id: str) -> list[str]:
    """Subgroups that have measurements in this job, `all` first."""
    one_run = (
        select(RunRow.id)
        .join(JobRunRow, JobRunRow.run_id == RunRow.id)
        .where(JobRunRow.job_id == job_id, RunRow.status == "succeeded")
        .limit(1)
        .scalar_subquery()
    )
    names = session.scalars(
        select(SeriesRow.subgroup)
        .join(MeasurementRow, MeasurementRow.series_id == SeriesRow.id)
        .where(MeasurementRow.run_id == one_run)
        .distinct()
    )
    return sorted(names, key=lambda name: (name != "all", name.count("&"), name))


# --- the worker's side: everything is conditional on the attempt -----------------------------------------------------


def claim(session: Session, job_id: str, worker_id: str) -> int | None:
    """Raises the attempt and takes the job. None if it has ended or was cancelled meanwhile."""
    job = session.get(JobRow, job_id, with_for_update=True)
    if job is None or job.status in ENDED:
        return None
    if job.cancel_requested:
        _end(session, job, "cancelled", None)
        return None
    job.attempt += 1
    job.worker_id = worker_id
    job.status = "running"
    job.started_at = job.started_at or now()
    add_event(session, job_id, "status", {"status": "running", "attempt": job.attempt})
    return job.attempt


def fence(session: Session, job_id: str, attempt: int) -> None:
    """Fails with `StaleAttempt` unless this attempt still owns the job; holds it until the transaction ends."""
    owned = session.execute(
        update(JobRow)
        .where(JobRow.id == job_id, JobRow.attempt == attempt, JobRow.status == "running")
        .values(attempt=attempt)
    )
    if owned.rowcount == 0:  # type: ignore[attr-defined]
        raise StaleAttempt(f"Attempt {attempt} no longer owns job {job_id}.")


def report_progress(session: Session, job_id: str, attempt: int, progress: Progress) -> None:
    """What the job does now; the caller throttles."""
    fence(session, job_id, attempt)
    session.execute(update(JobRow).where(JobRow.id == job_id).values(progress=progress.model_dump()))
    add_event(session, job_id, "progress", progress.model_dump())


def finish(
    session: Session, job_id: str, attempt: int, status: JobStatus, problem: dict[str, Any] | None = None
) -> None:
    """Ends the job for this attempt."""
    fence(session, job_id, attempt)
    _end(session, get(session, job_id), status, problem)


def cancel_requested(session: Session, job_id: str, attempt: int) -> bool:
    """True if somebody cancelled the job, deleted it, or another attempt took it."""
    row = session.execute(
        select(JobRow.cancel_requested, JobRow.attempt, JobRow.status).where(JobRow.id == job_id)
    ).one_or_none()
    return row is None or row.cancel_requested or row.attempt != attempt or row.status in ENDED


# --- the person's side ------------------------------------------------------------------------------------------------


def request_cancel(session: Session, job_id: str) -> JobRow:
    """A queued job ends at once, a running one within seconds; an ended one is a `Conflict`."""
    job = session.get(JobRow, job_id, with_for_update=True)
    if job is None:
        return get(session, job_id)
    if job.status in ENDED:
        raise Conflict(f"The study has already ended ({job.status}).", fix="Nothing needs to be cancelled.")
    job.cancel_requested = True
    if job.status == "queued":
        _end(session, job, "cancelled", None)
    else:
        progress = Progress.model_validate(job.progress).model_copy(update={"message": "Stopping"})
        job.progress = progress.model_dump()
        add_event(session, job_id, "progress", progress.model_dump())
    return job


def requeue(session: Session, job_id: str, spec: JobSpec, *, runs: int) -> JobRow:
    """Puts a failed or cancelled job back on the queue; what is measured stays."""
    job = session.get(JobRow, job_id, with_for_update=True)
    if job is None:
        return get(session, job_id)
    if job.status not in ("failed", "cancelled"):
        raise Conflict(
            f"Only a failed or cancelled study can be retried; this one is {job.status}.",
            fix="Duplicate it to run it again with other settings.",
        )
    job.status = "queued"
    job.spec = spec.model_dump(mode="json")
    job.cancel_requested = False
    job.problem = None
    job.finished_at = None
    job.worker_id = None
    job.submission += 1
    job.progress = Progress(message="Waiting for a worker", total=runs).model_dump()
    add_event(session, job_id, "status", {"status": "queued"})
    return job


def end_without_work(session: Session, job: JobRow) -> None:
    """Ends a queued job all of whose runs were measured before: nothing is left for a worker."""
    job.started_at = job.started_at or now()
    _end(session, job, "succeeded", None)


def remove(session: Session, job_id: str) -> None:
    """Deletes an ended job and the runs that no other job needs."""
    job = get(session, job_id)
    if job.status not in ENDED:
        raise Conflict(f"The study is {job.status}.", fix="Cancel it first, then delete it.")
    mine = list(session.scalars(select(JobRunRow.run_id).where(JobRunRow.job_id == job_id)))
    session.delete(job)
    session.flush()
    still_needed = select(JobRunRow.run_id)
    for start in range(0, len(mine), 500):
        part = mine[start : start + 500]
        session.execute(delete(RunRow).where(RunRow.id.in_(part), RunRow.id.not_in(still_needed)))


def _end(session: Session, job: JobRow, status: JobStatus, problem: dict[str, Any] | None) -> None:
    job.status = status
    job.finished_at = now()
    job.problem = problem
    progress = Progress.model_validate(job.progress)
    words = {"succeeded": "Done", "failed": "Failed", "cancelled": "Cancelled"}
    done = sum(c["finished"] + c["failed"] for c in counts(session, [job.id]).values())
    job.progress = progress.model_copy(
        update={"phase": "ended", "message": words[status], "done": done, "seconds_left": None}
    ).model_dump()
    session.execute(
        update(RunRow)
        .where(RunRow.claimed_by == job.id, RunRow.status == "running")
        .values(status="queued", claimed_by=None, claimed_attempt=None)
    )
    add_event(session, job.id, "status", {"status": status})
    reviews.announce(session, job.id)


# --- events -----------------------------------------------------------------------------------------------------------


def add_event(session: Session, job_id: str, type: str, data: dict[str, Any]) -> None:
    """Appends to the job's event stream."""
    session.add(JobEventRow(job_id=job_id, type=type, data=data, created_at=now()))
    session.flush()


def events_since(session: Session, job_id: str, after: int, limit: int = 500) -> list[JobEvent]:
    """Events with a higher id, oldest first."""
    rows = session.scalars(
        select(JobEventRow)
        .where(JobEventRow.job_id == job_id, JobEventRow.id > after)
        .order_by(JobEventRow.id)
        .limit(limit)
    )
    return [JobEvent.model_validate(row, from_attributes=True) for row in rows]


def latest_events(session: Session, job_ids: Sequence[str]) -> dict[str, int]:
    """Per job with any: the id of its newest event. One look of the index per job."""
    query = (
        select(JobEventRow.job_id, func.max(JobEventRow.id))
        .where(JobEventRow.job_id.in_(job_ids))
        .group_by(JobEventRow.job_id)
    )
    return {job_id: int(newest) for job_id, newest in session.execute(query)}


def status(session: Session, job_id: str) -> str | None:
    """Status of the job, None if it is gone."""
    return session.scalar(select(JobRow.status).where(JobRow.id == job_id))
