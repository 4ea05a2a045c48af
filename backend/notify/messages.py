"""What is sent: one JSON object, the same for both channels."""

from __future__ import annotations

import hashlib
import secrets
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import format_datetime
from typing import Any

from backend.settings import Settings
from backend.store.tables import NotificationRow, PersonRow

#: Kind of the message that `equipoise notify test` sends.
TRIAL = "test"
#: Longest subject of a mail, in characters.
SUBJECT = 120


def payload(row: NotificationRow, person: PersonRow | None, settings: Settings) -> dict[str, Any]:
    """The body of a webhook: what happened, whom it concerns, where to look."""
    return {
        "id": f"notice-{row.id}",
        "kind": row.kind,
        "text": row.text,
        "person": person.name if person is not None else None,
        "path": row.href,
        "url": f"{settings.public_url}{row.href}" if settings.public_url else None,
        "created_at": row.created_at.isoformat(),
    }


def trial(settings: Settings) -> dict[str, Any]:
    """A message that says that it is only a test."""
    return {
        "id": f"test-{secrets.token_hex(6)}",
        "kind": TRIAL,
        "text": "This is a test: notifications of Equipoise arrive here.",
        "person": None,
        "path": "/studies",
        "url": f"{settings.public_url}/studies" if settings.public_url else None,
        "created_at": datetime.now(UTC).isoformat(),
    }


def mail(message: dict[str, Any], sender: str, recipient: str) -> EmailMessage:
    """The same as a mail in plain text.

    Its Message-ID follows from the notification and the recipient, so that a mail program shows one that was sent
    twice once. Raises `ValueError` for an address that would add a header.
    """
    if any(c.isspace() or not c.isprintable() for c in sender + recipient):
        raise ValueError("a mail address holds a character that no address has")
    text = " ".join(str(message["text"]).split())
    subject = text if len(text) <= SUBJECT else text[: SUBJECT - 1] + "…"
    letter = EmailMessage()
    letter["From"] = sender
    letter["To"] = recipient
    letter["Subject"] = "".join(c for c in subject if c.isprintable())
    letter["Date"] = format_datetime(datetime.fromisoformat(message["created_at"]))
    letter["Message-ID"] = f"<{message['id']}.{_of(recipient)}@{sender.rpartition('@')[2]}>"
    # Keeps answering machines silent (RFC 3834).
    letter["Auto-Submitted"] = "auto-generated"
    where = message["url"] or f"{message['path']} of the dashboard"
    letter.set_content(f"{message['text']}\n\n{where}\n")
    return letter


def _of(recipient: str) -> str:
    return hashlib.sha256(recipient.encode()).hexdigest()[:12]
