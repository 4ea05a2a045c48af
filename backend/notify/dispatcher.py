"""Passes notifications on and sends what is due, on a thread of the API, in one replica at a time.

A round: every new notification gets its deliveries (a webhook each, a mail to whom it concerns), in one transaction
with the mark that it is passed on; then what is due is sent. A process that ends between sending and writing that down
sends the message again: it arrives at least once, and carries an id by which the other side can tell.
"""

from __future__ import annotations

import random
import secrets
import threading
from datetime import timedelta

from sqlalchemy.exc import SQLAlchemyError

from backend.api.services import alarms
from backend.errors import EquipoiseError
from backend.logs import get_logger
from backend.notify import messages, sending
from backend.settings import Settings
from backend.store import deliveries, notifications, workers
from backend.store.database import Database
from backend.store.deliveries import Outgoing
from backend.store.tables import DeliveryRow

log = get_logger(__name__)

_LEASE = "notifier"
#: Longer than one attempt takes, so that nobody else begins while it lasts.
_LEASE_SECONDS = 6 * sending.PATIENCE
#: Seconds until the second attempt, and the longest pause; each pause is twice the one before.
FIRST_PAUSE = 30.0
LONGEST_PAUSE = 3600.0
#: What is done in one round.
_PORTION = 100
#: Age from which failures are no longer spoken of.
RECENT = timedelta(days=1)


def pause(attempt: int, draw: float) -> float:
    """Seconds until the next attempt after this one (1 is the first); `draw` in [0, 1) spreads them over a half more.

    >>> [pause(n, 0.0) for n in (1, 2, 3, 12)], pause(1, 0.5)
    ([30.0, 60.0, 120.0, 3600.0], 37.5)
    """
    return min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** (attempt - 1)) * (1 + draw / 2)


class Dispatcher:
    """Runs in the background of every API process; one of them at a time does the work."""

    def __init__(self, database: Database, settings: Settings, *, every_seconds: float = 2.0) -> None:
        self._database = database
        self._settings = settings
        self._channels = sending.Channels(settings)
        self._every = every_seconds
        self._holder = secrets.token_hex(8)
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begins, on a thread of its own."""
        self._thread = threading.Thread(target=self._run, name="notifier", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Ends the thread; another process takes the duty over once the lease has run out."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(timeout=sending.PATIENCE + 2)
            self._thread = None

    def look(self) -> int:
        """One round: answers how many messages arrived."""
        with self._database.read() as session:
            if not notifications.waiting(session, 1) and not deliveries.due(session, 1):
                return 0
        if not self._on_duty():
            return 0
        self._pass_on()
        with self._database.read() as session:
            found = deliveries.due(session, _PORTION)
        arrived = 0
        for row in found:
            # A round can outlast the lease: whoever has lost it leaves the rest to the other.
            if self._stop.is_set() or not self._on_duty():
                break
            arrived += self._try(row)
        return arrived

    def _on_duty(self) -> bool:
        with self._database.write() as session:
            return workers.acquire_lease(session, _LEASE, self._holder, seconds=_LEASE_SECONDS)

    def _pass_on(self) -> None:
        with self._database.write() as session:
            found = notifications.waiting(session, _PORTION)
            for row, person in found:
                if row.kind.startswith("job_"):
                    job_id = row.href.rpartition("/")[2]
                    alarm = alarms.of_jobs(session, [job_id]).get(job_id)
                    if alarm is not None:
                        # It is passed on in the next round.
                        notifications.add(session, row.person_id, "alarm", alarm, row.href)
                body = messages.payload(row, person, self._settings)
                out = [Outgoing(row.id, "webhook", target, body) for target in self._channels.webhooks]
                if person is not None and person.email and self._channels.may_mail(person.email):
                    out.append(Outgoing(row.id, "email", person.email, body))
                if out:
                    deliveries.put(session, out)
            notifications.pass_on(session, [row.id for row, _ in found])

    def _try(self, row: DeliveryRow) -> bool:
        attempt = row.attempts + 1
        with self._database.write() as session:
            if not deliveries.take(session, row, pause(attempt, random.random())):
                return False
        try:
            self._channels.send(row.channel, row.target, row.payload)
        except sending.NotSent as error:
            again = not error.final and attempt < self._settings.delivery_attempts
            with self._database.write() as session:
                deliveries.failed(session, row.id, str(error), again=again)
            where = row.target if row.channel == "webhook" else f"…@{row.target.rpartition('@')[2]}"
            log.warning(
                "a notification did not arrive" if again else "a notification was given up",
                delivery=row.id,
                channel=row.channel,
                target=where,
                attempt=attempt,
                reason=str(error),
            )
            return False
        with self._database.write() as session:
            deliveries.arrived(session, row.id)
        return True

    def _run(self) -> None:
        while not self._stop.wait(self._every):
            try:
                self.look()
            except (EquipoiseError, SQLAlchemyError) as error:
                log.warning("could not pass notifications on; will try again", reason=str(error))
            except Exception:
                log.exception("passing notifications on failed; will try again")
