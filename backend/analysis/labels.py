"""Words for what the catalogue names: metrics, methods, parameters, subgroups; and what tells settings apart."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from backend.analysis.table import SettingInfo
from backend.contracts.catalogue import Catalogue, MetricInfo
from backend.contracts.results import ALL
from backend.contracts.spec import INTERSECTION

EPSILON = "epsilon"

_DIRECTIONS = {
    "fairness": ("fairer", "less fair"),
    "privacy": ("more private", "less private"),
    "attack": ("more private", "less private"),
    "cost": ("cheaper", "dearer"),
    "utility": ("better", "worse"),
}


@dataclass(frozen=True)
class Words:
    """Titles of everything, with a readable fallback for what no catalogue knows any more."""

    metrics: Mapping[str, MetricInfo] = field(default_factory=dict)
    methods: Mapping[str, str] = field(default_factory=dict)
    datasets: Mapping[str, str] = field(default_factory=dict)
    attributes: Mapping[str, str] = field(default_factory=dict)
    params: Mapping[tuple[str, str], str] = field(default_factory=dict)

    @classmethod
    def of(cls, catalogue: Catalogue | None) -> Words:
        """From the newest catalogue, if there is one."""
        if catalogue is None:
            return cls()
        params: dict[tuple[str, str], str] = {}
        for plugin in catalogue.plugins:
            if plugin.kind in ("method", "model", "dataset"):
                for name, schema in plugin.params_schema.get("properties", {}).items():
                    params[plugin.name, f"{plugin.kind}.{name}"] = str(schema.get("title", name))
        for name, schema in catalogue.training_schema.get("properties", {}).items():
            params["", f"training.{name}"] = str(schema.get("title", name))
        datasets = [plugin for plugin in catalogue.plugins if plugin.kind == "dataset"]
        return cls(
            metrics={metric.name: metric for metric in catalogue.metrics},
            methods={plugin.name: plugin.title for plugin in catalogue.plugins if plugin.kind == "method"},
            datasets={plugin.name: plugin.title for plugin in datasets},
            attributes={a.name: a.title for p in datasets if p.dataset for a in p.dataset.attributes},
            params=params,
        )

    def metric(self, name: str) -> MetricInfo:
        """What is known of a metric; of an unknown one only its name."""
        known = self.metrics.get(name)
        if known is not None:
            return known
        if name == EPSILON:
            return MetricInfo(
                name=EPSILON,
                title="Privacy budget ε",
                explanation="How much one record can change what is learnt; lower is more private.",
                family="cost",
                higher_is_better=False,
                low=0.0,
                log=True,
                per_subgroup=False,
                kind="privacy",
            )
        title = name.replace("_", " ").capitalize()
        return MetricInfo(name=name, title=title, explanation="", family="unknown", higher_is_better=None)

    def method(self, name: str) -> str:
        """Title of a method."""
        return self.methods.get(name, name.replace("_", " "))

    def dataset(self, name: str) -> str:
        """Title of a dataset."""
        return self.datasets.get(name, name)

    def param(self, setting: SettingInfo, name: str) -> str:
        """Title of a flat parameter name such as method.clip, to stand in the middle of a sentence."""
        part, _, short = name.partition(".")
        owner = {"method": setting.method, "model": setting.model, "dataset": setting.dataset}.get(part, "")
        return lower_first(self.params.get((owner, name), short.replace("_", " ")))

    def attribute(self, name: str) -> str:
        """Title of a sensitive attribute, to stand in the middle of a sentence."""
        return lower_first(self.attributes.get(name, name.replace("_", " ")))

    def subgroup(self, name: str) -> str:
        """A subgroup or a family of subgroups in words.

        >>> Words().subgroup("sex=Female & race=Black"), Words().subgroup("sex & race"), Words().subgroup("all")
        ('Female, Black', 'sex and race', 'everybody')
        """
        if name == ALL:
            return "everybody"
        parts = name.split(INTERSECTION)
        if all("=" in part for part in parts):
            return ", ".join(part.partition("=")[2] for part in parts)
        return " and ".join(self.attribute(part) for part in parts)

    def phrase(self, metric: MetricInfo, subgroup: str) -> str:
        """A metric of a subgroup, to stand at the beginning of a title: "Loss gap by sex", "Accuracy, Female"."""
        if subgroup == ALL:
            return metric.title
        if is_family(subgroup):
            return f"{metric.title} by {self.subgroup(subgroup)}"
        return f"{metric.title}, {self.subgroup(subgroup)}"

    def axis(self, metric: MetricInfo, subgroup: str, *, log: bool = False) -> str:
        """Title of an axis: what, unit, and which direction is better."""
        words = [self.phrase(metric, subgroup)]
        if metric.unit:
            words.append(metric.unit)
        if log:
            words.append("log scale")
        better = direction(metric)
        return ", ".join([*words, better] if better else words)


def direction(metric: MetricInfo) -> str:
    """Which way is better, in the words of what is measured.

    >>> direction(Words().metric("epsilon"))
    'lower is more private'
    """
    if metric.higher_is_better is None:
        return ""
    word = _DIRECTIONS[metric.kind][0]
    return f"{'higher' if metric.higher_is_better else 'lower'} is {word}"


def is_family(subgroup: str) -> bool:
    """Whether a name stands for all subgroups of an attribute ("sex"), as gaps do."""
    return subgroup != ALL and "=" not in subgroup


def lower_first(text: str) -> str:
    """A title for the middle of a sentence; abbreviations stay as they are.

    >>> lower_first("Learning rate"), lower_first("AUROC"), lower_first("F1 score")
    ('learning rate', 'AUROC', 'F1 score')
    """
    return text[:1].lower() + text[1:] if (len(text) > 1 and text[1].islower()) or len(text) == 1 else text


def value_text(value: Any) -> str:
    """A parameter's value as a person writes it.

    >>> value_text(0.1), value_text(True), value_text([64, 32]), value_text(None)
    ('0.1', 'yes', '64-32', 'default')
    """
    if value is None:
        return "default"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        return f"{value:g}"
    if isinstance(value, list):
        return "-".join(value_text(entry) for entry in value) or "none"
    return str(value)


def differing(settings: Iterable[SettingInfo]) -> list[str]:
    """Flat names of the parameters, epsilon aside, in which settings of one method differ."""
    seen: dict[str, set[Any]] = {}
    count = 0
    present: dict[str, int] = {}
    for setting in settings:
        count += 1
        for name, value in setting.params.items():
            if name != "method.epsilon":
                seen.setdefault(name, set()).add(identity(value))
                present[name] = present.get(name, 0) + 1
    return [name for name, found in seen.items() if len(found) > 1 or present[name] < count]


def identity(value: Any) -> Any:
    """Equal for equal parameter values, and hashable.

    >>> identity(1.0) == identity(1), identity(True) == identity(1), identity([64]) == identity([64])
    (True, False, True)
    """
    if isinstance(value, list | dict):
        return json.dumps(value, sort_keys=True)
    return ("flag", value) if isinstance(value, bool) else value


def describe(setting: SettingInfo, names: Sequence[str], words: Words) -> str:
    """Those parameters of a setting in words: "clipping threshold 1, learning rate 0.1"."""
    return ", ".join(f"{words.param(setting, n)} {value_text(setting.params[n])}" for n in names if n in setting.params)
