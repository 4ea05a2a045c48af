"""Figures: Plotly JSON with the sentence above, the line below and the table beside."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query
from pydantic import AwareDatetime, Field
from starlette.responses import Response

from backend.api.deps import ERRORS, Filters, SessionDep
from backend.api.routers.curves import MANY_JOBS
from backend.contracts.public import Figure
from backend.contracts.results import Problem, Split
from backend.errors import InvalidRequest

router = APIRouter(prefix="/figures", tags=["figures"], responses=ERRORS)

FigureName = Literal["tradeoff", "subgroups", "roc", "history", "clipping", "parallel", "intersections", "audit"]


class FigureFilters(Filters):
    """What is drawn. What is left out is chosen for the data at hand."""

    job_id: list[str] = Field(default_factory=list, max_length=MANY_JOBS, description="Jobs to draw, together.")
    run_id: str | None = Field(default=None, max_length=64, description="One run, instead of jobs.")
    x: str = Field(default="epsilon", max_length=64, description="tradeoff: horizontal axis, a metric or parameter.")
    y: str = Field(default="loss_gap", max_length=64, description="tradeoff: vertical axis, a metric or parameter.")
    subgroup: str | None = Field(default=None, max_length=300, description="Subgroup of y; left out: as fits.")
    x_subgroup: str | None = Field(default=None, max_length=300, description="tradeoff: subgroup of x.")
    split: Split = "test"
    metric: str | None = Field(default=None, max_length=64, description="subgroups, intersections: which.")
    attack: str | None = Field(default=None, max_length=64, description="roc: which attack.")
    series: str | None = Field(default=None, max_length=400, description="history: which quantity.")
    method: str | None = Field(default=None, max_length=64, description="clipping, intersections: of which.")
    epsilon: float | None = Field(default=None, gt=0, description="subgroups, roc, history, clipping: at which ε.")
    choose: str = Field(default="auto", max_length=64, description="As for curves.")
    setting: int | None = Field(default=None, description="intersections: one setting instead of a method's mean.")
    frontier: bool = Field(
        default=False, description="tradeoff: join the settings that no other beats, and say how often each is one."
    )
    degenerate: bool = Field(default=False, description="tradeoff: whether degenerate settings can be on the frontier.")
    color: str | None = Field(
        default=None, max_length=64, description="tradeoff: a metric, a parameter, `method`, `dataset` or `model`."
    )
    size: str | None = Field(default=None, max_length=64, description="tradeoff: a metric or a numeric parameter.")
    facet: str | None = Field(
        default=None,
        max_length=300,
        description="tradeoff: small multiples by `method`, `dataset`, `model`, a parameter, or the subgroups of an "
        "attribute such as `sex` or `sex & race`.",
    )
    metrics: list[str] = Field(
        default_factory=list, max_length=12, description="parallel: metrics and parameters, in order."
    )
    x_log: bool | None = Field(default=None, description="tradeoff: logarithmic horizontal axis; left out: as fits.")
    y_log: bool | None = Field(default=None, description="tradeoff: logarithmic vertical axis.")
    x_min: float | None = Field(default=None, description="tradeoff: fixed lower end.")
    x_max: float | None = None
    y_min: float | None = None
    y_max: float | None = None
    ranges: Literal["shared", "free"] = Field(default="shared", description="tradeoff: axes of small multiples.")
    order: Literal["value", "gap"] = Field(
        default="value", description="subgroups: worst first, or furthest from everybody first."
    )
    as_of: AwareDatetime | None = Field(default=None, description="Leaves out runs that finished later.")
    format: Literal["json", "csv"] = Field(default="json", description="csv: the table, with all of its rows.")
    theme: Literal["light", "dark"] = "light"
    width: int | None = Field(default=None, ge=200, le=10_000, description="Pixels it is drawn at, if known.")


@router.get(
    "/{name}",
    name="get_figure",
    response_model=Figure,
    responses={
        200: {"content": {"text/csv": {"schema": {"type": "string"}}}, "description": "A figure, or its table."}
    },
    summary="A figure, ready to draw",
)
def get_figure(
    name: Annotated[FigureName, Path(description="Which figure.")],
    filters: Annotated[FigureFilters, Query()],
    session: SessionDep,
) -> Response:
    """Where there is nothing to draw yet, `empty` says why and what to do."""
    from backend.api.services import pictures
    from backend.reports import csv

    _ordered_ends(filters)
    as_file = filters.format == "csv"
    request = pictures.Request.model_validate(filters.model_dump(exclude={"format"}))
    drawn = pictures.figure(session, name, request, whole_table=as_file)
    if as_file:
        headers = {"Content-Disposition": f'attachment; filename="{name}.csv"'}
        heads = [f"{c.title} ({c.unit})" if c.unit else c.title for c in drawn.columns]
        return Response(csv.write([heads, *drawn.rows]), media_type="text/csv; charset=utf-8", headers=headers)
    # Written once, without the framework looking at each of ten thousand numbers again.
    return Response(drawn.model_dump_json(), media_type="application/json")


def _ordered_ends(filters: FigureFilters) -> None:
    for axis in ("x", "y"):
        low, high = getattr(filters, f"{axis}_min"), getattr(filters, f"{axis}_max")
        if low is not None and high is not None and low >= high:
            problem = Problem(
                field=f"{axis}_max", expected=f"a number above {low:g}", got=f"{high:g}", fix="Exchange the two ends."
            )
            raise InvalidRequest(f"The {axis} axis would end before it begins.", problems=[problem])
