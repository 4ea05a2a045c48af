"""Curves and frontier: two metrics of the settings of one or several jobs."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import Field

from backend.api.deps import ERRORS, Filters, SessionDep
from backend.contracts.public import Curves, Frontier
from backend.contracts.results import Split

router = APIRouter(tags=["curves"], responses=ERRORS)
frontier_router = APIRouter(tags=["frontier"], responses=ERRORS)

#: Jobs that one chart may draw.
MANY_JOBS = 50


class Axes(Filters):
    """What is drawn of which jobs. What is left out is chosen for the data at hand."""

    job_id: list[str] = Field(min_length=1, max_length=MANY_JOBS, description="Jobs to draw, together.")
    x: str = Field(default="epsilon", max_length=64, description="Metric of the horizontal axis.")
    y: str = Field(default="loss_gap", max_length=64, description="Metric of the vertical axis.")
    subgroup: str | None = Field(
        default=None, max_length=300, description="Subgroup of y; left out: everybody, or the first that y has."
    )
    x_subgroup: str | None = Field(default=None, max_length=300, description="Subgroup of x; left out: as for y.")
    split: Split = "test"
    choose: str = Field(
        default="auto",
        max_length=64,
        description=(
            "Which settings are drawn where a method has several per ε: `all`; a metric, to draw the one that is best "
            "in it on the validation split; or `auto`, which chooses by validation loss where there are many."
        ),
    )


class FrontierAxes(Axes):
    """The same, and whether degenerate settings count."""

    degenerate: bool = Field(default=False, description="Also consider settings that predict one class for nearly all.")


@router.get("/curves", name="get_curves", summary="Curves with 95 % intervals over seeds")
def get_curves(axes: Annotated[Axes, Query()], session: SessionDep) -> Curves:
    """Mean over seeds with a Student t interval. A non-private method is a reference line, `baseline`."""
    from backend.api.services import charts

    return charts.curves(session, charts.Request.model_validate(axes.model_dump()))


@frontier_router.get("/frontier", name="get_frontier", summary="Settings that no other setting beats")
def get_frontier(axes: Annotated[FrontierAxes, Query()], session: SessionDep) -> Frontier:
    """Each metric's better direction is the catalogue's. Best x first."""
    from backend.api.services import charts

    request = charts.Request.model_validate(axes.model_dump(exclude={"degenerate"}))
    return charts.frontier(session, request, degenerate=axes.degenerate)
