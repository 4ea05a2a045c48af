"""Everything that is measured of trained runs: metrics on test and validation rows, attacks on training rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from backend.contracts.results import ALL, Measurement, Roc, RunResult
from backend.contracts.runs import RunConfig
from worker.attacks._report import report
from worker.attacks._target import Target
from worker.datasets._table import Table
from worker.metrics._predictions import Groups, Predictions, RunFigures
from worker.registry import registry
from worker.training.engine import Examples, Trained, Work
from worker.training.losses import per_record_numpy

#: A model that predicts one class for at least this share of the test rows is degenerate: its gaps mean nothing.
DEGENERATE_SHARE = 0.99

#: What is measured on the validation split, besides gaps: enough to choose settings by.
VALIDATION_METRICS = frozenset({"n", "loss", "accuracy", "balanced_accuracy", "auroc", "majority_share"})
#: Families of metrics that are kept whole on the validation split.
VALIDATION_FAMILIES = frozenset({"gaps"})


@dataclass(frozen=True)
class Data:
    """A dataset as the runs of one seed see it."""

    table: Table
    train: Examples
    validation: Examples
    test: Examples
    _groups: dict[tuple[object, ...], Groups] = field(default_factory=dict, compare=False, repr=False)

    def groups(self, part: Literal["validation", "test", "candidates"], choices: Sequence[Sequence[str]]) -> Groups:
        """Subgroups of a part, found once for all runs; an attack's candidates are training rows, then test rows."""
        key = (part, *map(tuple, choices))
        if key not in self._groups:
            rows = {
                "validation": self.validation.rows,
                "test": self.test.rows,
                "candidates": np.concatenate([self.train.rows, self.test.rows]),
            }[part]
            self._groups[key] = Groups.of(self.table.attributes, choices, rows)
        return self._groups[key]


@dataclass(frozen=True)
class Prepared:
    """A run ready to be trained."""

    config: RunConfig
    data: Data
    work: Work


def evaluate(prepared: Prepared, trained: Trained) -> RunResult:
    """Everything that is measured of a trained run."""
    data, work, subgroups = prepared.data, prepared.work, prepared.config.setting.subgroups
    privacy = work.budget
    figures = RunFigures(
        wall_seconds=trained.seconds,
        steps=work.schedule.steps,
        epsilon=privacy.epsilon if privacy else None,
        delta=privacy.delta if privacy else None,
        noise_multiplier=privacy.sigma if privacy else None,
    )
    common: dict[str, Any] = {
        "key": work.key,
        "engine": trained.engine,
        "wall_seconds": trained.seconds,
        "history": trained.history,
    }
    if trained.diverged is not None:
        return RunResult(status="diverged", message=trained.diverged, **common)
    test = Predictions(trained.logits(data.test), data.test.target, data.table.task, "test", figures)
    validation = Predictions(trained.logits(data.validation), data.validation.target, data.table.task, "validation")
    measurements: list[Measurement] = []
    for one in registry().all("metric"):
        measurements += one.plugin.measure(test, data.groups("test", subgroups))
        whole = one.plugin.name in VALIDATION_FAMILIES
        measurements += (
            m
            for m in one.plugin.measure(validation, data.groups("validation", subgroups))
            if whole or m.metric in VALIDATION_METRICS
        )
    attacks, rocs = _attack(prepared, trained, test)
    return RunResult(
        status="succeeded",
        degenerate=degenerate(measurements),
        measurements=measurements + attacks,
        rocs=rocs,
        **common,
    )


def evaluate_many(fleet: Sequence[tuple[Prepared, Trained]]) -> list[RunResult]:
    """`evaluate` of each, in order."""
    return [evaluate(prepared, trained) for prepared, trained in fleet]


def degenerate(measurements: Sequence[Measurement]) -> bool:
    """Whether one class is predicted for at least `DEGENERATE_SHARE` of all test rows."""
    return any(
        m.metric == "majority_share" and m.subgroup == ALL and m.split == "test" and (m.value or 0) >= DEGENERATE_SHARE
        for m in measurements
    )


def _attack(prepared: Prepared, trained: Trained, test: Predictions) -> tuple[list[Measurement], list[Roc]]:
    """Members are the training rows, non-members the test rows: both drawn from the same strata."""
    data, setting = prepared.data, prepared.config.setting
    measurements: list[Measurement] = []
    rocs: list[Roc] = []
    if not setting.attacks:
        return measurements, rocs
    logits = np.concatenate([trained.logits(data.train), test.logits])
    target = np.concatenate([data.train.target, data.test.target])
    members = np.arange(len(target)) < len(data.train)
    groups = data.groups("candidates", setting.subgroups)
    losses = per_record_numpy(logits, target, data.table.task)
    candidates = Target(logits, target, losses, members, groups, data.table.task)
    for part in setting.attacks:
        attack = registry().find("attack", part.name).plugin
        params = attack.Params.model_validate(part.params)
        figures, curves = report(attack.name, attack.score(candidates, params), members, groups)
        measurements += figures
        rocs += curves
    return measurements, rocs
