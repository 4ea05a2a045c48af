"""Runs from their configurations to their results: the seam that everything around the training uses.

`plan` orders runs and puts them into fleets, `prepare` loads, splits, encodes and calibrates, `measure_fleet` does all
of it, trains, evaluates and attacks. Nothing here knows of jobs, queues or databases, and any number of processes may
call it at once; they may share `cache_dir`.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from backend.contracts.catalogue import PluginKind
from backend.contracts.results import RunResult
from backend.contracts.runs import Part, RunConfig, canonical_hash
from backend.contracts.training import Training
from backend.errors import DataChanged, EpsilonUnreachable
from backend.logs import get_logger
from worker import memory, shadows
from worker.datasets._prepared import prepared_data
from worker.evaluate import Prepared, evaluate_many
from worker.plugins import Audit, Params
from worker.privacy.accounting import Schedule, budget
from worker.registry import engine_version, registry
from worker.training.checkpoints import SECONDS, Checkpoints, Snapshot
from worker.training.engine import Demand, Engine, GroupsMissing, OnProgress, Trained, Watch, Work, choose, groups_for
from worker.training.engines import ENGINES, engines
from worker.training.initial import build
from worker.training.streams import Streams

log = get_logger(__name__)

#: Runs of one fleet where each is trained by itself: their evaluation is shared, and no process is left with many.
LARGEST_FLEET = 8
#: Trained runs wait at most about this long for others to be evaluated with.
EVALUATE_SECONDS = 0.5
#: So many are evaluated together at most: more gain nothing, and would keep the first result waiting.
EVALUATE_RUNS = 8
#: What evaluating a run takes for each of its rows, besides what grows with the outputs.
EVALUATION_ROW_BYTES = 200
#: What attacks take while they score, for each row, output and shadow model; more where there are several classes.
SCORE_BYTES, CLASSES_SCORE_BYTES = 20, 56


def plan(configs: Iterable[RunConfig], *, parallel: int = 1, device: str = "cpu") -> list[list[RunConfig]]:
    """Fleets, in the order in which `parallel` processes should take them; each shares data, model and schedule.

    Where a run is trained by itself, fleets come seed by seed, so that every method and setting has its first point
    before any has its second. The first of each process is a single run, so that a point appears at once; then they
    grow, and shrink again towards the end, so that all processes end together. A GPU trains many runs as one program:
    there all runs of a kind and of all seeds are one fleet, of which the engine takes as many as memory holds.
    """
    together = device != "cpu" and engines(device)[0].stacks
    seeds: dict[int, int] = {}
    shapes: dict[int, str] = {}
    groups: dict[tuple[int, str], list[RunConfig]] = {}
    for config in configs:
        rank = seeds.setdefault(config.seed, len(seeds))
        # Runs of a setting that were read together share its object.
        shape = shapes.get(id(config.setting)) or shapes.setdefault(id(config.setting), _shape(config))
        groups.setdefault((0 if together else rank, shape), []).append(config)
    ordered = [groups[key] for key in sorted(groups, key=lambda key: key[0])]
    return ordered if together else _cut(ordered, max(1, parallel))


def _shape(config: RunConfig) -> str:
    setting = config.setting
    return canonical_hash(
        {
            "dataset": setting.dataset.model_dump(mode="json"),
            "model": setting.model.model_dump(mode="json"),
            "training": {name: setting.training.get(name) for name in ("epochs", "batch_size", "optimizer")},
        }
    )


def _cut(groups: Iterable[Sequence[RunConfig]], parallel: int) -> list[list[RunConfig]]:
    waiting = list(groups)
    fleets: list[list[RunConfig]] = []
    left = sum(map(len, waiting))
    for group in waiting:
        start = 0
        while start < len(group):
            grown = 2 ** min(10, len(fleets) // parallel)
            size = min(grown, LARGEST_FLEET, math.ceil(left / (2 * parallel)))
            fleets.append(list(group[start : start + size]))
            left -= len(fleets[-1])
            start += size
    return fleets


def prepare(config: RunConfig, *, cache_dir: Path | None = None) -> Prepared:
    """Load, check, split, encode and calibrate.

    Raises `DataMissing` and `DataChanged` where no run of the job can be trained here, `EpsilonUnreachable`,
    `GroupsMissing` and `pydantic.ValidationError` where this setting cannot.
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

    if method.needs_inference_set:
        data = data.with_inference_set(config.seed)
    rows = len(data.train)
    looked_at = method.private and method.objective(method_params) is None and not shadows.is_shadow(config)
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
        domain=data.domain,
        inference=data.inference,
        groups=groups_for(method, method_params, data.attributes, data.train.rows),
        sample=data.sample(setting.subgroups, config.seed) if looked_at else None,
    )
    return Prepared(config, data, work)


def measure_run(
    config: RunConfig, *, cache_dir: Path | None = None, on_progress: OnProgress | None = None
) -> RunResult:
    """One run by itself, on the processor; see `measure_fleet`."""
    (result,) = measure_fleet([config], cache_dir=cache_dir, on_progress=on_progress)
    return result


def measure_fleet(
    configs: Sequence[RunConfig],
    *,
    cache_dir: Path | None = None,
    device: str = "cpu",
    on_progress: OnProgress | None = None,
    room: memory.Room = memory.unlimited,
    checkpoint_seconds: float = SECONDS,
) -> Iterator[RunResult]:
    """Train, evaluate and attack runs of one fleet; yields each result once, in any order.

    Shadow models that an attack needs and nobody trained yet are trained first; a shadow among `configs` is trained and
    kept in `cache_dir`, and its result only says how that went.
    A run that diverges, whose setting is impossible, or that `room` has no memory for is a result with that status
    and a message. Raises `DataMissing` and `DataChanged` where the whole job cannot go on. A run that was interrupted
    goes on from its checkpoint in `cache_dir`; whoever keeps the result discards that.
    """
    fleets: dict[Engine, list[Prepared]] = {}
    for config in configs:
        try:
            prepared = prepare(config, cache_dir=cache_dir)
        except (EpsilonUnreachable, GroupsMissing) as error:
            yield _failed(config, error.sentence())
        except ValidationError as error:
            yield _failed(config, _sentence(error))
        else:
            fleets.setdefault(choose(prepared.work, engines(device)), []).append(prepared)

    def train_shadows(missing: Sequence[RunConfig]) -> Iterator[RunResult]:
        return measure_fleet(missing, cache_dir=cache_dir, device=device, room=room)

    def finish(done: Sequence[tuple[Prepared, Trained]]) -> Iterator[RunResult]:
        runs = [one for one in done if not shadows.is_shadow(one[0].config)]
        for prepared, _ in runs:
            if on_progress is not None and _audits(prepared.config):
                on_progress(prepared.work.key, 1.0)  # What follows may take longer than the training did.
        yield from (shadows.keep(p.config, p.data, t, cache_dir) for p, t in done if shadows.is_shadow(p.config))
        yield from evaluate_many(
            [
                (
                    replace(
                        p, references=shadows.references(p.config.setting, cache_dir, train_shadows), device=device
                    ),
                    t,
                )
                for p, t in runs
            ]
        )

    kept = None if cache_dir is None else _Kept(cache_dir / "checkpoints", seconds=checkpoint_seconds)
    for engine, fleet in fleets.items():
        fitting, too_large, held = _fit(engine, fleet, device, room)
        yield from too_large
        if fitting:
            yield from _measured(engine, fitting, Watch(on_progress, kept), held, finish)


def _measured(
    engine: Engine,
    fleet: Sequence[Prepared],
    watch: Watch,
    held: int,
    finish: Callable[[Sequence[tuple[Prepared, Trained]]], Iterable[RunResult]],
) -> Iterator[RunResult]:
    """Trains, and gives `finish` what is trained together, at most `held` at a time."""
    by_key = {prepared.work.key: prepared for prepared in fleet}
    done: list[tuple[Prepared, Trained]] = []
    since = time.monotonic()
    for trained in engine.train([prepared.work for prepared in fleet], watch):
        done.append((by_key[trained.key], trained))
        if len(done) >= held or time.monotonic() - since >= EVALUATE_SECONDS:
            yield from finish(done)
            done, since = [], time.monotonic()
    if done:
        yield from finish(done)


def _fit(
    engine: Engine, fleet: Sequence[Prepared], device: str, room: memory.Room
) -> tuple[list[Prepared], list[RunResult], int]:
    """The runs that memory holds, results of those that it does not, and how many it holds at a time."""
    needs = [_needs(engine, prepared, device) for prepared in fleet]
    granted: dict[str, int] = {}
    held = min(len(fleet), EVALUATE_RUNS)
    for place in needs[0]:
        all_of_it = [need[place] for need in needs]
        least = max(one.shared + one.per_run for one in all_of_it)
        largest = Demand(max(one.shared for one in all_of_it), max(one.per_run for one in all_of_it))
        most = largest.shared + min(len(fleet), EVALUATE_RUNS) * largest.per_run
        granted[place] = room(least, most) if place == "cpu" else memory.available(place)
        held = min(held, max(1, largest.runs_in(granted[place])))
    fitting, too_large = [], []
    for prepared, need in zip(fleet, needs, strict=True):
        lacking = [place for place, one in need.items() if one.runs_in(granted[place]) == 0]
        if lacking:
            one = need[lacking[0]]
            message = memory.too_little(one.shared + one.per_run, granted[lacking[0]], lacking[0])
            too_large.append(_failed(prepared.config, message))
        else:
            fitting.append(prepared)
    return fitting, too_large, held


def _needs(engine: Engine, prepared: Prepared, device: str) -> dict[str, Demand]:
    """Memory by place: of training, of the evaluation, which happens on the host, and of the process itself."""
    training, evaluation = engine.demand(prepared.work), _evaluation_demand(prepared)
    shared = memory.PROCESS_BYTES + evaluation.shared
    if device == "cpu":
        return {"cpu": Demand(training.shared + shared, training.per_run + evaluation.per_run)}
    return {"cpu": Demand(shared + memory.DEVICE_PROCESS_BYTES, evaluation.per_run), device: training}


def _evaluation_demand(prepared: Prepared) -> Demand:
    """Of one run: answers for every row, what metrics sort of them, and shadow models, which differ between settings.

    Shared: attacks with shadow models and audits, which come one after the other.
    """
    outputs = prepared.work.outputs
    rows = sum(map(len, prepared.data.parts))
    models = shadows.wanted(prepared.config.setting)
    answers = models * rows * (4 * outputs + 1)
    # Read from disk they are there twice, and attacks see a copy of theirs in their own order.
    scoring = 2 * answers + models * rows * outputs * (SCORE_BYTES if outputs <= 2 else CLASSES_SCORE_BYTES)
    shared = max([scoring, *(_audit_bytes(prepared, audit) for audit, _ in _audits(prepared.config))])
    return Demand(shared, rows * (EVALUATION_ROW_BYTES + 12 * outputs) + answers)


def _audit_bytes(prepared: Prepared, audit: Audit[Any]) -> int:
    """Training on the host with rows of its own, by whichever engine it takes, beside the models it keeps."""
    work = prepared.work
    demands = [one.demand(work) for one in ENGINES if one.refuses(work) is None]
    rows = sum(part.nbytes for part in (work.train.rows, work.train.numeric, work.train.active, work.train.target))
    weights = sum(parameter.numel() for parameter in build(work).parameters())
    return max(one.shared + one.per_run for one in demands) + rows + 4 * weights * audit.at_once


def _audits(config: RunConfig) -> list[tuple[Audit[Any], Params]]:
    """Audits of a run with their parameters; none where it claims no epsilon."""
    if config.setting.epsilon() is None:
        return []
    found = ((registry().find("attack", part.name).plugin, part.params) for part in config.setting.attacks)
    return [(one, one.Params.model_validate(params)) for one, params in found if isinstance(one, Audit)]


class KeptShadows:
    """Shadow models in `cache_dir`, as an attempt needs to know of them."""

    def __init__(self, cache_dir: Path) -> None:
        self._cache_dir = cache_dir

    def stages(self, configs: Sequence[RunConfig]) -> list[tuple[list[RunConfig], list[RunConfig]]]:
        """Runs in the order in which to train them, each part with the shadows that it needs first."""
        return shadows.stages(configs, self._cache_dir)

    def failed(self, config: RunConfig, message: str) -> None:
        """Its runs have to do without it."""
        shadows.failed(config, message, self._cache_dir)

    def audits(self, config: RunConfig) -> int:
        """How many trainings the audits of a run take."""
        return sum(audit.facts().trainings(params.model_dump()) for audit, params in _audits(config))


class _Kept(Checkpoints):
    """Says so in the log where a run goes on."""

    def load(self, key: str, engine: str) -> Snapshot | None:
        found = super().load(key, engine)
        if found is not None:
            log.info("goes on from its checkpoint", run=key, step=found.step)
        return found


def _failed(config: RunConfig, message: str) -> RunResult:
    return RunResult(key=config.key(), status="failed", message=message)


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
