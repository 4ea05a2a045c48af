"""Every error as RFC 9457 problem details, whoever raised it."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import DatabaseError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.exceptions import HTTPException
from starlette.responses import Response

from backend.contracts.public import ProblemDetails
from backend.contracts.results import Problem
from backend.contracts.validation import short
from backend.errors import EquipoiseError, InvalidRequest, StoreUnavailable
from backend.logs import get_logger

log = get_logger(__name__)

MEDIA_TYPE = "application/problem+json"

#: Beyond this many, further fields of one request are counted and not listed.
MAX_PROBLEMS = 50

_TITLES = {
    400: "The request could not be read",
    404: "Not found",
    405: "This address does not do that",
    406: "Not available in that form",
    413: "The request is too large",
    415: "The request is in another format",
}


def response(problem: ProblemDetails, headers: dict[str, str] | None = None) -> Response:
    """The problem as an HTTP answer."""
    body = problem.model_dump_json(exclude_none=True)
    return Response(body, status_code=problem.status, media_type=MEDIA_TYPE, headers=headers)


def of_error(error: EquipoiseError, instance: str | None = None) -> ProblemDetails:
    """Problem details of an error that was raised on purpose."""
    return ProblemDetails(
        type=error.type,
        title=error.title,
        status=error.status,
        detail=error.sentence(),
        instance=instance,
        problems=_limited(error.problems),
    )


def unexpected(error: BaseException, instance: str | None = None) -> ProblemDetails:
    """Logs an error that nobody foresaw under an id, and says the id and nothing else."""
    incident = secrets.token_hex(4)
    log.error("unexpected error", incident=incident, path=instance, exc_info=error)
    return ProblemDetails(
        type="/problems/internal",
        title="Something went wrong",
        status=500,
        detail=f"The server met an error that it did not expect. Its log says more under incident {incident}.",
        instance=instance,
    )


def _limited(problems: list[Problem]) -> list[Problem]:
    if len(problems) <= MAX_PROBLEMS:
        return problems
    rest = len(problems) - MAX_PROBLEMS
    more = Problem(field="", expected="fewer mistakes at once", got=f"{rest} more", fix="Correct the first ones first.")
    return [*problems[:MAX_PROBLEMS], more]


# --- pydantic's errors in plain words ---------------------------------------------------------------------------------

_PLACES = ("body", "query", "path", "header")

_WORDS = {
    "missing": "a value",
    "string_type": "a text",
    "string_too_short": "a text of at least {min_length} characters",
    "string_too_long": "a text of at most {max_length} characters",
    "string_pattern_mismatch": "a name of lower-case letters, digits and _, beginning with a letter",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_parsing_size": "a smaller whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "list_type": "a list",
    "dict_type": "an object",
    "model_type": "an object",
    "model_attributes_type": "an object",
    "too_short": "at least {min_length} entries",
    "too_long": "at most {max_length} entries",
    "greater_than": "a number > {gt}",
    "greater_than_equal": "a number ≥ {ge}",
    "less_than": "a number < {lt}",
    "less_than_equal": "a number ≤ {le}",
    "literal_error": "one of: {expected}",
    "enum": "one of: {expected}",
    "extra_forbidden": "no such field",
    "json_invalid": "a JSON document",
    "recursion_loop": "a flatter document",
}

_FIXES = {
    "missing": "Add {name}.",
    "extra_forbidden": "Remove {name}, or check its spelling.",
    "json_invalid": "Check the commas, quotes and brackets.",
    "too_short": "Add an entry.",
    "too_long": "Remove some entries.",
}


def _explained(error: dict[str, Any]) -> Problem:
    kind = str(error.get("type", ""))
    where = [part for part in error.get("loc", ()) if not _is_branch(part)]
    if where and where[0] in _PLACES:
        where = where[1:]
    if kind == "json_invalid":
        where = []
    field = ".".join(str(part) for part in where)
    context = {k: str(v) for k, v in (error.get("ctx") or {}).items()}
    name = str(where[-1]) if where else "the body"
    if kind == "value_error":
        words, _, fix = str(error.get("msg", "")).removeprefix("Value error, ").partition("; ")
        expected = words.removeprefix("expected ")
    else:
        fix = _FIXES.get(kind, "Change {name}.").format(name=name)
        try:
            expected = _WORDS[kind].format(**context)
        except KeyError:
            expected = str(error.get("msg", "another value")).removeprefix("Input should be ")
    got = None if kind in ("missing", "json_invalid") else short(error.get("input"))
    return Problem(field=field[:200], expected=expected, got=got, fix=fix[:1].upper() + fix[1:])


def _is_branch(part: Any) -> bool:
    """Whether a part of a location names a branch of a union and not a field of the request."""
    return isinstance(part, str) and ("[" in part or part in ("str", "int", "constrained-int", "constrained-str"))


def explain(errors: Iterable[dict[str, Any]]) -> list[Problem]:
    """Pydantic's errors as problems: the field, what was expected, what came, and the fix; one per field."""
    merged: dict[str, Problem] = {}
    for error in errors:
        problem = _explained(error)
        earlier = merged.get(problem.field)
        if earlier is None:
            merged[problem.field] = problem
        elif problem.expected not in earlier.expected:
            # The branches of a union each say what they would have taken.
            both = f"{earlier.expected}, or {problem.expected}"
            merged[problem.field] = earlier.model_copy(update={"expected": both})
    return list(merged.values())


def _sentence(problems: list[Problem]) -> str:
    if not problems:
        return "The request is not as expected."
    first = problems[0]
    got = f", got {first.got}" if first.got is not None else ""
    more = f" ({len(problems) - 1} more)" if len(problems) > 1 else ""
    return f"{first.field or 'The body'}: expected {first.expected}{got}. {first.fix}{more}"


# --- handlers ---------------------------------------------------------------------------------------------------------


def _instance(request: Request) -> str:
    return request.url.path[:300]


def install(app: FastAPI) -> None:
    """Makes the application answer every error in the one shape."""

    @app.exception_handler(EquipoiseError)
    async def on_purpose(request: Request, error: EquipoiseError) -> Response:
        if error.status >= 500:
            log.warning("refused", path=_instance(request), reason=error.detail)
        headers = {"Retry-After": "2"} if error.status == 503 else None
        return response(of_error(error, _instance(request)), headers)

    @app.exception_handler(RequestValidationError)
    async def on_validation(request: Request, error: RequestValidationError) -> Response:
        found = explain(error.errors())
        return response(of_error(InvalidRequest(_sentence(found), problems=found), _instance(request)))

    @app.exception_handler(HTTPException)
    async def on_http(request: Request, error: HTTPException) -> Response:
        title = _TITLES.get(error.status_code, "The request was refused")
        detail = str(error.detail)
        if error.status_code == 404 and detail == "Not Found":
            detail = f"There is nothing at {_instance(request)}. All addresses are in /api/openapi.json."
        elif error.status_code == 405:
            detail = f"{request.method} is not possible at {_instance(request)}."
        problem = ProblemDetails(
            type="about:blank", title=title, status=error.status_code, detail=detail, instance=_instance(request)
        )
        return response(problem, dict(error.headers or {}))

    @app.exception_handler(PoolTimeout)
    async def on_busy(request: Request, error: PoolTimeout) -> Response:
        busy = StoreUnavailable("Too many requests use the database at once.", fix="Try again in a moment.")
        return response(of_error(busy, _instance(request)), {"Retry-After": "2"})

    @app.exception_handler(DatabaseError)
    async def on_database(request: Request, error: DatabaseError) -> Response:
        return response(unexpected(error, _instance(request)))
