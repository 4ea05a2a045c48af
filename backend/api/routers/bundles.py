"""Rerun bundles: a study as one file that another server can train again."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Body, Query, Response
from pydantic import Field

from backend.api.deps import ERRORS, ContextDep, Filters, NoFiltersDep, SessionDep
from backend.api.routers.jobs import CONFLICT, JobId
from backend.contracts.bundles import Bundle, BundleCheck

router = APIRouter(tags=["bundles"], responses=ERRORS)


class BundleFilters(Filters):
    """What the bundle carries."""

    measurements: bool = Field(default=True, description="With the numbers that a rerun is compared with.")


@router.get("/jobs/{job_id}/bundle", name="get_bundle", responses=CONFLICT, summary="A study as a rerun bundle")
def get_bundle(
    job_id: JobId, filters: Annotated[BundleFilters, Query()], session: SessionDep, response: Response
) -> Bundle:
    """Specification with its seeds, hashes of code and data, installed packages, runs, and what was measured."""
    from backend.reports import bundle

    response.headers["Content-Disposition"] = f'attachment; filename="bundle-{job_id}.json"'
    return bundle.make(session, job_id, measurements=filters.measurements)


@router.post("/bundles/check", name="check_bundle", summary="What differs here from where a bundle was made")
def check_bundle(
    _: NoFiltersDep, bundle: Annotated[Bundle, Body()], context: ContextDep, session: SessionDep
) -> BundleCheck:
    """Leave `series` out: it is not looked at. To train it again, submit the bundle's `spec` to `/api/jobs`."""
    from backend.reports import bundle as bundles

    return bundles.check(session, bundle, max_runs=context.settings.max_runs_per_job)
