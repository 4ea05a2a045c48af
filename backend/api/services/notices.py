"""Notifications as the page shows them."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.notify.dispatcher import RECENT
from backend.notify.sending import Channels
from backend.settings import Settings
from backend.store import deliveries, notifications, people, workers
from backend.store.database import Database
from backend.store.tables import DeliveryRow, NotificationRow, PersonRow


@dataclass(frozen=True)
class Told:
    """A page of what somebody was told."""

    rows: list[NotificationRow]
    following: str | None
    seen: int
    unseen: int
    newest: int


@dataclass(frozen=True)
class Sent:
    """A page of what left, and what is set up."""

    rows: list[DeliveryRow]
    following: str | None
    webhooks: list[str]
    mail: bool
    failing: int


def told(session: Session, name: str | None, limit: int, cursor: str | None, seen_up_to: int | None) -> Told:
    """What a person was told; one without a name, or whom nobody knows yet, what everybody was."""
    person = session.scalar(select(PersonRow).where(PersonRow.name == name)) if name else None
    seen = person.seen_notification if person is not None else seen_up_to or 0
    person_id = person.id if person is not None else None
    rows, following = notifications.page(session, person_id, limit=limit, cursor=cursor)
    unseen = notifications.unseen(session, person_id, seen)
    return Told(rows, following, seen, unseen, notifications.newest(session))


def see(database: Database, name: str, up_to: int) -> int:
    """The person has seen all up to this one. Answers the newest one seen."""
    with database.write() as session:
        person = people.named(session, name)
        return notifications.see(session, person.id, min(up_to, notifications.newest(session)))


def sent(session: Session, settings: Settings, limit: int, cursor: str | None, failing: bool) -> Sent:
    """What left the server or could not."""
    channels = Channels(settings)
    rows, following = deliveries.page(session, limit=limit, cursor=cursor, failing=failing)
    count = deliveries.failing(session, workers.database_now(session) - RECENT)
    return Sent(rows, following, list(channels.webhooks), channels.mail, count)


def covered(channel: str, target: str) -> str:
    """A target as everybody may see it.

    >>> covered("email", "ada@example.org"), covered("webhook", "hooks.example.org#0a1b2c3d4e5f")
    ('a…@example.org', 'hooks.example.org#0a1b2c3d4e5f')
    """
    if channel == "webhook":
        return target
    name, _, domain = target.rpartition("@")
    return f"{name[:1]}…@{domain}"
