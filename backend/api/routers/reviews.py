"""Reviews: a team's frozen comparison, its comments, decisions and rating tasks."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query, Response
from pydantic import Field

from backend.api.deps import ERRORS, ContextDep, Filters, MaybePersonDep, NoFiltersDep, Paged, PersonDep
from backend.api.services import reviews as service
from backend.contracts.public import Figure, Page, ProblemDetails
from backend.contracts.results import Split
from backend.contracts.reviews import (
    Comparison,
    EditedComment,
    MemberChange,
    NewComment,
    NewDecision,
    NewRatings,
    NewReview,
    NewTask,
    ReviewDetail,
    ReviewEvent,
    ReviewExport,
    ReviewStatus,
    ReviewSummary,
    Snapshot,
    Task,
    Tested,
    Verification,
    WithdrawnDecision,
)

CONFLICT: dict[int | str, dict[str, object]] = {
    409: {
        "model": ProblemDetails,
        "description": "Your role or the review's state does not allow it; `detail` says why.",
    }
}

router = APIRouter(prefix="/reviews", tags=["reviews"], responses=ERRORS)

ReviewId = Annotated[str, Path(max_length=64, description="Id of a review.")]
Number = Annotated[int, Path(ge=1, lt=2**31)]


class ReviewFilters(Paged):
    """Which reviews."""

    status: list[ReviewStatus] = Field(default_factory=list, max_length=4, description="Any of these.")
    text: str | None = Field(default=None, max_length=200, description="Part of the title, or the whole id.")


class ComparisonFilters(Filters):
    """What is compared. Every test that is shown takes part in the correction, so ask for what matters."""

    split: Split = "test"
    metric: list[str] = Field(default_factory=list, max_length=20, description="Left out: the headline ones.")
    subgroup: list[str] = Field(default_factory=list, max_length=100, description="Left out: all.")
    tests: Tested = Field(
        default="primary",
        description="primary: where neither metrics nor subgroups are named, only the few figures that `family` states "
        "are tested; all: everything that is shown.",
    )


class Look(Filters):
    """How a figure is drawn."""

    theme: Literal["light", "dark"] = "light"
    width: int | None = Field(default=None, ge=200, le=10_000, description="Pixels it is drawn at, if known.")


class Remembered(Filters):
    """What was noted of the history earlier."""

    head: str | None = Field(
        default=None, pattern=r"^[0-9a-f]{64}$", description="A hash noted earlier: is that entry still there?"
    )


@router.post("", name="create_review", status_code=201, responses=CONFLICT, summary="Make a review of a selection")
def create_review(
    _: NoFiltersDep, new: NewReview, person: PersonDep, context: ContextDep, response: Response
) -> ReviewDetail:
    """Freezes all numbers of the settings as they are now. You are its author."""
    review = service.create(context, person, new)
    response.headers["Location"] = f"/api/reviews/{review.id}"
    return review


@router.get("", name="list_reviews", summary="Reviews, newest first")
def list_reviews(
    filters: Annotated[ReviewFilters, Query()], person: MaybePersonDep, context: ContextDep
) -> Page[ReviewSummary]:
    """A page of reviews; `asked` says what each asks of you."""
    items, following = service.listed(
        context, person, status=filters.status, text=filters.text, limit=filters.limit, cursor=filters.cursor
    )
    return Page(items=items, next=following)


@router.get("/{review_id}", name="get_review", summary="A review with its threads, decisions and verification")
def get_review(review_id: ReviewId, _: NoFiltersDep, person: MaybePersonDep, context: ContextDep) -> ReviewDetail:
    """History and snapshot are verified each time. Says what ended since the snapshot."""
    return service.detail(context, person, review_id)


@router.get("/{review_id}/snapshot", name="get_review_snapshot", summary="Everything that the review froze")
def get_review_snapshot(review_id: ReviewId, _: NoFiltersDep, context: ContextDep) -> Snapshot:
    """Configurations, runs, and every series with its values per seed."""
    return service.snapshot(context, review_id)


@router.get("/{review_id}/comparison", name="compare_review", summary="The settings side by side")
def compare_review(
    review_id: ReviewId, filters: Annotated[ComparisonFilters, Query()], context: ContextDep
) -> Comparison:
    """Paired tests over shared seeds between every two settings, Holm-corrected over the family that is stated."""
    return service.comparison(context, review_id, filters.split, filters.metric, filters.subgroup, filters.tests)


@router.get("/{review_id}/tradeoff", name="get_review_tradeoff", summary="The trade-off at the moment of the snapshot")
def get_review_tradeoff(review_id: ReviewId, filters: Annotated[Look, Query()], context: ContextDep) -> Figure:
    """The settings that were chosen from, the compared ones lit up. It is drawn from the snapshot alone."""
    return service.tradeoff(context, review_id, filters.theme, filters.width)


@router.get("/{review_id}/events", name="list_review_events", summary="The history, oldest first")
def list_review_events(
    review_id: ReviewId, filters: Annotated[Paged, Query()], person: MaybePersonDep, context: ContextDep
) -> Page[ReviewEvent]:
    """Entries are never changed or removed. Ratings of a task that is not closed are shown to their rater alone."""
    items, following = service.events(context, person, review_id, limit=filters.limit, cursor=filters.cursor)
    return Page(items=items, next=following)


@router.get("/{review_id}/verification", name="verify_review", summary="Whether anything was altered")
def verify_review(review_id: ReviewId, filters: Annotated[Remembered, Query()], context: ContextDep) -> Verification:
    """Recomputes every hash. With `head`, also whether the entry of a hash that you noted earlier is still there."""
    return service.verification(context, review_id, filters.head)


@router.get("/{review_id}/export", name="export_review", summary="The review as one document")
def export_review(review_id: ReviewId, _: NoFiltersDep, person: MaybePersonDep, context: ContextDep) -> ReviewExport:
    """Snapshot and history, enough to verify the chain elsewhere once its rating tasks are closed."""
    return service.export(context, person, review_id)


@router.post("/{review_id}/comments", name="comment", status_code=201, responses=CONFLICT, summary="Comment or answer")
def comment(
    review_id: ReviewId, _: NoFiltersDep, new: NewComment, person: PersonDep, context: ContextDep
) -> ReviewDetail:
    """Begins a thread at an anchor, or answers in one. Whoever is mentioned as `@Name` is told."""
    return service.comment(context, person, review_id, new)


@router.put("/{review_id}/comments/{number}", name="edit_comment", responses=CONFLICT, summary="Edit your comment")
def edit_comment(
    review_id: ReviewId, number: Number, _: NoFiltersDep, new: EditedComment, person: PersonDep, context: ContextDep
) -> ReviewDetail:
    """The old text stays in the history."""
    return service.edit(context, person, review_id, number, new.text)


@router.post("/{review_id}/threads/{number}/resolve", name="resolve_thread", responses=CONFLICT, summary="Settle")
def resolve_thread(
    review_id: ReviewId, number: Number, _: NoFiltersDep, person: PersonDep, context: ContextDep
) -> ReviewDetail:
    """By any member, or by whoever began the thread."""
    return service.settle(context, person, review_id, number, resolved=True)


@router.post("/{review_id}/threads/{number}/reopen", name="reopen_thread", responses=CONFLICT, summary="Open again")
def reopen_thread(
    review_id: ReviewId, number: Number, _: NoFiltersDep, person: PersonDep, context: ContextDep
) -> ReviewDetail:
    """By any member, or by whoever began the thread."""
    return service.settle(context, person, review_id, number, resolved=False)


@router.put("/{review_id}/members", name="set_member", responses=CONFLICT, summary="Give or take a role")
def set_member(
    review_id: ReviewId, _: NoFiltersDep, change: MemberChange, person: PersonDep, context: ContextDep
) -> ReviewDetail:
    """By an author. Whoever has an objection that stands keeps their role until they withdraw it."""
    return service.set_member(context, person, review_id, change)


@router.post(
    "/{review_id}/decisions",
    name="decide",
    status_code=201,
    responses=CONFLICT,
    summary="Approve, ask for changes, reject",
)
def decide(
    review_id: ReviewId, _: NoFiltersDep, new: NewDecision, person: PersonDep, context: ContextDep
) -> ReviewDetail:
    """With a reason. Not by an author; only approvals of approvers count. It replaces your earlier decision."""
    return service.decide(context, person, review_id, new)


@router.post("/{review_id}/decisions/withdraw", name="withdraw_decision", responses=CONFLICT, summary="Take it back")
def withdraw_decision(
    review_id: ReviewId, _: NoFiltersDep, why: WithdrawnDecision, person: PersonDep, context: ContextDep
) -> ReviewDetail:
    """Your decision no longer stands; it stays in the history."""
    return service.withdraw(context, person, review_id, why.reason)


@router.post("/{review_id}/tasks", name="create_task", status_code=201, responses=CONFLICT, summary="Ask for ratings")
def create_task(review_id: ReviewId, _: NoFiltersDep, new: NewTask, person: PersonDep, context: ContextDep) -> Task:
    """Items, shuffled for each rater; hidden fields and others' ratings are shown when the task is closed."""
    return service.create_task(context, person, review_id, new)


@router.get("/{review_id}/tasks/{number}", name="get_task", summary="A rating task as you may see it")
def get_task(review_id: ReviewId, number: Number, _: NoFiltersDep, person: MaybePersonDep, context: ContextDep) -> Task:
    """Items in your own order with your answers; once it is closed all fields and the results."""
    return service.task(context, person, review_id, number)


@router.post("/{review_id}/tasks/{number}/ratings", name="rate", responses=CONFLICT, summary="Answer items")
def rate(
    review_id: ReviewId, number: Number, _: NoFiltersDep, new: NewRatings, person: PersonDep, context: ContextDep
) -> Task:
    """One answer or many, all or nothing. A later answer replaces the earlier one."""
    return service.rate(context, person, review_id, number, new)


@router.post("/{review_id}/tasks/{number}/close", name="close_task", responses=CONFLICT, summary="Close and uncover")
def close_task(review_id: ReviewId, number: Number, _: NoFiltersDep, person: PersonDep, context: ContextDep) -> Task:
    """By an author or whoever made it. It cannot be opened again: it is no longer blind."""
    return service.close_task(context, person, review_id, number)


@router.get(
    "/{review_id}/tasks/{number}/export",
    name="export_task",
    response_class=Response,
    responses={200: {"content": {"text/csv": {"schema": {"type": "string"}}}, "description": "A file."}},
    summary="Items and ratings as CSV",
)
def export_task(
    review_id: ReviewId, number: Number, _: NoFiltersDep, person: MaybePersonDep, context: ContextDep
) -> Response:
    """Your own answers while it is open; all answers and the hidden fields once it is closed."""
    text = service.export_task(context, person, review_id, number)
    headers = {"Content-Disposition": f'attachment; filename="ratings-{review_id}-{number}.csv"'}
    return Response(text, media_type="text/csv; charset=utf-8", headers=headers)
