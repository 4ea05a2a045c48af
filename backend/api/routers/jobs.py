"""Jobs: what a person submits."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Body, Header, Path, Query, Response
from pydantic import Field

from backend.api.deps import ERRORS, ContextDep, Filters, MaybePersonDep, NoFiltersDep, Paged, SessionDep
from backend.api.routers._examples import SPECS
from backend.api.services import groups, submission, views
from backend.api.services import preview as previews
from backend.contracts.base import Contract
from backend.contracts.public import (
    Facet,
    Job,
    JobChange,
    JobDetail,
    JobFacets,
    JobPage,
    Page,
    Preview,
    ProblemDetails,
    RunColumns,
    RunGroups,
)
from backend.contracts.results import ALL, JobStatus
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
    """Which jobs, and in which order."""

    status: list[JobStatus] = Field(default_factory=list, description="Any of these.", max_length=5)
    dataset: str | None = Field(default=None, max_length=64)
    method: str | None = Field(default=None, max_length=64, description="A method that the job trains.")
    tag: str | None = Field(default=None, max_length=50)
    preset: str | None = Field(default=None, max_length=100)
    archived: Literal["no", "yes", "any"] = Field(default="no", description="Jobs that lists leave out.")
    text: str | None = Field(
        default=None, max_length=200, description="Words of name or tags, each of which has to be there, or a whole id."
    )
    sort: jobs.Order = "created"
    ascending: bool = False


class JobIds(Contract):
    """Several jobs."""

    ids: list[Annotated[str, Field(max_length=64)]] = Field(min_length=1, max_length=1000)


class JobsChange(JobChange):
    """One change of several jobs."""

    ids: list[Annotated[str, Field(max_length=64)]] = Field(min_length=1, max_length=1000)


class TableFilters(Filters):
    """Which numbers of a job's runs."""

    metric: list[Annotated[str, Field(max_length=64)]] = Field(default_factory=list, max_length=12)
    subgroup: str = Field(default=ALL, max_length=300)
    split: Literal["train", "validation", "test"] = "test"


class GroupFilters(TableFilters):
    """What runs are grouped by."""

    by: list[Annotated[str, Field(max_length=100)]] = Field(
        min_length=1, max_length=4, description="`method`, or parameters such as `training.learning_rate`."
    )


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
    person: MaybePersonDep,
    idempotency_key: IdempotencyKey = None,
) -> JobDetail:
    """Stores the job and its runs and puts it on the queue, all or nothing. Runs that are measured are reused."""
    job, new = submission.submit(context, spec, idempotency_key, person)
    response.headers["Location"] = f"/api/jobs/{job.id}"
    if not new:
        response.headers["Idempotent-Replayed"] = "true"
    return job


@router.get("", name="list_jobs", summary="Jobs, newest first")
def list_jobs(filters: Annotated[JobFilters, Query()], session: SessionDep) -> JobPage:
    """A page of jobs. Filters combine; within `status` any matches."""
    wanted = jobs.Filter(
        status=filters.status,
        dataset=filters.dataset,
        method=filters.method,
        tag=filters.tag,
        preset=filters.preset,
        archived={"no": False, "yes": True, "any": None}[filters.archived],
        text=filters.text,
    )
    rows, following = jobs.page(
        session, wanted, limit=filters.limit, cursor=filters.cursor, order=filters.sort, ascending=filters.ascending
    )
    return JobPage(items=views.job_list(session, rows), next=following, total=jobs.total(session, wanted))


@router.get("/facets", name="job_facets", summary="What jobs can be filtered by")
def job_facets(_: NoFiltersDep, session: SessionDep) -> JobFacets:
    """Statuses, data sets, methods, tags and presets, each with how many jobs have it."""
    found = jobs.facets(session)
    archived = found.pop("archived")[0][1]
    return JobFacets.model_validate(
        {
            **{name: [Facet(value=value, jobs=count) for value, count in values] for name, values in found.items()},
            "archived": archived,
        }
    )


@router.post("/change", name="change_jobs", summary="Tag or archive several jobs")
def change_jobs(_: NoFiltersDep, change: JobsChange, context: ContextDep) -> Page[Job]:
    """All of them or none."""
    return Page(items=submission.change(context, change.ids, change))


@router.post("/delete", name="delete_jobs", status_code=204, responses=CONFLICT, summary="Delete several jobs")
def delete_jobs(_: NoFiltersDep, which: JobIds, context: ContextDep) -> None:
    """All of them or none, with the runs that no other job needs. Only ended jobs can be deleted."""
    submission.delete_all(context, which.ids)


@router.patch("/{job_id}", name="change_job", summary="Tag or archive a job")
def change_job(job_id: JobId, _: NoFiltersDep, change: JobChange, context: ContextDep) -> Job:
    """Its specification stays as it was submitted."""
    return submission.change(context, [job_id], change)[0]


@router.get("/{job_id}/groups", name="job_groups", summary="Runs of a job in groups, with means over seeds")
def job_groups(job_id: JobId, filters: Annotated[GroupFilters, Query()], session: SessionDep) -> RunGroups:
    """By method or any parameter: mean and 95 % Student t interval over seeds of each metric asked for."""
    jobs.get(session, job_id)
    return groups.grouped(session, job_id, filters.by, filters.metric, filters.subgroup, filters.split)


@router.get("/{job_id}/columns", name="job_columns", summary="Metrics of a job's runs as columns")
def job_columns(job_id: JobId, filters: Annotated[TableFilters, Query()], session: SessionDep) -> RunColumns:
    """One number per run and metric, for the runs that have a result."""
    jobs.get(session, job_id)
    return groups.columns(session, job_id, filters.metric, filters.subgroup, filters.split)


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
