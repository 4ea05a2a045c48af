"""Jobs: submitted, claimed by a worker, watched, cancelled, retried, deleted."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import case, delete, func, or_, select, true, tuple_, update
from sqlalchemy.orm import Session

from backend.contracts.results import ENDED, JobEvent, JobStatus, Problem, Progress
from backend.contracts.spec import JobSpec
from backend.errors import Conflict, InvalidRequest, NotFound, StaleAttempt
from backend.store import notifications, people, reviews
from backend.store._sql import decode_cursor, encode_cursor, malformed_cursor, now
from backend.store.tables import JobEventRow, JobRow, JobRunRow, MeasurementRow, RunRow, SeriesRow

#: What lists can be ordered by.
Order = Literal["created", "name", "status", "runs"]
#: Most tags that one job carries, see `contracts.spec`.
MAX_TAGS = 20

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"


def new_job_id() -> str:
    """A short random id that can be read aloud: 60 bits, no look-alike letters."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(12))


def create(
    session: Session, spec: JobSpec, *, runs: int, idempotency_key: str | None = None, submitter: str | None = None
) -> JobRow:
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
        submitter=submitter,
        size=runs,
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


@dataclass(frozen=True)
class Filter:
    """Which jobs; an empty field matches everything. `method` and `tag` match any of the job's."""

    status: Sequence[str] = ()
    dataset: str | None = None
    method: str | None = None
    tag: str | None = None
    preset: str | None = None
    archived: bool | None = False
    text: str | None = None


def _conditions(session: Session, wanted: Filter) -> list[Any]:
    conditions: list[Any] = []
    if wanted.status:
        conditions.append(JobRow.status.in_(wanted.status))
    if wanted.dataset:
        conditions.append(JobRow.dataset == wanted.dataset)
    if wanted.preset:
        conditions.append(JobRow.preset == wanted.preset)
    if wanted.archived is not None:
        conditions.append(JobRow.archived_at.is_not(None) if wanted.archived else JobRow.archived_at.is_(None))
    for word in (wanted.text or "").split():
        pattern = "%" + word.lower().replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%"
        tagged = _json_list_matches(session, JobRow.tags, pattern)
        conditions.append(or_(func.lower(JobRow.name).like(pattern, escape="\\"), tagged, JobRow.id == word))
    for column, value in ((JobRow.methods, wanted.method), (JobRow.tags, wanted.tag)):
        if value:
            conditions.append(_json_list_contains(session, column, value))
    return conditions


def page(
    session: Session,
    wanted: Filter,
    *,
    limit: int,
    cursor: str | None = None,
    order: Order = "created",
    ascending: bool = False,
) -> tuple[list[JobRow], str | None]:
    """A page of jobs in that order; those that are equal in it newest first, or oldest first where it ascends.

    Every word of `text` is looked for in name and tags, and as the whole id.
    """
    first: Any = {
        "created": JobRow.created_at,
        "name": func.lower(JobRow.name),
        "status": JobRow.status,
        "runs": JobRow.size,
    }[order]
    keys = (first, JobRow.created_at, JobRow.id)
    query = select(JobRow, first).where(*_conditions(session, wanted))
    if cursor:
        whose, value, created, job_id = decode_cursor(cursor, 4)
        expected = int if order == "runs" else str
        if whose != f"{order}{'+' if ascending else '-'}" or not isinstance(value, expected):
            raise malformed_cursor(cursor)
        place = (_parse(cursor, value) if order == "created" else value, _parse(cursor, created), str(job_id))
        query = query.where(tuple_(*keys) > place if ascending else tuple_(*keys) < place)
    query = query.order_by(*(key.asc() if ascending else key.desc() for key in keys))
    rows = session.execute(query.limit(limit + 1)).all()
    following = None
    if len(rows) > limit:
        last, value = rows[limit - 1]
        following = encode_cursor(f"{order}{'+' if ascending else '-'}", value, last.created_at, last.id)
    return [row for row, _ in rows[:limit]], following


def total(session: Session, wanted: Filter) -> int:
    """How many jobs match."""
    query = select(func.count()).select_from(JobRow).where(*_conditions(session, wanted))
    return int(session.scalar(query) or 0)


def facets(session: Session) -> dict[str, list[tuple[str, int]]]:
    """What can be filtered by, each value with how many jobs have it, the most frequent first."""
    found: dict[str, list[tuple[str, int]]] = {}
    plain: tuple[tuple[str, Any], ...] = (
        ("status", JobRow.status),
        ("dataset", JobRow.dataset),
        ("preset", JobRow.preset),
    )
    for name, column in plain:
        query = select(column, func.count()).where(column.is_not(None)).group_by(column)
        found[name] = [(value, count) for value, count in session.execute(query)]
    for name, words in (("method", JobRow.methods), ("tag", JobRow.tags)):
        each = _each(session, words)
        # A method may stand in a job several times, with other parameters.
        counted = func.count(JobRow.id.distinct())
        pairs = select(each.c.value, counted).select_from(JobRow).join(each, true()).group_by(each.c.value)
        found[name] = [(value, count) for value, count in session.execute(pairs)]
    archived = select(func.count()).select_from(JobRow).where(JobRow.archived_at.is_not(None))
    found["archived"] = [("yes", int(session.scalar(archived) or 0))]
    return {name: sorted(values, key=lambda one: (-one[1], one[0])) for name, values in found.items()}


def change(
    session: Session,
    job_ids: Sequence[str],
    *,
    add_tags: Sequence[str] = (),
    remove_tags: Sequence[str] = (),
    archived: bool | None = None,
) -> list[JobRow]:
    """Tags, and whether lists leave them out, of all of these jobs or of none. Raises `NotFound` for one that is gone.

    Each job's row is held while it changes, so that two people who tag one job at once both succeed.
    """
    rows = {}
    for start in range(0, len(job_ids), 500):
        part = select(JobRow).where(JobRow.id.in_(job_ids[start : start + 500])).order_by(JobRow.id)
        rows.update({row.id: row for row in session.scalars(part.with_for_update())})
    for job_id in job_ids:
        row = rows.get(job_id) or get(session, job_id)
        tags = list(dict.fromkeys([tag for tag in [*row.tags, *add_tags] if tag not in remove_tags]))
        if len(tags) > MAX_TAGS:
            problem = Problem(
                field="add_tags",
                expected=f"at most {MAX_TAGS} tags of one study",
                got=f"{len(tags)} of {row.name!r}",
                fix="Remove some first.",
            )
            raise InvalidRequest("A study would have too many tags.", problems=[problem])
        row.tags = tags
        if archived is not None:
            row.archived_at = (row.archived_at or now()) if archived else None
    session.flush()
    return [rows[job_id] for job_id in job_ids]


def _each(session: Session, column: Any) -> Any:
    if session.get_bind().dialect.name == "sqlite":
        return func.json_each(column).table_valued("value")
    return func.json_array_elements_text(column).table_valued("value")


def _json_list_matches(session: Session, column: Any, pattern: str) -> Any:
    each = _each(session, column)
    return select(1).select_from(each).where(func.lower(each.c.value).like(pattern, escape="\\")).exists()


def _json_list_contains(session: Session, column: Any, wanted: str) -> Any:
    each = _each(session, column)
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
    job.size = runs
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
        update={"phase": "ended", "message": words[status], "done": done, "seconds_left": None, "share": None}
    ).model_dump()
    session.execute(
        update(RunRow)
        .where(RunRow.claimed_by == job.id, RunRow.status == "running")
        .values(status="queued", claimed_by=None, claimed_attempt=None)
    )
    add_event(session, job.id, "status", {"status": status})
    reviews.announce(session, job.id)
    _tell(session, job)


def href(job_id: str) -> str:
    """Where a job is looked at."""
    return f"/studies/{job_id}"


def _tell(session: Session, job: JobRow) -> None:
    """Tells who submitted it, or where nobody said who they were everybody, how the job ended."""
    of = counts(session, [job.id]).get(job.id, {})
    done = f"{of.get('finished', 0)} of {of.get('runs', 0)} runs measured"
    broken = [f"{of[kind]} {kind}" for kind in ("diverged", "failed") if of.get(kind)]
    how = {"succeeded": "is done", "failed": "failed", "cancelled": "was cancelled"}[job.status]
    reason = f" {job.problem['detail']}" if job.problem else ""
    person = people.named(session, job.submitter).id if job.submitter else None
    text = f"The study “{job.name}” {how}: {', '.join([done, *broken])}.{reason}"
    notifications.add(session, person, f"job_{job.status}", text, href(job.id))


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
