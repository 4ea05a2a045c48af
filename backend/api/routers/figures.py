"""Figures: Plotly JSON with the sentence above, the line below and the table beside."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query
from pydantic import Field

from backend.api.deps import ERRORS, Filters, SessionDep
from backend.api.routers.curves import MANY_JOBS
from backend.contracts.public import Figure
from backend.contracts.results import Split

router = APIRouter(prefix="/figures", tags=["figures"], responses=ERRORS)

FigureName = Literal["tradeoff", "subgroups", "roc", "history", "clipping"]


class FigureFilters(Filters):
    """What is drawn. What is left out is chosen for the data at hand."""

    job_id: list[str] = Field(default_factory=list, max_length=MANY_JOBS, description="Jobs to draw, together.")
    run_id: str | None = Field(default=None, max_length=64, description="One run, instead of jobs.")
    x: str = Field(default="epsilon", max_length=64, description="tradeoff: metric of the horizontal axis.")
    y: str = Field(default="loss_gap", max_length=64, description="tradeoff: metric of the vertical axis.")
    subgroup: str | None = Field(default=None, max_length=300, description="Subgroup of y; left out: as fits.")
    x_subgroup: str | None = Field(default=None, max_length=300, description="tradeoff: subgroup of x.")
    split: Split = "test"
    metric: str | None = Field(default=None, max_length=64, description="subgroups: what is compared.")
    attack: str | None = Field(default=None, max_length=64, description="roc: which attack.")
    series: str | None = Field(default=None, max_length=400, description="history: which quantity.")
    method: str | None = Field(default=None, max_length=64, description="clipping: of which private method.")
    epsilon: float | None = Field(default=None, gt=0, description="subgroups, roc, history, clipping: at which ε.")
    choose: str = Field(default="auto", max_length=64, description="As for curves.")
    frontier: bool = Field(default=False, description="tradeoff: join the settings that no other beats.")
    theme: Literal["light", "dark"] = "light"
    width: int | None = Field(default=None, ge=200, le=10_000, description="Pixels it is drawn at, if known.")


@router.get("/{name}", name="get_figure", summary="A figure, ready to draw")
def get_figure(
    name: Annotated[FigureName, Path(description="Which figure.")],
    filters: Annotated[FigureFilters, Query()],
    session: SessionDep,
) -> Figure:
    """Where there is nothing to draw yet, `empty` says why and what to do."""
    from backend.api.services import pictures

    return pictures.figure(session, name, pictures.Request.model_validate(filters.model_dump()))
