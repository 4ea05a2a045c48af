"""Jobs: what a person submits."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Body, Header, Path, Query, Response
from pydantic import Field

from backend.api.deps import ERRORS, ContextDep, NoFiltersDep, Paged, SessionDep
from backend.api.routers._examples import SPECS
from backend.api.services import preview as previews
from backend.api.services import submission, views
from backend.contracts.public import Job, JobDetail, Page, Preview, ProblemDetails
from backend.contracts.results import JobStatus
from backend.contracts.spec import JobSpec
from backend.store import jobs

router = APIRouter(prefix="/jobs", tags=["jobs"], responses=ERRORS)

JobId = Annotated[str, Path(max_length=64, description="Id of a job.", examples=["3f8k2v9qxt0a"])]
Spec = Annotated[JobSpec, Body(openapi_examples=SPECS)]
IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=200,
        description="Any text of yours. Sending the same specification again with the same key gives the same job.",
    ),
]
CONFLICT: dict[int | str, dict[str, object]] = {
    409: {"model": ProblemDetails, "description": "The job is not in a state that allows it."}
}


class JobFilters(Paged):
    """Which jobs."""

    status: list[JobStatus] = Field(default_factory=list, description="Any of these.", max_length=5)
    dataset: str | None = Field(default=None, max_length=64)
    method: str | None = Field(default=None, max_length=64, description="A method that the job trains.")
    tag: str | None = Field(default=None, max_length=50)
    text: str | None = Field(default=None, max_length=200, description="Part of the name, or the whole id.")


@router.post("/preview", name="preview", summary="What a specification would run")
def preview(_: NoFiltersDep, spec: Spec, context: ContextDep, session: SessionDep) -> Preview:
    """Runs, how many are already measured, the noise multiplier of each ε, and the expected time. Stores nothing."""
    return previews.preview(session, context.settings, spec)


@router.post("", name="create_job", status_code=201, summary="Submit a job")
def create_job(
    _: NoFiltersDep,
    spec: Spec,
    context: ContextDep,
    response: Response,
    idempotency_key: IdempotencyKey = None,
) -> JobDetail:
    """Stores the job and its runs and puts it on the queue, all or nothing. Runs that are measured are reused."""
    job, new = submission.submit(context, spec, idempotency_key)
    response.headers["Location"] = f"/api/jobs/{job.id}"
    if not new:
        response.headers["Idempotent-Replayed"] = "true"
    return job


@router.get("", name="list_jobs", summary="Jobs, newest first")
def list_jobs(filters: Annotated[JobFilters, Query()], session: SessionDep) -> Page[Job]:
    """A page of jobs. Filters combine; within `status` any matches."""
    rows, following = jobs.page(
        session,
        limit=filters.limit,
        cursor=filters.cursor,
        status=filters.status,
        dataset=filters.dataset,
        method=filters.method,
        text=filters.text,
        tag=filters.tag,
    )
    return Page(items=views.job_list(session, rows), next=following)


@router.get("/{job_id}", name="get_job", summary="A job whole")
def get_job(job_id: JobId, _: NoFiltersDep, session: SessionDep) -> JobDetail:
    """With its specification, and the subgroups that are measured so far."""
    return views.job_detail(session, jobs.get(session, job_id))


@router.post("/{job_id}/cancel", name="cancel_job", responses=CONFLICT, summary="Stop a job")
def cancel_job(job_id: JobId, _: NoFiltersDep, context: ContextDep) -> JobDetail:
    """A waiting job ends at once, a running one within seconds. What is measured stays."""
    return submission.cancel(context, job_id)


@router.post("/{job_id}/retry", name="retry_job", responses=CONFLICT, summary="Run the rest of a job")
def retry_job(job_id: JobId, _: NoFiltersDep, context: ContextDep) -> JobDetail:
    """Puts a failed or cancelled job back on the queue, with what the workers offer now."""
    return submission.retry(context, job_id)


@router.delete("/{job_id}", name="delete_job", status_code=204, responses=CONFLICT, summary="Delete a job")
def delete_job(job_id: JobId, _: NoFiltersDep, context: ContextDep) -> None:
    """With the runs that no other job needs. Only an ended job can be deleted."""
    submission.delete(context, job_id)
