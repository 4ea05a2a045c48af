"""The built page: hashed assets kept for a year, every other address answers the page, unknown /api answers 404."""

from __future__ import annotations

from pathlib import Path

from starlette.concurrency import run_in_threadpool
from starlette.responses import FileResponse, HTMLResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from backend.api import problems
from backend.contracts.public import ProblemDetails

STATIC = Path(__file__).resolve().parent.parent / "static"

_NOT_BUILT = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Equipoise</title>
<style>body{font:16px/1.5 system-ui,sans-serif;max-width:36rem;margin:15vh auto;padding:0 1rem;color:#1d232a}
code{background:#f0f2f4;padding:.1em .3em;border-radius:4px}
@media(prefers-color-scheme:dark){body{background:#14181d;color:#d6dae0}code{background:#252b33}}</style></head>
<body><h1>The page has not been built yet</h1>
<p>Run <code>make web</code> in the source tree, then load this address again. <code>make run</code> does it by
itself.</p><p>The API works all the same: <a href="/api/openapi.json">its description</a>.</p></body></html>
"""


class Site:
    """Answers every address outside `/api`; what is under it goes on to the routers, which know their own errors."""

    def __init__(self, app: ASGIApp, static: Path = STATIC) -> None:
        self.app = app
        self.static = static

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """A file of the page, the page, or how to build it."""
        path = scope.get("path", "")
        if scope["type"] != "http" or path == "/api" or path.startswith("/api/"):
            await self.app(scope, receive, send)
            return
        if scope["method"] in ("GET", "HEAD"):
            answer = await run_in_threadpool(self._answer, path.lstrip("/"))
        else:
            detail = f"{scope['method']} is not possible at {path[:300]}. The API is under /api."
            answer = problems.response(_problem(405, "This address does not do that", detail, path))
        await answer(scope, receive, send)

    def _answer(self, path: str) -> Response:
        found = _file(self.static, path)
        if found is not None:
            forever = path.startswith("assets/")
            age = "public, max-age=31536000, immutable" if forever else "no-cache"
            return FileResponse(found, headers={"Cache-Control": age})
        if path.startswith("assets/"):
            # A page of an older build asks for a file that is gone: an HTML answer would only confuse it.
            detail = "This file belongs to another build of the page. Load the page again."
            return problems.response(_problem(404, "Not found", detail, path))
        index = self.static / "index.html"
        if index.is_file():
            return FileResponse(index, headers={"Cache-Control": "no-cache"})
        return HTMLResponse(_NOT_BUILT, headers={"Cache-Control": "no-store"})


def _problem(status: int, title: str, detail: str, path: str) -> ProblemDetails:
    return ProblemDetails(type="about:blank", title=title, status=status, detail=detail, instance=path[:300])


def _file(static: Path, path: str) -> Path | None:
    """The file of that address, never one outside the folder."""
    if not path or "\\" in path:
        return None
    candidate = (static / path).resolve()
    return candidate if candidate.is_relative_to(static.resolve()) and candidate.is_file() else None
