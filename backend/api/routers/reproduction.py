"""Reproduction: a preset's claims put to the test by the runs of a job."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query
from pydantic import Field

from backend.api.deps import ERRORS, Filters, NoFiltersDep, SessionDep
from backend.contracts.public import Figure, Reproduction

router = APIRouter(prefix="/jobs", tags=["reproduction"], responses=ERRORS)

JobId = Annotated[str, Path(max_length=64, description="Id of a job.", examples=["3f8k2v9qxt0a"])]


class FigureLook(Filters):
    """Which attribute, and how it is drawn."""

    subgroup: str | None = Field(default=None, max_length=300, description="Attribute; left out: the first.")
    theme: Literal["light", "dark"] = "light"
    width: int | None = Field(default=None, ge=200, le=10_000, description="Pixels it is drawn at, if known.")


class ReductionLook(FigureLook):
    """What is compared, and with what."""

    metric: str = Field(default="loss_gap", max_length=64, description="Metric that is compared, on test rows.")
    reference: str = Field(default="dp_sgd", max_length=64, description="Method that the others are compared with.")


@router.get("/{job_id}/reproduction", name="get", summary="Verdicts on the claims of a preset")
def get_reproduction(job_id: JobId, _: NoFiltersDep, session: SessionDep) -> Reproduction:
    """404 where the job comes from no preset with a claim that can be tested."""
    from backend.api.services import reproduction

    return reproduction.reproduction(session, job_id)


@router.get("/{job_id}/reproduction/figure", name="figure", summary="The claims beside what was measured")
def get_reproduction_figure(job_id: JobId, look: Annotated[FigureLook, Query()], session: SessionDep) -> Figure:
    """Reductions in every way of tuning, the paper's figures beside them, and the table with loss and AUROC."""
    from backend.api.services import comparisons

    return comparisons.reproduction_figure(session, job_id, look.subgroup, look.theme, look.width)


@router.get("/{job_id}/reductions", name="reductions", summary="How much smaller a metric is, method by method")
def get_reductions(job_id: JobId, look: Annotated[ReductionLook, Query()], session: SessionDep) -> Figure:
    """In % of a reference method's, at each ε, with interval and paired test, corrected as Holm and Bonferroni do."""
    from backend.api.services import comparisons

    return comparisons.reductions(
        session, job_id, look.reference, look.subgroup, look.theme, look.width, metric=look.metric
    )
