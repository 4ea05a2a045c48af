"""Jobs on their way in and out: submitted, cancelled, retried, deleted. Each is one transaction."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from backend.api.context import Context
from backend.api.services import preview, views
from backend.contracts.expansion import Expansion, expand
from backend.contracts.public import Job, JobChange, JobDetail
from backend.contracts.results import Problem
from backend.contracts.spec import JobSpec
from backend.errors import InvalidRequest
from backend.logs import get_logger
from backend.store import jobs, runs, workers
from backend.store.tables import JobRow

log = get_logger(__name__)


def submit(
    context: Context, spec: JobSpec, key: str | None = None, submitter: str | None = None
) -> tuple[JobDetail, bool]:
    """Stores and enqueues a job, or nothing. Answers whether it is new: the same key gives the same job again."""
    if key is not None and (earlier := _earlier(context, spec, key)) is not None:
        return earlier, False
    expansion = _expand(context, spec)
    queue = context.queue()
    try:
        with context.database.write() as session:
            runs_of = len(expansion.configs)
            row = jobs.create(session, spec, runs=runs_of, idempotency_key=key, submitter=submitter)
            runs.attach(session, row.id, expansion.configs)
            if not _end_if_measured(session, row):
                queue.enqueue(session, row.id, row.submission, row.priority)
            return views.job_detail(session, row), True
    except IntegrityError:
        # Somebody else used the key between our look and our write.
        if key is not None and (earlier := _earlier(context, spec, key)) is not None:
            return earlier, False
        raise


def _earlier(context: Context, spec: JobSpec, key: str) -> JobDetail | None:
    with context.database.read() as session:
        row = jobs.by_idempotency_key(session, key)
        if row is None:
            return None
        if row.spec != spec.model_dump(mode="json"):
            problem = Problem(
                field="Idempotency-Key",
                expected="the same specification as the first time",
                got=f"another one; the key belongs to study {row.id}",
                fix="Use a new key for a new study.",
            )
            raise InvalidRequest("The idempotency key was used for another study.", problems=[problem])
        return views.job_detail(session, row)


def _expand(context: Context, spec: JobSpec) -> Expansion:
    with context.database.read() as session:
        catalogue = workers.catalogue(session)
    expansion = expand(spec, catalogue, max_runs=context.settings.max_runs_per_job)
    preview.check(spec, expansion, catalogue, context.settings.cache_dir())
    return expansion


def _end_if_measured(session: Session, row: JobRow) -> bool:
    """A job that asks for nothing new ends at once, worker or not."""
    counts = jobs.counts(session, [row.id]).get(row.id, {})
    if counts.get("finished", 0) < counts.get("runs", 0):
        return False
    jobs.end_without_work(session, row)
    return True


def cancel(context: Context, job_id: str) -> JobDetail:
    """A queued job ends at once, a running one within seconds; what it measured stays."""
    queue = context.queue()
    with context.database.write() as session:
        row = jobs.request_cancel(session, job_id)
        submission = row.submission
        detail = views.job_detail(session, row)
    try:
        queue.cancel(job_id, submission)
    except Exception as error:  # noqa: BLE001
        # The flag is set and the worker reads it: the engine's own entry is only tidied up.
        log.warning("the queue did not take a cancelled job off", job_id=job_id, reason=str(error))
    return detail


def retry(context: Context, job_id: str) -> JobDetail:
    """Puts a failed or cancelled job back on the queue, expanded against what the workers offer now."""
    with context.database.read() as session:
        spec = JobSpec.model_validate(jobs.get(session, job_id).spec)
    expansion = _expand(context, spec)
    queue = context.queue()
    with context.database.write() as session:
        row = jobs.requeue(session, job_id, spec, runs=len(expansion.configs))
        runs.attach(session, job_id, expansion.configs)
        if not _end_if_measured(session, row):
            queue.enqueue(session, job_id, row.submission, row.priority)
        return views.job_detail(session, row)


def delete(context: Context, job_id: str) -> None:
    """Deletes an ended job and the runs that no other job needs."""
    delete_all(context, [job_id])


def delete_all(context: Context, job_ids: Sequence[str]) -> None:
    """Deletes these ended jobs and the runs that no other job needs, or none of them."""
    with context.database.write() as session:
        for job_id in dict.fromkeys(job_ids):
            jobs.remove(session, job_id)


def change(context: Context, job_ids: Sequence[str], change: JobChange) -> list[Job]:
    """Changes what is kept about these jobs, or nothing."""
    with context.database.write() as session:
        rows = jobs.change(
            session,
            list(dict.fromkeys(job_ids)),
            add_tags=change.add_tags,
            remove_tags=change.remove_tags,
            archived=change.archived,
        )
        return views.job_list(session, rows)
