"""One run from its configuration to its result: the seam that everything around the training uses.

`plan` orders and groups runs, `prepare` loads, splits, encodes and calibrates, `measure_run` does all of it, trains,
evaluates and attacks. Nothing here knows of jobs, queues or databases, and any number of processes may call it at
once; they may share `cache_dir`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from backend.contracts.catalogue import PluginKind
from backend.contracts.results import RunResult
from backend.contracts.runs import Part, RunConfig, canonical_hash
from backend.contracts.training import Training
from backend.errors import DataChanged, EpsilonUnreachable
from worker.datasets._prepared import prepared_data
from worker.evaluate import Prepared, evaluate
from worker.plugins import Params
from worker.privacy.accounting import Schedule, budget
from worker.registry import engine_version, registry
from worker.training.checkpoints import Checkpoints
from worker.training.engine import OnProgress, Watch, Work, choose
from worker.training.engines import ENGINES
from worker.training.streams import Streams


def plan(configs: Iterable[RunConfig]) -> list[list[RunConfig]]:
    """Groups of runs that share data, split, model and schedule: what one fleet can train together.

    Groups come seed by seed, so that every method and setting has its first point before any has its second; within a
    group the order given is kept.
    """
    seeds: dict[int, int] = {}
    groups: dict[tuple[int, str], list[RunConfig]] = {}
    for config in configs:
        setting = config.setting
        shape = canonical_hash(
            {
                "dataset": setting.dataset.model_dump(mode="json"),
                "model": setting.model.model_dump(mode="json"),
                "training": {name: setting.training.get(name) for name in ("epochs", "batch_size", "optimizer")},
            }
        )
        rank = seeds.setdefault(config.seed, len(seeds))
        groups.setdefault((rank, shape), []).append(config)
    return [groups[key] for key in sorted(groups, key=lambda key: key[0])]


def prepare(config: RunConfig, *, cache_dir: Path | None = None) -> Prepared:
    """Load, check, split, encode and calibrate.

    Raises `DataMissing` and `DataChanged` where no run of the job can be trained here, `EpsilonUnreachable` and
    `pydantic.ValidationError` where this setting cannot.
    """
    setting = config.setting
    if setting.engine_version != engine_version():
        raise _changed("the code that trains and evaluates", setting.engine_version, engine_version())
    if setting.metrics_version != registry().metrics_version():
        raise _changed("the code of the metrics", setting.metrics_version, registry().metrics_version())
    for attack in setting.attacks:
        _plugin("attack", attack)
    model, model_params = _plugin("model", setting.model)
    method, method_params = _plugin("method", setting.method)
    training = Training.model_validate(setting.training)
    _plugin("dataset", setting.dataset)
    params = json.dumps(setting.dataset.params, sort_keys=True)
    data = prepared_data(setting.dataset.name, params, config.seed, cache_dir)
    if setting.data_hash is not None and setting.data_hash != data.data_hash:
        raise _changed(f"the data of {setting.dataset.name}", setting.data_hash, data.data_hash)

    rows = len(data.train)
    work = Work(
        key=config.key(),
        streams=Streams.of(config.seed, config.hash(), secure=training.noise_source == "system"),
        task=data.task,
        inputs=data.inputs,
        outputs=data.outputs,
        model=model,
        model_params=model_params,
        method=method,
        method_params=method_params,
        training=training,
        schedule=Schedule.of(rows, training.batch_size, training.epochs),
        budget=budget(method, method_params, training, rows, cache_dir=cache_dir),
        train=data.train,
        validation=data.validation,
    )
    return Prepared(config, data, work)


def measure_run(
    config: RunConfig, *, cache_dir: Path | None = None, on_progress: OnProgress | None = None
) -> RunResult:
    """Train, evaluate and attack one run.

    A run that diverges, or whose setting is impossible, is a result with that status and a message. Raises
    `DataMissing` and `DataChanged` where the whole job cannot go on.
    """
    try:
        prepared = prepare(config, cache_dir=cache_dir)
    except EpsilonUnreachable as error:
        return RunResult(key=config.key(), status="failed", message=error.sentence())
    except ValidationError as error:
        return RunResult(key=config.key(), status="failed", message=_sentence(error))
    engine = choose(prepared.work, ENGINES)
    kept = Checkpoints(cache_dir / "checkpoints") if cache_dir is not None else None
    (trained,) = engine.train([prepared.work], Watch(on_progress, kept))
    return evaluate(prepared, trained)


def _plugin(kind: PluginKind, part: Part) -> tuple[Any, Params]:
    found = registry().find(kind, part.name)
    if part.version != found.version:
        raise _changed(f"the code of the {kind} {part.name}", part.version, found.version)
    return found.plugin, found.plugin.Params.model_validate(part.params)


def _changed(what: str, planned: str, here: str) -> DataChanged:
    return DataChanged(
        f"Since the study was submitted, {what} changed (planned on {planned[:16]}, this worker has {here[:16]}).",
        fix="Retry the study to run it on what is there now, or start a worker with what it was submitted with.",
    )


def _sentence(error: ValidationError) -> str:
    """The first thing that is wrong with a setting's parameters."""
    first = error.errors()[0]
    field = ".".join(str(part) for part in first["loc"])
    return f"{field}: {first['msg']}" if field else str(first["msg"])
