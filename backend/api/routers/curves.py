"""Curves and frontier: two metrics of the settings of one or several jobs."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import AwareDatetime, Field

from backend.api.deps import ERRORS, Filters, SessionDep
from backend.contracts.public import AxisMenu, Curves, Frontier
from backend.contracts.results import Split

router = APIRouter(tags=["curves"], responses=ERRORS)
menu_router = APIRouter(tags=["series"], responses=ERRORS)
frontier_router = APIRouter(tags=["frontier"], responses=ERRORS)

#: Jobs that one chart may draw.
MANY_JOBS = 50


class Axes(Filters):
    """What is drawn of which jobs. What is left out is chosen for the data at hand."""

    job_id: list[str] = Field(min_length=1, max_length=MANY_JOBS, description="Jobs to draw, together.")
    x: str = Field(default="epsilon", max_length=64, description="Horizontal axis: a metric, or a parameter.")
    y: str = Field(default="loss_gap", max_length=64, description="Vertical axis: a metric, or a parameter.")
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
    as_of: AwareDatetime | None = Field(default=None, description="Leaves out runs that finished later.")


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

    return charts.frontier(session, charts.Request.model_validate(axes.model_dump()))


class OfJobs(Filters):
    """Of which jobs."""

    job_id: list[str] = Field(min_length=1, max_length=MANY_JOBS, description="Jobs, together.")
    as_of: AwareDatetime | None = Field(default=None, description="Leaves out runs that finished later.")


@menu_router.get("/series", name="get_menu", summary="What can stand on an axis of these jobs")
def get_menu(wanted: Annotated[OfJobs, Query()], session: SessionDep) -> AxisMenu:
    """Metrics with the subgroups and splits they were measured on, and the parameters in which settings differ."""
    from backend.api.services import explorer

    return explorer.menu(session, wanted.job_id, wanted.as_of)
