"""Worker processes."""

from __future__ import annotations

from fastapi import APIRouter

from backend.api.deps import ERRORS, ContextDep, NoFiltersDep, SessionDep
from backend.api.services import views
from backend.contracts.public import Page, Worker

router = APIRouter(prefix="/workers", tags=["workers"], responses=ERRORS)


@router.get("", name="list_workers", summary="Workers, online ones first")
def list_workers(_: NoFiltersDep, context: ContextDep, session: SessionDep) -> Page[Worker]:
    """Those heard of within the last week."""
    return Page(items=views.worker_list(session, context.settings))
