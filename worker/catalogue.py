"""The catalogue: what this worker's code offers, for the API to validate against and the browser to draw forms from."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from importlib import metadata
from typing import Any

from backend.contracts.catalogue import (
    Catalogue,
    DatasetFacts,
    DatasetVariant,
    MethodFacts,
    MetricInfo,
    ModelFacts,
    Plugin,
)
from backend.contracts.runs import canonical_hash
from backend.contracts.training import Training
from worker.attacks._report import metrics_of
from worker.plugins import Probe
from worker.registry import Found, Registry, engine_version, registry
from worker.training.engines import ENGINES


def build_catalogue(found: Registry | None = None) -> Catalogue:
    """Everything found, with parameter schemas, facts and metrics."""
    plugins = registry() if found is None else found
    content: dict[str, Any] = {
        "engine_version": engine_version(),
        "python": platform.python_version(),
        "packages": _packages(),
        "training_schema": Training.model_json_schema(),
        "plugins": [_describe(one) for one in plugins.all()],
        "metrics": _metrics(plugins),
    }
    hashed = {
        **content,
        "plugins": [plugin.model_dump(mode="json") for plugin in content["plugins"]],
        "metrics": [metric.model_dump(mode="json") for metric in content["metrics"]],
    }
    return Catalogue(version=canonical_hash(hashed)[:16], **content)


def _packages() -> dict[str, str]:
    """What is installed, by name: the lock of a rerun."""
    found = {str(one.metadata["Name"]).lower(): one.version for one in metadata.distributions() if one.metadata["Name"]}
    return dict(sorted(found.items()))


def _metrics(plugins: Registry) -> list[MetricInfo]:
    families = [metric for one in plugins.all("metric") for metric in one.plugin.metrics]
    attacks = [metric for one in plugins.all("attack") for metric in _metrics_of_attack(one.plugin)]
    return families + attacks


def _metrics_of_attack(attack: Any) -> tuple[MetricInfo, ...]:
    return attack.metrics if isinstance(attack, Probe) else metrics_of(attack.name, attack.title)


def _describe(one: Found) -> Plugin:
    plugin = one.plugin
    return Plugin(
        kind=one.kind,
        name=plugin.name,
        title=plugin.title,
        summary=plugin.summary,
        citation=plugin.citation,
        version=one.version,
        params_schema=plugin.Params.model_json_schema(),
        dataset=_dataset_facts(plugin) if one.kind == "dataset" else None,
        model=ModelFacts(images=plugin.images) if one.kind == "model" else None,
        method=_method_facts(plugin) if one.kind == "method" else None,
        attack=plugin.facts() if one.kind == "attack" else None,
    )


def _method_facts(plugin: Any) -> MethodFacts:
    return MethodFacts(private=plugin.private, engines=[e.name for e in ENGINES], statistic=plugin.released)


def _dataset_facts(plugin: Any) -> DatasetFacts:
    facts = plugin.facts(plugin.Params())
    assert isinstance(facts, DatasetFacts)
    return facts.model_copy(update={"variants": list(_variants(plugin, facts))})


def _variants(plugin: Any, default: DatasetFacts) -> Iterator[DatasetVariant]:
    """Switches and choices of the dataset under which the number of rows is another one."""
    for name, schema in plugin.Params.model_json_schema().get("properties", {}).items():
        for value in schema.get("enum", [True, False] if schema.get("type") == "boolean" else []):
            facts = plugin.facts(plugin.Params(**{name: value}))
            if facts.rows and facts.train_rows and facts.rows != default.rows:
                yield DatasetVariant(param=name, value=value, rows=facts.rows, train_rows=facts.train_rows)
