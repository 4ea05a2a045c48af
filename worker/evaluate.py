"""Everything that is measured of trained runs: metrics on test and validation rows, attacks on training rows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from backend.contracts.results import ALL, Exposed, Measurement, Roc, RunResult
from backend.contracts.runs import RunConfig
from worker.attacks._exposed import exposed
from worker.attacks._report import report
from worker.attacks._target import Target
from worker.datasets._prepared import Data
from worker.metrics._figures import measurements
from worker.metrics._predictions import Figure, Groups, Observed, Predictions, RunFigures
from worker.plugins import Probe
from worker.privacy.accounting import side_by_side
from worker.registry import registry
from worker.shadows import References
from worker.training.engine import Trained, Work

#: A model that predicts one class for at least this share of the test rows is degenerate: its gaps mean nothing.
DEGENERATE_SHARE = 0.99

#: What is measured on the validation split, besides gaps: enough to choose settings by.
VALIDATION_METRICS = frozenset({"n", "loss", "accuracy", "balanced_accuracy", "auroc", "majority_share"})
#: Families of metrics that are kept whole on the validation split.
VALIDATION_FAMILIES = frozenset({"gaps"})

#: About so many candidate rows of all runs are measured together.
ROWS_AT_ONCE = 300_000

T = TypeVar("T")


@dataclass(frozen=True)
class Prepared:
    """A run ready to be trained."""

    config: RunConfig
    data: Data
    work: Work
    #: Shadow models of the setting, where one of its attacks needs them.
    references: References | None = None
    #: Where it is trained, and audits with it.
    device: str = "cpu"


def evaluate(prepared: Prepared, trained: Trained) -> RunResult:
    """Everything that is measured of a trained run."""
    return evaluate_many([(prepared, trained)])[0]


def evaluate_many(fleet: Sequence[tuple[Prepared, Trained]]) -> list[RunResult]:
    """Everything that is measured of each run, in order.

    Runs that share data, shadow models, subgroups and attacks are measured in one pass, some at a time so that
    their arrays stay in the processor's cache. What is found of a run is the same bit for bit, whichever runs
    are beside it.
    """
    results: dict[int, RunResult] = {}
    alike: dict[tuple[object, ...], list[int]] = {}
    for place, (prepared, trained) in enumerate(fleet):
        if trained.diverged is not None:
            results[place] = RunResult(status="diverged", message=trained.diverged, **_common(trained))
            continue
        setting = prepared.config.setting
        attacks = tuple(part.model_dump_json() for part in setting.attacks)
        same = (id(prepared.data), id(prepared.references), tuple(map(tuple, setting.subgroups)), attacks)
        alike.setdefault(same, []).append(place)
    for places in alike.values():
        data = fleet[places[0]][0].data
        size = max(1, ROWS_AT_ONCE // (len(data.train) + len(data.test)))
        for start in range(0, len(places), size):
            some = places[start : start + size]
            results.update(zip(some, _measure([fleet[place] for place in some]), strict=True))
    return [results[place] for place in range(len(fleet))]


def _common(trained: Trained) -> dict[str, Any]:
    return {
        "key": trained.key,
        "engine": trained.engine,
        "wall_seconds": trained.seconds,
        "history": trained.history,
    }


def _measure(fleet: Sequence[tuple[Prepared, Trained]]) -> list[RunResult]:
    """Runs that share data, subgroups and attacks, none of which diverged."""
    data, setting = fleet[0][0].data, fleet[0][0].config.setting
    task, shape = data.task, (len(fleet),)
    train, validation, test = (
        np.stack([t.logits(part) for _, t in fleet]) for part in (data.train, data.validation, data.test)
    )
    tested = Predictions(test, data.test.target, task, "test", RunFigures.of([_spent(*one) for one in fleet]))
    chosen = Predictions(validation, data.validation.target, task, "validation")
    learnt = Predictions(train, data.train.target, task, "test")
    train_groups, tested_groups, chosen_groups = (
        data.groups(part, setting.subgroups) for part in ("train", "test", "validation")
    )
    found: list[list[Measurement]] = [[] for _ in fleet]
    rocs: list[list[Roc]] = [[] for _ in fleet]
    exposures: list[list[Exposed]] = [[] for _ in fleet]
    #: Of the test part, of all runs at once, by metric.
    known: dict[str, Figure] = {}

    def keep(figures: Iterable[Figure]) -> None:
        made = list(figures)
        known.update((figure.metric, figure) for figure in made)
        _extend(found, measurements(made, shape, "test"))

    families = [one.plugin for one in registry().all("metric")]
    for family in families:
        whole = family.name in VALIDATION_FAMILIES
        kept = (f for f in family.measure(chosen, chosen_groups) if whole or f.metric in VALIDATION_METRICS)
        keep(family.measure(tested, tested_groups))
        keep(family.compare(Observed(learnt, train_groups), Observed(tested, tested_groups)))
        _extend(found, measurements(kept, shape, "validation"))
    if setting.attacks:
        candidates = _candidates(fleet[0][0], learnt, tested, chosen, chosen_groups)
        for part in setting.attacks:
            attack = registry().find("attack", part.name).plugin
            if isinstance(attack, Probe):
                _extend(found, (probed(attack, part.params, *one) for one in fleet))
                continue
            params = attack.Params.model_validate(part.params)
            why, asked = attack.undefined(candidates, params), attack.references(params)
            if why is None:
                scores = attack.score(candidates, params)
                if asked:
                    rows = np.concatenate([data.train.rows, data.test.rows])
                    said = attack.caution(candidates, params)
                    _extend(exposures, [[one] for one in exposed(attack.name, scores, candidates, rows, asked, said)])
            else:
                scores = np.full(candidates.losses.shape, np.nan)
                _extend(exposures, [[Exposed(attack=attack.name, statement=why)] for _ in fleet])
            figures, curves = report(attack.name, scores, candidates.members, candidates.groups)
            keep(figures)
            _extend(rocs, curves)
    for family in families:
        keep(family.conclude(known))
    return [
        RunResult(
            status="succeeded",
            degenerate=degenerate(found[run]),
            measurements=found[run],
            rocs=rocs[run],
            exposed=exposures[run],
            **_common(trained),
        )
        for run, (_, trained) in enumerate(fleet)
    ]


def probed(probe: Probe[Any], params: dict[str, Any], prepared: Prepared, trained: Trained) -> list[Measurement]:
    """What a probe finds of one run."""
    figures = probe.probe(prepared, trained, probe.Params.model_validate(params))
    return measurements(figures, (), "test")[0]


def _extend(lists: Sequence[list[T]], more: Iterable[Iterable[T]]) -> None:
    for one, its in zip(lists, more, strict=True):
        one.extend(its)


def _spent(prepared: Prepared, trained: Trained) -> tuple[float | None, ...]:
    schedule, privacy, data = prepared.work.schedule, prepared.work.budget, prepared.data
    claimed = (None,) * 3 if privacy is None else (privacy.epsilon, privacy.delta, privacy.sigma)
    accounts = (None,) * 6 if privacy is None else side_by_side(privacy, schedule)
    rows = (len(data.train), len(data.test), len(data.validation), len(data.inference or ()))
    return trained.seconds, trained.steps or schedule.steps, *claimed, *accounts, *rows


def _candidates(one: Prepared, learnt: Predictions, tested: Predictions, chosen: Predictions, groups: Groups) -> Target:
    """Members are the training rows, non-members the test rows: both drawn from the same strata.

    The population beside them is the validation rows, `chosen`, whose subgroups are `groups`.
    """
    data, references = one.data, one.references
    target = np.concatenate([data.train.target, data.test.target])
    rows = np.concatenate([data.train.rows, data.test.rows])
    nobody = np.zeros(len(chosen.target), bool)
    of_population = None if references is None else references.of(data.validation.rows)
    return Target(
        np.concatenate([learnt.logits, tested.logits], axis=1),
        target,
        np.concatenate([learnt.losses, tested.losses], axis=1),
        np.arange(len(target)) < len(data.train),
        data.groups("candidates", one.config.setting.subgroups),
        data.task,
        None if references is None else references.of(rows),
        Target(chosen.logits, chosen.target, chosen.losses, nobody, groups, data.task, of_population),
    )


def degenerate(measurements: Sequence[Measurement]) -> bool:
    """Whether one class is predicted for at least `DEGENERATE_SHARE` of all test rows."""
    return any(
        m.metric == "majority_share" and m.subgroup == ALL and m.split == "test" and (m.value or 0) >= DEGENERATE_SHARE
        for m in measurements
    )
