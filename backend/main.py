"""The web application: API and page. `create_app()` is the factory; `backend.main:app` is made on first use."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.concurrency import run_in_threadpool

from backend import __version__
from backend.api import problems, site
from backend.api.context import Context, Queue
from backend.api.middleware import Bodies, LastResort, LocalOnly, SecurityHeaders
from backend.api.routers import (
    accounting,
    bundles,
    catalogue,
    curves,
    events,
    figures,
    gaussian,
    health,
    jobs,
    links,
    measurements,
    notifications,
    operating_points,
    people,
    presets,
    reports,
    reproduction,
    reviews,
    runs,
    workers,
)
from backend.logs import get_logger
from backend.settings import Settings, get_settings
from backend.store import columns, schema

log = get_logger(__name__)

#: Runs from which a server reads before it answers, and the seconds that it takes for that at most.
MANY_RUNS, READ_AHEAD = 20_000, 3.0

DESCRIPTION = """
Measure what privacy costs, and who pays.

Submit a study (`POST /api/jobs`), follow it (`GET /api/jobs/{id}/events`), read what was measured
(`GET /api/measurements`, `/api/curves`, `/api/figures/{name}`). Lists answer `{"items": [...], "next": cursor}`;
give `next` back as `cursor` for the following page. Every error is problem details (RFC 9457) whose `problems` name
the field, what was expected, what came, and the fix.
"""


def create_app(settings: Settings | None = None, *, queue: Queue | None = None) -> FastAPI:
    """The application. Nothing is opened before it starts; `queue` replaces the job engine in tests."""
    settings = settings or get_settings()
    context = Context(settings, queue)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        await run_in_threadpool(_prepare_store, context)
        # The job engine takes a second to load: the first page does not wait for it. Where there are many runs, it
        # waits until they are read: the first view would wait for that in any case.
        ready = threading.Event()
        threading.Thread(target=_warm_up, args=(context, ready), name="warm-up", daemon=True).start()
        await run_in_threadpool(ready.wait, READ_AHEAD)
        yield
        context.events.close()
        await run_in_threadpool(context.close)

    app = FastAPI(
        title="Equipoise",
        version=__version__,
        description=DESCRIPTION.strip(),
        docs_url=None,
        redoc_url=None,
        openapi_url="/api/openapi.json",
        generate_unique_id_function=_operation_id,
        lifespan=lifespan,
        redirect_slashes=False,
    )
    app.state.context = context
    app.openapi = partial(_openapi, app)  # type: ignore[method-assign]
    problems.install(app)
    for router in (
        health.router,
        catalogue.router,
        presets.router,
        jobs.router,
        events.router,
        runs.router,
        measurements.router,
        curves.router,
        curves.frontier_router,
        curves.menu_router,
        figures.router,
        reproduction.router,
        workers.router,
        people.router,
        notifications.router,
        links.router,
        reviews.router,
        operating_points.router,
        bundles.router,
        reports.router,
        accounting.router,
        gaussian.router,
    ):
        app.include_router(router, prefix="/api")
    # The last one added is the outermost.
    app.add_middleware(site.Site)
    app.add_middleware(Bodies, max_bytes=settings.max_body_bytes)
    app.add_middleware(LocalOnly, allowed_hosts=settings.allowed_hosts)
    app.add_middleware(LastResort)
    app.add_middleware(SecurityHeaders)
    return app


def _operation_id(route: APIRoute) -> str:
    """`tag-name`: readable names in the generated client."""
    return f"{route.tags[0]}-{route.name}" if route.tags else route.name


def _openapi(app: FastAPI) -> dict[str, Any]:
    """The document, made once; errors stand under the media type that they are sent as."""
    if app.openapi_schema is None:
        document = FastAPI.openapi(app)
        for path in document["paths"].values():
            for operation in path.values():
                for status, answer in operation["responses"].items():
                    if status >= "4" and "application/json" in answer.get("content", {}):
                        answer["content"] = {problems.MEDIA_TYPE: answer["content"]["application/json"]}
        app.openapi_schema = document
    return app.openapi_schema


def _prepare_store(context: Context) -> None:
    """The embedded database is brought up to date by whoever starts first; a shared one by `equipoise migrate`."""
    if context.settings.embedded():
        schema.upgrade(context.database)
    else:
        schema.require_current(context.database)


def _warm_up(context: Context, ready: threading.Event) -> None:
    """Reads the newest studies and starts what works in the background; `ready`: requests need not wait any longer."""
    try:
        with context.database.read() as session:
            few = columns.listed_runs(session) < MANY_RUNS
        if few:
            ready.set()
        # Libraries that charts need take a second to load, too.
        from backend.api.services import explorer

        explorer.warm_up(context.database)
    except Exception as error:
        log.warning("the newest studies were not read ahead of their first view", exc_info=error)
    ready.set()
    try:
        context.start_reaper()
    except Exception as error:
        log.error("the job engine could not be started; submitting will try again", exc_info=error)
    context.start_dispatcher()


def __getattr__(name: str) -> Any:
    if name == "app":
        application = create_app()
        globals()["app"] = application
        return application
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
