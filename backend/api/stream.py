"""Server-sent events of a job: replayed from the database, so that a page that comes back misses nothing.

One task per application looks, while anybody listens, which of the watched jobs have new events, and wakes the
streams concerned. A stream is a coroutine: hundreds of open pages cost no threads, and one query per look.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TypeVar

import anyio
import anyio.to_thread

from backend.contracts.results import ENDED, JobEvent
from backend.errors import EquipoiseError
from backend.logs import get_logger
from backend.store import jobs
from backend.store.database import Database

log = get_logger(__name__)

T = TypeVar("T")

#: Seconds of silence after which a comment is sent: proxies close connections that say nothing.
HEARTBEAT_SECONDS = 10.0
#: Milliseconds after which a browser reconnects.
RETRY_MS = 1000
#: Events fetched at a time.
PORTION = 500


class EventHub:
    """Wakes the streams whose job has something new."""

    def __init__(self, database: Callable[[], Database], poll_seconds: float) -> None:
        self._database = database
        self._poll = poll_seconds
        self._watched: dict[str, set[asyncio.Event]] = defaultdict(set)
        self._seen: dict[str, int | None] = {}
        self._task: asyncio.Task[None] | None = None
        self._limiter: anyio.CapacityLimiter | None = None
        self._closed = False

    @property
    def watched(self) -> int:
        """Open streams."""
        return sum(len(listeners) for listeners in self._watched.values())

    def close(self) -> None:
        """Ends all streams; browsers reconnect by themselves when there is somebody to connect to."""
        self._closed = True
        for listeners in self._watched.values():
            for listener in listeners:
                listener.set()
        if self._task is not None:
            self._task.cancel()
            self._task = None

    async def stream(
        self, job_id: str, after: int, *, heartbeat_seconds: float = HEARTBEAT_SECONDS
    ) -> AsyncIterator[str]:
        """Events of a job with an id above `after` as text of the stream, until it has ended and all is sent."""
        yield f"retry: {RETRY_MS}\n\n"
        with self._listening(job_id) as news:
            while not self._closed:
                news.clear()
                # Whether it has ended is asked first: what came before the end is then surely fetched.
                ended = await self._in_thread(partial(self._ended, job_id))
                while events := await self._in_thread(partial(self._fetch, job_id, after)):
                    for event in events:
                        after = event.id
                        yield format_event(event)
                if ended:
                    return
                while not self._closed:
                    try:
                        await asyncio.wait_for(news.wait(), heartbeat_seconds)
                        break
                    except TimeoutError:
                        yield ": still here\n\n"

    @contextmanager
    def _listening(self, job_id: str) -> Iterator[asyncio.Event]:
        news = asyncio.Event()
        self._watched[job_id].add(news)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._look())
        try:
            yield news
        finally:
            self._watched[job_id].discard(news)
            if not self._watched[job_id]:
                del self._watched[job_id]
                self._seen.pop(job_id, None)

    async def _look(self) -> None:
        while self._watched and not self._closed:
            watched = list(self._watched)
            try:
                latest = await self._in_thread(partial(self._latest, watched))
            except EquipoiseError as error:
                log.warning("events could not be looked up", reason=error.detail)
            else:
                for job_id in watched:
                    newest = latest.get(job_id)
                    if job_id not in self._seen or self._seen[job_id] != newest:
                        self._seen[job_id] = newest
                        for listener in self._watched.get(job_id, ()):
                            listener.set()
            await asyncio.sleep(self._poll)

    async def _in_thread(self, function: Callable[[], T]) -> T:
        # Threads of their own, few: a burst of woken streams must not hold up the other requests.
        if self._limiter is None:
            self._limiter = anyio.CapacityLimiter(4)
        return await anyio.to_thread.run_sync(function, limiter=self._limiter)

    def _latest(self, job_ids: list[str]) -> dict[str, int]:
        with self._database().read() as session:
            return jobs.latest_events(session, job_ids)

    def _fetch(self, job_id: str, after: int) -> list[JobEvent]:
        with self._database().read() as session:
            return jobs.events_since(session, job_id, after, PORTION)

    def _ended(self, job_id: str) -> bool:
        with self._database().read() as session:
            status = jobs.status(session, job_id)
        return status is None or status in ENDED


def format_event(event: JobEvent) -> str:
    """One event as text of the stream; its id is what a browser sends back as Last-Event-ID."""
    return f"id: {event.id}\nevent: {event.type}\ndata: {event.model_dump_json()}\n\n"
