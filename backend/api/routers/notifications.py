"""Notifications: what people are told, and what became of those that left the server."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Query
from pydantic import Field

from backend.api.deps import ERRORS, ContextDep, MaybePersonDep, NoFiltersDep, Paged, PersonDep, SessionDep
from backend.api.services import notices
from backend.contracts.base import Contract
from backend.contracts.public import Page

router = APIRouter(prefix="/notifications", tags=["notifications"], responses=ERRORS)


class Notification(Contract):
    """What somebody, or everybody, was told."""

    id: int
    kind: str = Field(description="What happened, such as job_succeeded, job_failed, alarm or review_asked.")
    text: str
    path: str = Field(description="Page that it is about.")
    created_at: datetime
    for_everybody: bool
    seen: bool


class Notifications(Page[Notification]):
    """A page of them, newest first."""

    unseen: int = Field(description="How many in all are newer than the newest one seen.")
    newest: int = Field(description="Id of the newest one of anybody, 0 where there is none.")


class NotificationFilters(Paged):
    """Which notifications."""

    seen_up_to: int | None = Field(
        default=None, ge=0, le=2**62, description="For those who have no name here: the newest one that they saw."
    )


class Seen(Contract):
    """What was seen."""

    up_to: int = Field(ge=0, le=2**62, description="Id of the newest notification that was seen.")


class Delivery(Contract):
    """A notification on its way out, or one that has left."""

    id: int
    notification: int
    channel: Literal["webhook", "email"]
    target: str = Field(description="Host and fingerprint of a webhook, or a mail address with its name covered.")
    state: Literal["waiting", "delivered", "given_up"]
    attempts: int
    next_at: datetime | None
    delivered_at: datetime | None
    error: str | None = Field(description="Why the last attempt failed.")
    created_at: datetime


class Deliveries(Page[Delivery]):
    """A page of deliveries, and what is set up."""

    webhooks: list[str] = Field(description="Webhooks that are set up: host and fingerprint.")
    mail: bool = Field(description="Whether a mail server is set up.")
    failing: int = Field(description="Deliveries of the last day that failed at their last attempt.")


class DeliveryFilters(Paged):
    """Which deliveries."""

    failing: bool = Field(default=False, description="Only those whose last attempt failed.")


@router.get("", name="list_notifications", summary="What you were told, newest first")
def list_notifications(
    filters: Annotated[NotificationFilters, Query()], person: MaybePersonDep, session: SessionDep
) -> Notifications:
    """Yours and everybody's; without a name only the latter."""
    found = notices.told(session, person, filters.limit, filters.cursor, filters.seen_up_to)
    items = [
        Notification(
            id=row.id,
            kind=row.kind,
            text=row.text,
            path=row.href,
            created_at=row.created_at,
            for_everybody=row.person_id is None,
            seen=row.id <= found.seen,
        )
        for row in found.rows
    ]
    return Notifications(items=items, next=found.following, unseen=found.unseen, newest=found.newest)


@router.put("/seen", name="see_notifications", summary="Say up to which one you have seen them")
def see_notifications(_: NoFiltersDep, person: PersonDep, seen: Seen, context: ContextDep) -> Seen:
    """What was seen once stays seen."""
    return Seen(up_to=notices.see(context.database, person, seen.up_to))


@router.get("/deliveries", name="list_deliveries", summary="Webhooks and mail, newest first")
def list_deliveries(
    filters: Annotated[DeliveryFilters, Query()], context: ContextDep, session: SessionDep
) -> Deliveries:
    """What waits, what arrived, and what was given up and why."""
    found = notices.sent(session, context.settings, filters.limit, filters.cursor, filters.failing)
    items = [
        Delivery(
            id=row.id,
            notification=row.notice_id,
            channel="webhook" if row.channel == "webhook" else "email",
            target=notices.covered(row.channel, row.target),
            state="delivered" if row.delivered_at else "given_up" if row.next_at is None else "waiting",
            attempts=row.attempts,
            next_at=row.next_at,
            delivered_at=row.delivered_at,
            error=row.error,
            created_at=row.created_at,
        )
        for row in found.rows
    ]
    return Deliveries(
        items=items, next=found.following, webhooks=found.webhooks, mail=found.mail, failing=found.failing
    )
