"""What routers are given, as annotated aliases."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated
from urllib.parse import unquote

from fastapi import Depends, Header, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.orm import Session

from backend.api.context import Context
from backend.contracts.public import ProblemDetails
from backend.contracts.results import Problem
from backend.errors import InvalidRequest


def get_context(request: Request) -> Context:
    """The application's belongings."""
    context: Context = request.app.state.context
    return context


ContextDep = Annotated[Context, Depends(get_context)]


def get_session(context: ContextDep) -> Iterator[Session]:
    """A session for reading, for the length of one request."""
    with context.database.read() as session:
        yield session


#: A consistent snapshot; closed before the answer is sent, so that a slow reader holds no connection.
SessionDep = Annotated[Session, Depends(get_session, scope="function")]


class Filters(BaseModel):
    """Base of query parameters: an unknown one is an error, so that a mistyped filter does not match everything."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class Paged(Filters):
    """Query parameters of every list."""

    limit: int = Field(default=100, ge=1, le=1000, description="Most items of one page.")
    cursor: str | None = Field(default=None, max_length=500, description="`next` of the page before.")


class NoFilters(Filters):
    """Of addresses that take none."""


NoFiltersDep = Annotated[NoFilters, Query()]

#: Header that says who acts. Percent-encoded UTF-8, since headers are Latin-1.
PERSON_HEADER = "Equipoise-Person"
MAX_NAME = 100


def get_person_or_none(
    value: Annotated[
        str | None,
        Header(
            alias=PERSON_HEADER,
            max_length=900,
            description="Your name, percent-encoded. This server has no accounts: names are not verified.",
        ),
    ] = None,
) -> str | None:
    """Name of whoever acts, None where nobody says so. Raises `InvalidRequest` for what is no name."""
    if value is None:
        return None
    try:
        name = " ".join(unquote(value, errors="strict").split())
    except UnicodeDecodeError:
        name = ""
    if not name or len(name) > MAX_NAME or not name.isprintable():
        problem = Problem(
            field=PERSON_HEADER,
            expected=f"a name of 1 to {MAX_NAME} printable characters, percent-encoded",
            got=value[:40],
            fix="Say who you are in the navigation of the page, or send the header.",
        )
        raise InvalidRequest("The name of who acts is not a name.", problems=[problem])
    return name


def get_person(name: Annotated[str | None, Depends(get_person_or_none)]) -> str:
    """Name of whoever acts. Raises `InvalidRequest` where nobody says so."""
    if name is None:
        problem = Problem(
            field=PERSON_HEADER,
            expected="the name of who acts",
            fix="Say who you are in the navigation of the page, or send the header.",
        )
        raise InvalidRequest("A decision or a comment needs to know whose it is.", problems=[problem])
    return name


#: Who acts. The one place where accounts will be asked.
PersonDep = Annotated[str, Depends(get_person)]
MaybePersonDep = Annotated[str | None, Depends(get_person_or_none)]

#: Documented on every router: all errors have one shape.
ERRORS: dict[int | str, dict[str, object]] = {
    422: {"model": ProblemDetails, "description": "A field needs a change; `problems` names each."},
    404: {"model": ProblemDetails, "description": "Nothing by that id."},
}
