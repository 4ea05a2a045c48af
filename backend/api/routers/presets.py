"""Studies that reproduce a published claim, or teach the tool."""

from __future__ import annotations

from fastapi import APIRouter

from backend.api.deps import ERRORS, NoFiltersDep
from backend.contracts.public import Page, Preset
from backend.presets import load_presets

router = APIRouter(prefix="/presets", tags=["presets"], responses=ERRORS)


@router.get("", name="list_presets", summary="All presets")
def list_presets(_: NoFiltersDep) -> Page[Preset]:
    """The `spec` of each can be posted to `/api/jobs` as it is."""
    return Page(items=load_presets())
