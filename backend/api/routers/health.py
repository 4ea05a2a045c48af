"""Whether the server can do its work."""

from __future__ import annotations

from fastapi import APIRouter

from backend.api.deps import ContextDep, NoFiltersDep, SessionDep
from backend.api.services import views
from backend.contracts.public import Health

router = APIRouter(prefix="/health", tags=["health"])


@router.get("", name="health", summary="Whether studies can be submitted and will be run")
def health(_: NoFiltersDep, context: ContextDep, session: SessionDep) -> Health:
    """`degraded` comes with a message that says what to do."""
    return views.health(session, context.settings)
