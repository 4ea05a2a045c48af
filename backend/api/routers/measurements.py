"""Measurements: every number of every run, as JSON pages or as one CSV file."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Query
from fastapi.responses import StreamingResponse
from pydantic import Field
from starlette.responses import Response

from backend.api.deps import ERRORS, ContextDep, Paged
from backend.contracts.public import MeasurementOut, Page
from backend.contracts.results import Split
from backend.reports.csv import measurements_csv
from backend.store import jobs, measurements

router = APIRouter(prefix="/measurements", tags=["measurements"], responses=ERRORS)

#: Values that one filter may list.
MANY = 200


class MeasurementFilters(Paged):
    """Which measurements. Within one filter any of its values matches."""

    job_id: list[str] = Field(default_factory=list, max_length=MANY)
    run_id: list[str] = Field(default_factory=list, max_length=MANY)
    setting_id: list[int] = Field(default_factory=list, max_length=MANY, description="A selection of settings.")
    metric: list[str] = Field(default_factory=list, max_length=MANY)
    subgroup: list[str] = Field(default_factory=list, max_length=MANY, description="`all` is everybody.")
    method: list[str] = Field(default_factory=list, max_length=MANY)
    split: Split | None = None
    format: Literal["json", "csv"] = Field(default="json", description="csv: all of them, in one file.")


@router.get(
    "",
    name="list_measurements",
    response_model=Page[MeasurementOut],
    responses={200: {"content": {"text/csv": {"schema": {"type": "string"}}}, "description": "A page, or a file."}},
    summary="Measurements, filtered",
)
def list_measurements(
    filters: Annotated[MeasurementFilters, Query()], context: ContextDep
) -> Page[MeasurementOut] | Response:
    """Pages of JSON, or with `format=csv` everything that matches as a file."""
    wanted = measurements.Filter(
        job_id=filters.job_id,
        run_id=filters.run_id,
        setting_id=filters.setting_id,
        metric=filters.metric,
        subgroup=filters.subgroup,
        method=filters.method,
        split=filters.split,
    )
    with context.database.read() as session:
        for job_id in filters.job_id:
            jobs.get(session, job_id)
        if filters.format == "json":
            items, following = measurements.page(session, wanted, limit=filters.limit, cursor=filters.cursor)
            return Page(items=items, next=following)
    name = f"measurements-{filters.job_id[0]}.csv" if len(filters.job_id) == 1 else "measurements.csv"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return StreamingResponse(
        measurements_csv(context.database, wanted), media_type="text/csv; charset=utf-8", headers=headers
    )
