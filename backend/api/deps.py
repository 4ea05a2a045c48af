"""What routers are given, as annotated aliases."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from fastapi import Depends, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.orm import Session

from backend.api.context import Context
from backend.contracts.public import ProblemDetails


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

#: Documented on every router: all errors have one shape.
ERRORS: dict[int | str, dict[str, object]] = {
    422: {"model": ProblemDetails, "description": "A field needs a change; `problems` names each."},
    404: {"model": ProblemDetails, "description": "Nothing by that id."},
}
