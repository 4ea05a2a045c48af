"""Runs: one training each."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query
from pydantic import Field
from starlette.responses import Response

from backend.api.deps import ERRORS, ContextDep, Filters, NoFiltersDep, Paged, SessionDep
from backend.api.routers.jobs import JobId
from backend.api.services import views
from backend.contracts.accounting import Choosing
from backend.contracts.public import Page, Run, RunDetail
from backend.contracts.results import RunStatus
from backend.store import jobs, runs

router = APIRouter(tags=["runs"], responses=ERRORS)

RunId = Annotated[str, Path(max_length=64, description="Id of a run.", examples=["5d41402abc4b2a76b971"])]


class RunFilters(Paged):
    """Which runs of a job."""

    method: str | None = Field(default=None, max_length=64)
    status: RunStatus | None = None


@router.get(
    "/jobs/{job_id}/runs", name="list_job_runs", response_model=Page[Run], summary="Runs of a job, in its order"
)
def list_job_runs(job_id: JobId, filters: Annotated[RunFilters, Query()], session: SessionDep) -> Response:
    """`reused` runs were measured before this job asked for them."""
    jobs.get(session, job_id)
    rows, following = runs.page(
        session, job_id, limit=filters.limit, cursor=filters.cursor, method=filters.method, status=filters.status
    )
    page = Page[Run](items=views.run_list(session, job_id, rows), next=following)
    # Written once, without the framework looking at each of a thousand rows again.
    return Response(page.model_dump_json(), media_type="application/json")


@router.get("/runs/{run_id}", name="get_run", summary="A run whole")
def get_run(run_id: RunId, _: NoFiltersDep, session: SessionDep) -> RunDetail:
    """Configuration, measurements, training history, ROC curves and the most exposed records."""
    return views.run_detail(session, runs.get(session, run_id))


class ChoosingFilters(Filters):
    """Among which trainings."""

    job_id: str | None = Field(default=None, max_length=64, description="Left out: the first job that has the run.")


@router.get("/runs/{run_id}/choosing", name="choosing", summary="What choosing this run would cost")
def choosing(
    run_id: RunId, filters: Annotated[ChoosingFilters, Query()], session: SessionDep, context: ContextDep
) -> Choosing | None:
    """Among the trainings of its job at the same epsilon and delta; null for a run without privacy."""
    from backend.api.services import choosing as service

    return service.choosing(session, runs.get(session, run_id), filters.job_id, context.settings.cache_dir())
