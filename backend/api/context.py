"""What one application holds: settings, database, queue, event hub. All made at first use, nothing on import."""

from __future__ import annotations

import threading
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

from sqlalchemy.orm import Session

from backend.api.stream import EventHub
from backend.settings import Settings
from backend.store.database import Database

if TYPE_CHECKING:
    from backend.notify.dispatcher import Dispatcher
    from backend.queue import Reaper


class Queue(Protocol):
    """What the API needs of the job engine."""

    def prepare(self) -> None:
        """Creates or upgrades the engine's tables."""

    def enqueue(self, session: Session, job_id: str, submission: int, priority: int, queue: str = "cpu") -> None:
        """Puts a job on the queue, in the caller's transaction."""

    def cancel(self, job_id: str, submission: int) -> None:
        """Takes a job off the queue, or asks its worker to stop."""

    def close(self) -> None:
        """Closes the connections."""


class Context:
    """One application's belongings."""

    def __init__(self, settings: Settings, queue: Queue | None = None) -> None:
        self.settings = settings
        self._queue = queue
        self._prepared = queue is not None
        self._replaced = queue is not None
        self._lock = threading.Lock()
        self._reaper: Reaper | None = None
        self._dispatcher: Dispatcher | None = None

    @cached_property
    def database(self) -> Database:
        """The database; connecting is left to the first use."""
        return Database(self.settings.url())

    @cached_property
    def events(self) -> EventHub:
        """The hub of all event streams."""
        return EventHub(lambda: self.database, self.settings.poll_seconds)

    def queue(self) -> Queue:
        """The queue, ready for use. The first call loads the engine, which takes about a second."""
        with self._lock:
            if self._queue is None:
                from backend.queue import JobQueue

                self._queue = JobQueue(self.database)
            if not self._prepared:
                self._queue.prepare()
                self._prepared = True
            return self._queue

    def start_reaper(self) -> None:
        """Begins to look after the jobs of workers that are gone."""
        from backend.queue import JobQueue, Reaper

        queue = self.queue()
        if isinstance(queue, JobQueue) and self._reaper is None:
            self._reaper = Reaper(self.database, queue, self.settings)
            self._reaper.start()

    def start_dispatcher(self) -> None:
        """Begins to pass notifications on, unless the queue was replaced: then nothing works in the background."""
        from backend.notify.dispatcher import Dispatcher

        if self._dispatcher is None and not self._replaced:
            self._dispatcher = Dispatcher(self.database, self.settings)
            self._dispatcher.start()

    def close(self) -> None:
        """Ends threads and connections."""
        if self._dispatcher is not None:
            self._dispatcher.stop()
        if self._reaper is not None:
            self._reaper.stop()
        if self._queue is not None:
            self._queue.close()
        if "database" in self.__dict__:
            self.database.dispose()
