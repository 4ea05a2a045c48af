"""Runs for the tests of stacked models."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from backend.contracts.training import Training
from worker.datasets._table import SensitiveAttribute
from worker.models.mlp import PLUGIN as MLP
from worker.models.mlp import MlpParams
from worker.privacy.accounting import Budget, Schedule
from worker.registry import registry
from worker.testing import plain_methods, toy_table, toy_work
from worker.training import engine
from worker.training.engine import Examples, Work, groups_for
from worker.training.fleet.stack import Stack
from worker.training.fleet.stack_plan import Course, Plan
from worker.training.fleet.stacked import StackedEngine
from worker.training.streams import Streams

METHODS = plain_methods()
OPTIMIZERS = {
    "sgd": {"optimizer": "sgd", "weight_decay": 0.01},
    "momentum": {"optimizer": "sgd", "momentum": 0.9},
    "adam": {"optimizer": "adam"},
    "adamw": {"optimizer": "adamw", "weight_decay": 0.1},
}
HEADS = {"binary": ("binary", 2), "multiclass": ("multiclass", 5), "regression": ("regression", 1)}
CPU = torch.device("cpu")


def examples(rng, rows, numeric, categories, task, classes):
    """Random rows with numeric and one-hot columns."""
    x = rng.normal(size=(rows, numeric)).astype(np.float32)
    first = numeric + np.cumsum([0, *categories])[:-1]
    codes = [rng.integers(0, size, rows) + at for size, at in zip(categories, first, strict=True)]
    active = np.stack(codes, 1).astype(np.int32) if codes else np.zeros((rows, 0), np.int32)
    dense = np.zeros((rows, numeric + sum(categories)), np.float32)
    dense[:, :numeric] = x
    np.put_along_axis(dense, active.astype(np.int64), np.float32(1), axis=1)
    target = rng.normal(size=rows).astype(np.float32) if task == "regression" else rng.integers(0, classes, rows)
    return Examples(np.arange(rows), dense, x, active, target)


def work(
    *, seed=0, key=None, rows=200, batch=40, numeric=3, categories=(4, 5), hidden=(16,), activation="relu",
    head="binary", method="sgd", params=None, sigma=1.0, epochs=1, secure=False, statistic_std=2.0, groups=3,
    **training,
):  # fmt: skip
    task, classes = HEADS[head]
    codes = np.random.default_rng([seed, groups]).integers(0, groups, rows)
    train = examples(np.random.default_rng(seed), rows, numeric, categories, task, classes)
    plugin = registry().find("method", method).plugin
    chosen, given = plugin.Params(**(params or {})), Training(epochs=epochs, batch_size=batch, **training)
    statistic = statistic_std if plugin.mechanism(chosen, given).statistic_std is not None else None
    key = key or f"run-{seed}-{method}"
    return Work(
        key=key,
        streams=Streams.of(seed, key, secure=secure),
        task=task,
        inputs=train.features.shape[1],
        outputs=classes,
        model=MLP,
        model_params=MlpParams(hidden=list(hidden), activation=activation),
        method=plugin,
        method_params=chosen,
        training=given,
        schedule=Schedule.of(rows, batch, epochs),
        budget=Budget(1.0, 1e-5, "rdp", sigma, sigma, statistic) if plugin.private else None,
        train=train,
        validation=Examples(
            *(part[:50] for part in (train.rows, train.features, train.numeric, train.active, train.target))
        ),
        groups=groups_for(plugin, chosen, attributes(codes, groups), train.rows),
    )


def attributes(codes, groups):
    """Two attributes of the same rows: the codes as they are, and reversed."""
    labels = tuple(f"group {code}" for code in range(groups))
    return {
        "sex": SensitiveAttribute("Sex", codes, labels),
        "race": SensitiveAttribute("Race", groups - 1 - codes, labels),
    }


def trained(trainer, works, watch=engine.UNWATCHED):
    found = {result.key: result for result in trainer.train(works, watch)}
    assert found.keys() == {one.key for one in works}
    return found


def mixed(count=6, **common):
    """Different methods, seeds, rates, thresholds and noise; three share their rows with another."""
    works = []
    for run in range(count):
        method = METHODS[run % len(METHODS)].name
        fields = METHODS[run % len(METHODS)].Params.model_fields
        name = next((one for one in ("threshold", "clip", "length") if one in fields), None)
        params = {name: 0.3 * (1 + run % 3)} if name else {}
        settings_of = {"sigma": 0.2 + 0.1 * run, "learning_rate": 0.02 * (1 + run % 4), **common}
        works.append(work(seed=run, key=f"mixed-{run}", method=method, params=params, **settings_of))
    for run in range(3, count):
        twin = works[run - 3]
        shared = Streams(twin.streams.shared, works[run].streams.own, works[run].streams.secure)
        works[run] = replace(works[run], streams=shared, train=twin.train, validation=twin.validation)
        if works[run].groups is not None and twin.groups is not None:
            works[run] = replace(works[run], groups=twin.groups)
    return works


def same_history(ours, theirs, **tolerance):
    assert len(ours) == len(theirs)
    for mine, other in zip(ours, theirs, strict=True):
        assert (mine.name, mine.unit, mine.steps) == (other.name, other.unit, other.steps)
        assert mine.groups.keys() == other.groups.keys()
        for group, values in {"all": mine.values, **mine.groups}.items():
            theirs_there = {"all": other.values, **other.groups}[group]
            np.testing.assert_allclose(np.array(values, float), np.array(theirs_there, float), **tolerance)


def same(ours, theirs, rows):
    """Bit for bit."""
    assert np.array_equal(ours.logits(rows), theirs.logits(rows), equal_nan=ours.diverged is not None)
    assert ours.history == theirs.history
    assert ours.diverged == theirs.diverged


def stack_of(works, *, draw_on_device=False):
    return Stack([Course.begin(one, Plan.of(one)) for one in works], CPU, draw_on_device=draw_on_device)


def fleet_of_toys():
    """Logits of a small fleet of every method; needs nothing that Numba compiles."""
    works = [
        toy_work(method, table=toy_table(200), seed=seed, run_hash=f"{method.name}-{seed}", epochs=3)
        for method in METHODS
        for seed in range(2)
    ]
    return {result.key: result.logits(works[0].validation) for result in StackedEngine().train(works)}
