"""The built page: hashed assets kept for a year, every other address answers the page, unknown /api answers 404."""

from __future__ import annotations

from pathlib import Path

from fastapi import APIRouter, FastAPI
from fastapi.responses import FileResponse, HTMLResponse
from starlette.exceptions import HTTPException
from starlette.responses import Response

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


def install(app: FastAPI, static: Path = STATIC) -> None:
    """Adds the page behind all other routes."""
    router = APIRouter(include_in_schema=False)

    @router.api_route("/api/{path:path}", methods=["GET", "POST", "PUT", "PATCH", "DELETE"])
    def unknown(path: str) -> None:
        raise HTTPException(404)

    @router.api_route("/{path:path}", methods=["GET", "HEAD"])
    def page(path: str) -> Response:
        found = _file(static, path)
        if found is not None:
            forever = path.startswith("assets/")
            age = "public, max-age=31536000, immutable" if forever else "no-cache"
            return FileResponse(found, headers={"Cache-Control": age})
        if path.startswith("assets/"):
            # A page of an older build asks for a file that is gone: an HTML answer would only confuse it.
            raise HTTPException(404, "This file belongs to another build of the page. Load the page again.")
        index = static / "index.html"
        if index.is_file():
            return FileResponse(index, headers={"Cache-Control": "no-cache"})
        return HTMLResponse(_NOT_BUILT, headers={"Cache-Control": "no-store"})

    app.include_router(router)


def _file(static: Path, path: str) -> Path | None:
    """The file of that address, never one outside the folder."""
    if not path or "\\" in path:
        return None
    candidate = (static / path).resolve()
    return candidate if candidate.is_relative_to(static.resolve()) and candidate.is_file() else None
