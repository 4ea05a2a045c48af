"""The event stream of a job."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Header, Query
from fastapi.concurrency import run_in_threadpool
from pydantic import Field
from starlette.responses import StreamingResponse

from backend.api.deps import ERRORS, ContextDep, Filters
from backend.api.routers.jobs import JobId
from backend.store import jobs

router = APIRouter(prefix="/jobs", tags=["jobs"], responses=ERRORS)

LARGEST = 2**62


class Resume(Filters):
    """Where to go on."""

    last_event_id: int | None = Field(
        default=None, ge=0, le=LARGEST, description="Like the header Last-Event-ID, for clients that cannot set it."
    )


@router.get(
    "/{job_id}/events",
    name="job_events",
    summary="Progress and new results, as they come",
    response_class=StreamingResponse,
    responses={200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}, "description": "Events."}},
)
async def job_events(
    job_id: JobId,
    resume: Annotated[Resume, Query()],
    context: ContextDep,
    last_event_id: Annotated[int | None, Header(alias="Last-Event-ID", ge=0, le=LARGEST)] = None,
) -> StreamingResponse:
    """Server-sent events named `status`, `progress` and `run`; the stream ends after the job has.

    Every event has an id. A client that comes back with the last one in `Last-Event-ID` misses nothing; without it
    all events of the job are sent again. Their data are `{"id", "job_id", "type", "data", "created_at"}`.
    """

    def check() -> None:
        with context.database.read() as session:
            jobs.get(session, job_id)

    await run_in_threadpool(check)
    after = last_event_id if last_event_id is not None else resume.last_event_id or 0
    headers = {"Cache-Control": "no-cache, no-transform", "X-Accel-Buffering": "no"}
    stream = context.events.stream(job_id, after)
    return StreamingResponse(stream, media_type="text/event-stream", headers=headers)
