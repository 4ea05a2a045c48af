"""Reports: one file that needs nothing else, of a study, of a selection of its settings, or of a review."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Query
from fastapi.responses import StreamingResponse
from pydantic import AwareDatetime, Field

from backend.api.deps import ERRORS, ContextDep, Filters, NoFiltersDep
from backend.api.routers.reviews import ReviewId
from backend.contracts.results import Split
from backend.reports import html, markdown
from backend.reports.document import Document

router = APIRouter(prefix="/reports", tags=["reports"], responses=ERRORS)

#: Studies and settings that one report may be of.
MOST_JOBS, MOST_SETTINGS = 20, 200
HTML: dict[int | str, dict[str, object]] = {
    200: {"content": {"text/html": {"schema": {"type": "string"}}}, "description": "The file."}
}
CARD: dict[int | str, dict[str, object]] = {
    200: {
        "content": {kind: {"schema": {"type": "string"}} for kind in ("text/html", "text/markdown")},
        "description": "The file.",
    }
}


class ReportFilters(Filters):
    """What the report is of, and from which view its first figure is."""

    job_id: list[str] = Field(min_length=1, max_length=MOST_JOBS, description="Studies.")
    setting: list[int] = Field(
        default_factory=list, max_length=MOST_SETTINGS, description="Only these settings of them: a selection."
    )
    x: str = Field(default="epsilon", max_length=64, description="Horizontal axis of the first figure.")
    y: str | None = Field(default=None, max_length=64, description="Its vertical axis; left out: as fits.")
    subgroup: str | None = Field(default=None, max_length=300, description="Subgroup of y.")
    split: Split = "test"
    as_of: AwareDatetime | None = Field(default=None, description="Leaves out runs that finished later.")


@router.get(
    "", name="get_report", response_class=StreamingResponse, responses=HTML, summary="A report as one HTML file"
)
def get_report(filters: Annotated[ReportFilters, Query()], context: ContextDep) -> StreamingResponse:
    """Figures, tables, data, privacy, statistics, citations and versions, as they are now. It needs no network."""
    from backend.api.services import reports

    with context.database.read() as session:
        document = reports.study(session, reports.Request.model_validate(filters.model_dump()))
    kind = "selection" if filters.setting else "study"
    return _file(document, f"report-{kind}-{filters.job_id[0]}.html")


class CardFilters(Filters):
    """Which setting, and as what."""

    setting: int = Field(ge=1, le=2**31 - 1, description="`setting_id` of a run.")
    job_id: list[str] = Field(
        default_factory=list, max_length=MOST_JOBS, description="Only its runs in these studies; left out: in all."
    )
    format: Literal["html", "md"] = "html"


@router.get(
    "/model-card", name="get_model_card", response_class=StreamingResponse, responses=CARD, summary="A model card"
)
def get_model_card(filters: Annotated[CardFilters, Query()], context: ContextDep) -> StreamingResponse:
    """Under the headings of Mitchell et al. (2019). What is not known is a marked blank to be filled in."""
    from backend.api.services import model_cards

    with context.database.read() as session:
        document = model_cards.card(session, filters.setting, filters.job_id)
    return _file(document, f"model-card-{filters.setting}.{filters.format}")


@router.get(
    "/reviews/{review_id}",
    name="get_review_report",
    response_class=StreamingResponse,
    responses=HTML,
    summary="A review as one file",
)
def get_review_report(review_id: ReviewId, _: NoFiltersDep, context: ContextDep) -> StreamingResponse:
    """From its snapshot and history alone. What is blind until a rating task closes is not in it."""
    from backend.api.services import review_reports

    return _file(review_reports.review(context, review_id), f"report-review-{review_id}.html")


@router.get(
    "/reviews/{review_id}/measurements",
    name="get_review_measurements",
    response_class=StreamingResponse,
    responses={200: {"content": {"text/csv": {"schema": {"type": "string"}}}, "description": "The file."}},
    summary="The numbers of a review as CSV",
)
def get_review_measurements(review_id: ReviewId, _: NoFiltersDep, context: ContextDep) -> StreamingResponse:
    """Every number that the snapshot holds, one row per run and series."""
    from backend.api.services import review_reports, reviews
    from backend.reports import csv

    rows = review_reports.csv_rows(reviews.snapshot(context, review_id))
    headers = {"Content-Disposition": f'attachment; filename="measurements-review-{_safe(review_id)}.csv"'}
    return StreamingResponse((csv.write([row]) for row in rows), media_type="text/csv; charset=utf-8", headers=headers)


def _file(document: Document, name: str) -> StreamingResponse:
    """The file as a download. Written in portions, in a thread: neither the event loop nor memory holds the whole."""
    if name.endswith(".md"):
        disposition = {"Content-Disposition": f'attachment; filename="{_safe(name)}"'}
        return StreamingResponse(markdown.write(document), media_type=markdown.MEDIA_TYPE, headers=disposition)
    headers = {
        "Content-Disposition": f'attachment; filename="{_safe(name)}"',
        # Were it opened in place, it would be under its own policy and not under the page's.
        "Content-Security-Policy": f"{html.policy(figures=True)}; sandbox allow-scripts",
    }
    return StreamingResponse(html.write(document), media_type=html.MEDIA_TYPE, headers=headers)


def _safe(name: str) -> str:
    """A file name of letters that every system takes."""
    return "".join(c if c.isascii() and (c.isalnum() or c in "-_.") else "-" for c in name)[:120]
