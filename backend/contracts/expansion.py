"""Turns a job specification into runs, against a catalogue; says everything that is wrong with it at once."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from backend.contracts.base import Params
from backend.contracts.catalogue import Catalogue, Plugin, PluginKind
from backend.contracts.results import Problem
from backend.contracts.runs import Part, RunConfig, Setting, canonical_hash
from backend.contracts.spec import JobSpec, SubgroupChoice
from backend.contracts.validation import short, sweep, unknown_name
from backend.errors import InvalidRequest

#: Attributes that one intersection may combine.
MAX_INTERSECTION = 3


@dataclass(frozen=True)
class Expansion:
    """The runs of a specification, seed by seed, so that every curve is whole early; and what each method sweeps."""

    configs: list[RunConfig]
    settings: list[Setting]
    swept: list[dict[str, list[Any]]]
    settings_per_method: list[int]


def expand(spec: JobSpec, catalogue: Catalogue, *, max_runs: int) -> Expansion:
    """All runs of `spec`. Raises `InvalidRequest` with one problem per field that is wrong, before building any run."""
    problems: list[Problem] = []
    dataset, data_params = _one(catalogue, "dataset", spec.dataset.name, spec.dataset.params, "dataset", problems)
    there = _there(dataset)
    model, model_params = _one(catalogue, "model", spec.model.name, spec.model.params, "model", problems, there)
    _check_images(dataset, model, problems)
    subgroups = _subgroups(spec.dataset.subgroups, dataset, problems)
    attacks = []
    for index, choice in enumerate(spec.evaluation.attacks):
        field = f"evaluation.attacks.{index}"
        attack, params = _one(catalogue, "attack", choice.name, choice.params, field, problems, there)
        for name, options in params.items():
            if len(options) > 1:
                problems.append(_no_sweep(f"{field}.params.{name}", options))
        if any(choice.name == other.name for other in spec.evaluation.attacks[:index]):
            problems.append(
                Problem(
                    field=f"{field}.name",
                    expected="each attack once: its figures carry its name",
                    got=short(choice.name),
                    fix="Remove one, or compare its parameters in a study of their own.",
                )
            )
        _check_bounds(dataset, attack, f"{field}.name", problems)
        if attack is not None:
            attacks.append(_part(attack, {name: options[0] for name, options in params.items() if options}))
    training, found = sweep(catalogue.training_schema, spec.training, "training", there)
    problems.extend(found)

    sweeps: list[tuple[Plugin | None, dict[str, list[Any]], dict[str, list[Any]]]] = []
    for index, method_choice in enumerate(spec.methods):
        field = f"methods.{index}"
        method, params = _one(catalogue, "method", method_choice.name, method_choice.params, field, problems, there)
        override, found = sweep(catalogue.training_schema, method_choice.training, f"{field}.training", there)
        problems.extend(found)
        sweeps.append(
            (
                method,
                params,
                {**training, **{name: override[name] for name in method_choice.training if name in override}},
            )
        )
    _check_batch(sweeps, dataset, problems)

    shared = _size(data_params) * _size(model_params)
    per_method = [shared * _size(params) * _size(trained) for _, params, trained in sweeps]
    seeds = spec.seed_list()
    total = sum(per_method) * len(seeds)
    if total > max_runs:
        problems.append(
            Problem(
                field="methods",
                expected=f"at most {max_runs:,} runs",
                got=f"{sum(per_method):,} settings × {len(seeds):,} seeds = {total:,} runs",
                fix="Sweep over fewer values, take fewer seeds, or raise EQUIPOISE_MAX_RUNS_PER_JOB.",
            )
        )
    if problems:
        raise InvalidRequest(_summary(problems), problems=problems)
    assert dataset is not None
    assert model is not None

    settings: dict[str, Setting] = {}
    metrics_version = canonical_hash(sorted((p.name, p.version) for p in catalogue.plugins if p.kind == "metric"))[:16]
    for method, params, trained in sweeps:
        assert method is not None
        for d, m, p, t in itertools.product(_grid(data_params), _grid(model_params), _grid(params), _grid(trained)):
            setting = Setting(
                dataset=_part(dataset, d),
                data_hash=dataset.dataset.data_hash if dataset.dataset else None,
                subgroups=subgroups,
                model=_part(model, m),
                method=_part(method, p),
                training=t,
                attacks=attacks,
                metrics_version=metrics_version,
                engine_version=catalogue.engine_version,
            )
            settings.setdefault(setting.hash(), setting)
    unique = list(settings.values())
    return Expansion(
        configs=[RunConfig(setting=setting, seed=seed) for seed in seeds for setting in unique],
        settings=unique,
        swept=[
            {name: options for name, options in {**params, **trained}.items() if len(options) > 1}
            for _, params, trained in sweeps
        ],
        settings_per_method=per_method,
    )


def _there(dataset: Plugin | None) -> dict[str, list[Any]]:
    """What parameters may refer to, see `backend.contracts.training.param`; nothing where the dataset is not known."""
    if dataset is None or dataset.dataset is None:
        return {}
    there: dict[str, list[Any]] = {"attribute": [attribute.name for attribute in dataset.dataset.attributes]}
    return there if dataset.dataset.bounds is None else {**there, "bounds": list(dataset.dataset.bounds)}


def _check_images(dataset: Plugin | None, model: Plugin | None, problems: list[Problem]) -> None:
    if dataset is None or dataset.dataset is None or model is None or model.model is None:
        return
    if model.model.images and dataset.dataset.image is None:
        problems.append(
            Problem(
                field="model.name",
                expected=f"a model for tables: the rows of {dataset.title} are no images",
                got=short(model.name),
                fix="Choose 'mlp', or a dataset of images.",
            )
        )


def _check_bounds(dataset: Plugin | None, attack: Plugin | None, field: str, problems: list[Problem]) -> None:
    if dataset is None or dataset.dataset is None or attack is None or attack.attack is None:
        return
    if attack.attack.bounded and dataset.dataset.bounds is None:
        problems.append(
            Problem(
                field=field,
                expected=f"an attack for tables: the features of {dataset.title} have no bounds",
                got=short(attack.name),
                fix="Choose 'pgd_attack', or a dataset whose features are bounded, such as images.",
            )
        )


def _one(
    catalogue: Catalogue,
    kind: PluginKind,
    name: str,
    params: Params,
    field: str,
    problems: list[Problem],
    there: Mapping[str, Sequence[Any]] | None = None,
) -> tuple[Plugin | None, dict[str, list[Any]]]:
    plugin = catalogue.find(kind, name)
    if plugin is None:
        problems.append(unknown_name(f"{field}.name", kind, name, catalogue.names(kind)))
        return None, {}
    options, found = sweep(plugin.params_schema, params, f"{field}.params", there)
    problems.extend(found)
    return plugin, options


def _part(plugin: Plugin, params: Params) -> Part:
    return Part(name=plugin.name, params=params, version=plugin.version)


def _size(params: dict[str, list[Any]]) -> int:
    return math.prod(max(1, len(options)) for options in params.values())


def _grid(params: dict[str, list[Any]]) -> list[Params]:
    names = sorted(params)
    return [dict(zip(names, values, strict=True)) for values in itertools.product(*(params[n] for n in names))]


def _no_sweep(field: str, options: list[Any]) -> Problem:
    return Problem(field=field, expected="one value; attacks do not sweep", got=short(options), fix="Give one value.")


def _subgroups(choices: list[SubgroupChoice], dataset: Plugin | None, problems: list[Problem]) -> list[list[str]]:
    """Canonical order, so that the same question asked in another order is the same run."""
    if dataset is None or dataset.dataset is None:
        return []
    known = [a.name for a in dataset.dataset.attributes]
    taken: set[tuple[str, ...]] = set()
    for index, choice in enumerate(choices):
        field = f"dataset.subgroups.{index}"
        names = [choice] if isinstance(choice, str) else choice
        unknown = [name for name in names if name not in known]
        for name in unknown:
            problems.append(unknown_name(field, "sensitive attribute of this dataset", name, known))
        if not unknown:
            if not 1 <= len(names) <= MAX_INTERSECTION or len(set(names)) < len(names):
                problems.append(
                    Problem(
                        field=field,
                        expected=f"one attribute, or a list of up to {MAX_INTERSECTION} different ones",
                        got=short(choice),
                        fix="Name each attribute once.",
                    )
                )
            else:
                taken.add(tuple(sorted(names, key=known.index)))
    return [list(names) for names in sorted(taken, key=lambda ns: (len(ns), [known.index(n) for n in ns]))]


def _check_batch(
    sweeps: list[tuple[Plugin | None, dict[str, list[Any]], dict[str, list[Any]]]],
    dataset: Plugin | None,
    problems: list[Problem],
) -> None:
    rows = dataset.dataset.train_rows if dataset and dataset.dataset else None
    if rows is None:
        return
    largest = max((b for _, _, t in sweeps for b in t.get("batch_size", ()) if isinstance(b, int)), default=0)
    if largest > rows:
        problems.append(
            Problem(
                field="training.batch_size",
                expected=f"at most the {rows:,} training rows of {dataset.name if dataset else ''}",
                got=str(largest),
                fix="Use a smaller batch.",
            )
        )


def _summary(problems: list[Problem]) -> str:
    first = problems[0]
    got = f", got {first.got}" if first.got is not None else ""
    more = f" ({len(problems) - 1} more)" if len(problems) > 1 else ""
    return f"{first.field}: expected {first.expected}{got}. {first.fix}{more}"
