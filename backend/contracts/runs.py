"""One run's whole configuration, and the identity that follows from it."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from pydantic import Field

from backend.contracts.base import Contract, Name, Params
from backend.contracts.catalogue import PluginKind


def canonical_hash(value: Any) -> str:
    """SHA-256 of a JSON value: keys sorted, no white space, floats as Python's shortest representation.

    >>> canonical_hash({"b": 1, "a": 2.0}) == canonical_hash({"a": 2.0, "b": 1})
    True
    """
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


class Part(Contract):
    """A plugin as one run uses it: name, complete parameters, and the hash of its code."""

    name: Name
    params: Params
    version: str


class Setting(Contract):
    """Everything of a run but its seed. Runs that share a setting are one point of a curve."""

    dataset: Part
    data_hash: str | None
    subgroups: list[list[str]] = Field(description="Each a list of attributes; several are an intersection.")
    model: Part
    method: Part
    training: Params
    attacks: list[Part]
    metrics_version: str
    engine_version: str

    def hash(self) -> str:
        """Identity of the setting."""
        return canonical_hash(self.model_dump(mode="json"))

    def parts(self) -> list[tuple[PluginKind, Part]]:
        """Every plugin that takes part, with its kind: data, model, method, then the attacks in their order."""
        three: list[tuple[PluginKind, Part]] = [
            ("dataset", self.dataset), ("model", self.model), ("method", self.method)
        ]  # fmt: skip
        return three + [("attack", attack) for attack in self.attacks]

    def epsilon(self) -> float | None:
        """The asked epsilon, None for a method that has none."""
        value = self.method.params.get("epsilon")
        return float(value) if isinstance(value, int | float) else None

    def context(self) -> str:
        """Equal for settings on the same data and model."""
        about = {
            "dataset": self.dataset.name,
            "dataset_params": self.dataset.params,
            "data_hash": self.data_hash,
            "model": self.model.name,
            "model_params": self.model.params,
        }
        return canonical_hash(about)[:16]

    def rest(self) -> str:
        """Equal for settings that differ in epsilon alone."""
        config = self.model_dump(mode="json")
        config["method"]["params"].pop("epsilon", None)
        return canonical_hash(config)[:16]


class RunConfig(Contract):
    """A setting and a seed: what one training is, whole."""

    setting: Setting
    seed: int

    def hash(self) -> str:
        """Identity of the run. The same hash is never trained twice."""
        return canonical_hash({"setting": self.setting.hash(), "seed": self.seed})

    def key(self) -> str:
        """Short identity: the first 20 hex digits, used in addresses."""
        return self.hash()[:20]
