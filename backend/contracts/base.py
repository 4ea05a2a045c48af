"""What every contract shares: strict, frozen models and the names they use."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, JsonValue, StringConstraints

#: Name of a plugin, a metric or a preset: lower-case words joined by `_` (or `-` in presets).
Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,63}$")]

#: Parameter values as JSON. What is allowed for each is in the catalogue.
Params = dict[str, JsonValue]


class Contract(BaseModel):
    """A frozen model that refuses unknown fields, so that a typing error is an error and not ignored."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
