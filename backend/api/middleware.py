"""Pure ASGI middleware: wrappers that build whole responses would hold back the event stream."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from backend.api import problems
from backend.contracts.results import Problem
from backend.errors import EquipoiseError, ForeignOrigin, InvalidRequest, PayloadTooLarge

#: Levels of lists and objects that a body may nest: a specification needs eight.
MAX_DEPTH = 32

_SECURITY_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'self'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; "
        "font-src 'self' data:; connect-src 'self'; worker-src 'self' blob:; object-src 'none'; base-uri 'none'; "
        "form-action 'self'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


async def _refuse(error: EquipoiseError, scope: Scope, receive: Receive, send: Send) -> None:
    await problems.response(problems.of_error(error, scope.get("path")))(scope, receive, send)


class SecurityHeaders:
    """Says to browsers that nothing from elsewhere may be loaded, framed or guessed."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Adds the headers to whatever is answered."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _SECURITY_HEADERS.items():
                    headers.setdefault(name, value)
                if scope["path"].startswith("/api/"):
                    headers.setdefault("Cache-Control", "no-store")
            await send(message)

        await self.app(scope, receive, send_with_headers)


class LastResort:
    """Turns an exception that nobody foresaw into a problem with an incident id; the trace goes to the log."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers 500 where nothing was answered yet."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = False

        async def send_watched(message: Message) -> None:
            nonlocal started
            started = started or message["type"] == "http.response.start"
            await send(message)

        try:
            await self.app(scope, receive, send_watched)
        except Exception as error:
            problem = problems.unexpected(error, scope.get("path"))
            if started:
                raise
            await problems.response(problem)(scope, receive, send)


class LocalOnly:
    """Refuses foreign Host and Origin headers.

    A page elsewhere could otherwise read this server through a name that it points at 127.0.0.1 (DNS rebinding),
    or send it requests from a visitor's browser (cross-site request forgery).
    """

    LOOPBACK = ("localhost", "127.0.0.1", "::1")

    def __init__(self, app: ASGIApp, allowed_hosts: Iterable[str] = ()) -> None:
        self.app = app
        self.allowed = {*self.LOOPBACK, *(host.strip().lower().strip("[]") for host in allowed_hosts)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers 403 to a foreign name."""
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        reason = self._foreign(Headers(scope=scope))
        if reason is None:
            await self.app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        else:
            fix = "Open it as http://127.0.0.1, or name the host in EQUIPOISE_ALLOWED_HOSTS."
            await _refuse(ForeignOrigin(reason, fix=fix), scope, receive, send)

    def _foreign(self, headers: Headers) -> str | None:
        hosts = headers.getlist("host")
        if len(hosts) != 1 or self._name(f"//{hosts[0]}") not in self.allowed:
            return f"This server does not answer to the name {', '.join(hosts)[:100]!r}."
        for origin in headers.getlist("origin"):
            if self._name(origin) not in self.allowed:
                return f"Requests from the page {origin[:100]!r} are not accepted."
        if headers.get("sec-fetch-site") == "cross-site" and headers.get("sec-fetch-mode") != "navigate":
            return "Requests from pages of other sites are not accepted."
        return None

    @staticmethod
    def _name(address: str) -> str | None:
        try:
            parts = urlsplit(address)
            _ = parts.port
        except ValueError:
            return None
        if parts.username or parts.password or parts.path or parts.query or parts.fragment:
            return None
        return parts.hostname


class Bodies:
    """Reads request bodies up to a limit, also those that do not say how long they are, and checks their JSON.

    Python's JSON reader takes more than JSON: NaN, numbers of any length, half of a surrogate pair. None of these can
    be stored or hashed, so they are refused here, once, with their place in the document.
    """

    def __init__(self, app: ASGIApp, max_bytes: int) -> None:
        self.app = app
        self.max_bytes = max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers 413 or 422 before the application sees the body."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        if "\x00" in scope["path"] or b"%00" in scope.get("query_string", b""):
            problem = Problem(field="", expected="an address without NUL characters", fix="Remove %00.")
            nul = InvalidRequest("The address holds a NUL character.", problems=[problem])
            await _refuse(nul, scope, receive, send)
            return
        if scope["method"] in ("GET", "HEAD", "OPTIONS"):
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        try:
            body = await self._read(headers, receive)
            if body and not body.isspace():
                check_json(body)
        except EquipoiseError as error:
            await _refuse(error, scope, receive, send)
            return
        if body is None:  # The client left.
            return
        sent = False

        async def receive_again() -> Message:
            nonlocal sent
            if sent:
                return await receive()
            sent = True
            return {"type": "http.request", "body": body, "more_body": False}

        await self.app(scope, receive_again, send)

    async def _read(self, headers: Headers, receive: Receive) -> bytes | None:
        declared = headers.get("content-length", "")
        if declared.isdigit() and int(declared[:20]) > self.max_bytes:
            raise self._too_large(f"{int(declared[:20]):,} bytes")
        chunks: list[bytes] = []
        size = 0
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                return None
            chunk = message.get("body", b"")
            size += len(chunk)
            if size > self.max_bytes:
                raise self._too_large(f"more than {self.max_bytes:,} bytes")
            chunks.append(chunk)
            if not message.get("more_body", False):
                return b"".join(chunks)

    def _too_large(self, got: str) -> PayloadTooLarge:
        return PayloadTooLarge(
            f"Expected a body of at most {self.max_bytes:,} bytes, got {got}.",
            fix="Send less, or raise EQUIPOISE_MAX_BODY_BYTES.",
        )


def check_json(body: bytes) -> None:
    """Refuses what is not JSON that can be stored. Raises `InvalidRequest` with the place of the first fault."""
    try:
        document = json.loads(body.decode("utf-8"), parse_constant=_not_json)
    except UnicodeDecodeError:
        raise _unreadable("a JSON document in UTF-8", "Encode the body as UTF-8.") from None
    except RecursionError:
        raise _unreadable(f"at most {MAX_DEPTH} levels of nesting", "Flatten the document.") from None
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise _unreadable("a JSON document", f"Check the syntax at {place}: {error.msg}.") from None
    except ValueError as error:  # An integer of thousands of digits, or a constant that is no JSON.
        raise _unreadable("numbers that JSON has and 64 bits hold", f"{error}") from None
    waiting: list[tuple[str, int, Any]] = [("", 1, document)]
    while waiting:
        field, depth, value = waiting.pop()
        if depth > MAX_DEPTH:
            raise _unreadable(f"at most {MAX_DEPTH} levels of nesting", "Flatten the document.", field)
        if isinstance(value, dict):
            for key, entry in value.items():
                _check_text(key, field)
                waiting.append((f"{field}.{key}" if field else key, depth + 1, entry))
        elif isinstance(value, list):
            waiting.extend((f"{field}.{i}" if field else str(i), depth + 1, entry) for i, entry in enumerate(value))
        elif isinstance(value, str):
            _check_text(value, field)
        elif isinstance(value, float):
            if value in (float("inf"), float("-inf")):
                raise _unreadable("a finite number", "Use a smaller number.", field)
        elif isinstance(value, int) and not isinstance(value, bool) and not -(2**63) <= value < 2**63:
            raise _unreadable("a number that 64 bits hold", "Use a smaller number.", field)


def _not_json(name: str) -> Any:
    raise ValueError(f"{name} is not a JSON number; leave the field out or use null.")


def _check_text(value: str, field: str) -> None:
    if "\x00" in value:
        raise _unreadable("text without NUL characters", "Remove \\u0000.", field)
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        raise _unreadable("text in Unicode", "Remove the incomplete surrogate pair.", field) from None


def _unreadable(expected: str, fix: str, field: str = "") -> InvalidRequest:
    at = field.encode("utf-8", "replace").decode()[:200]
    problem = Problem(field=at, expected=expected, fix=fix)
    return InvalidRequest(f"{at or 'The body'}: expected {expected}. {fix}", problems=[problem])
