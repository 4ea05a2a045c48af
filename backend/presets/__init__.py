"""Presets: one JSON file per study, found by scanning. The file's name is the preset's."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from backend.contracts.public import Preset
from backend.errors import NotFound

FOLDER = Path(__file__).parent

#: The one for beginners comes first; the others follow by name.
FIRST = "quickstart"


@lru_cache(maxsize=1)
def _all() -> tuple[Preset, ...]:
    found = [Preset.model_validate_json(path.read_text(encoding="utf-8")) for path in sorted(FOLDER.glob("*.json"))]
    return tuple(sorted(found, key=lambda preset: (preset.name != FIRST, preset.name)))


def load_presets() -> list[Preset]:
    """All presets, validated, the one for beginners first."""
    return list(_all())


def get_preset(name: str) -> Preset:
    """The preset of that name, or `NotFound`."""
    for preset in _all():
        if preset.name == name:
            return preset
    known = ", ".join(preset.name for preset in _all())
    raise NotFound(f"There is no preset {name!r}.", fix=f"Use one of: {known}.")
