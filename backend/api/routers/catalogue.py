"""What the workers can do."""

from __future__ import annotations

from fastapi import APIRouter

from backend.api.deps import ERRORS, NoFiltersDep, SessionDep
from backend.contracts.catalogue import Catalogue
from backend.store import workers

router = APIRouter(prefix="/catalogue", tags=["catalogue"], responses=ERRORS)


@router.get("", name="catalogue", summary="Datasets, models, methods, attacks and metrics")
def catalogue(_: NoFiltersDep, session: SessionDep) -> Catalogue:
    """Parameter schemas of every plugin, and each metric with its direction, range and unit."""
    return workers.catalogue(session)
