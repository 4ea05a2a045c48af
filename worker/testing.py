"""Small data and ready-made work for tests of plugins and engines."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from backend.contracts.training import Training
from worker.datasets._prepared import Data
from worker.datasets._table import Domain, SensitiveAttribute, Table, Task, strata_of
from worker.models.mlp import PLUGIN as MLP
from worker.models.mlp import MlpParams
from worker.plugins import Method, Model, Params
from worker.privacy.accounting import Budget, Schedule, budget
from worker.registry import registry
from worker.training.engine import Work, groups_for
from worker.training.streams import Streams


def plain_methods() -> list[Method[Any]]:
    """Those that every engine trains: they minimise the loss of the batch and have no objective of their own."""
    methods = (one.plugin for one in registry().all("method"))
    return [method for method in methods if method.objective(method.Params()) is None]


def toy_table(rows: int = 300, *, task: Task = "binary", classes: int = 2, seed: int = 0) -> Table:
    """Three numeric and two categorical columns, a learnable target, and the attributes `sex` and `race`."""
    random = np.random.default_rng(seed)
    numeric = random.normal(size=(rows, 3)).astype(np.float32)
    categorical = np.stack([random.integers(0, k, rows) for k in (2, 4)], axis=1).astype(np.int32)
    sex, race = random.integers(0, 2, rows), random.integers(0, 3, rows)
    score = numeric[:, 0] + 0.7 * categorical[:, 0] + 0.3 * sex + random.normal(size=rows)
    target: np.ndarray[Any, Any]
    if task == "regression":
        target = score.astype(np.float32)
    else:
        target = np.digitize(score, np.quantile(score, np.arange(1, classes) / classes)).astype(np.int64)
    return Table(
        name="toy",
        task=task,
        target=target,
        classes=() if task == "regression" else tuple(f"class {c}" for c in range(classes)),
        numeric=numeric,
        numeric_names=("x0", "x1", "x2"),
        categorical=categorical,
        categorical_names=("a", "b"),
        categories=(("no", "yes"), ("p", "q", "r", "s")),
        attributes={
            "sex": SensitiveAttribute("Sex", sex, ("Female", "Male")),
            "race": SensitiveAttribute("Race", race, ("Black", "Other", "White")),
        },
        strata=strata_of(sex, race),
        data_hash="toy",
    )


def toy_images(rows: int = 120, *, image: tuple[int, int, int] = (1, 9, 9), classes: int = 3, seed: int = 0) -> Table:
    """Images that are a pattern of their class with noise, values from 0 to 1; the class is the attribute."""
    random = np.random.default_rng(seed)
    target = random.integers(0, classes, rows)
    patterns = random.random((classes, math.prod(image)))
    values = np.clip(patterns[target] + 0.3 * random.normal(size=(rows, patterns.shape[1])), 0, 1).astype(np.float32)
    names = tuple(f"class {c}" for c in range(classes))
    return Table(
        name="toy_images",
        task="multiclass",
        target=target,
        classes=names,
        numeric=values,
        numeric_names=tuple(f"x{place}" for place in range(values.shape[1])),
        categorical=np.zeros((rows, 0), np.int32),
        categorical_names=(),
        categories=(),
        attributes={"class": SensitiveAttribute("Class", target, names)},
        strata=target,
        data_hash="toy_images",
        domain=Domain(bounds=(0.0, 1.0), image=image),
    )


def toy_work(
    method: Method[Any],
    method_params: Params | None = None,
    *,
    table: Table | None = None,
    seed: int = 0,
    run_hash: str = "toy",
    model: Model[Any] = MLP,
    model_params: Params | None = None,
    spent: Budget | None = None,
    **training: Any,
) -> Work:
    """One run on a toy table, encoded and calibrated; `spent` replaces the calibrated budget."""
    table = toy_table() if table is None else table
    data = Data.of(table, seed)
    if method.needs_inference_set:
        data = data.with_inference_set(seed)
    trained = Training.model_validate({"epochs": 2, "batch_size": 32, **training})
    params = method.Params() if method_params is None else method_params
    if model_params is None:
        model_params = MlpParams(hidden=[8]) if model is MLP else model.Params()
    rows = len(data.train)
    return Work(
        key=run_hash[:20],
        streams=Streams.of(seed, run_hash, secure=trained.noise_source == "system"),
        task=table.task,
        inputs=data.inputs,
        outputs=table.outputs,
        model=model,
        model_params=model_params,
        method=method,
        method_params=params,
        training=trained,
        schedule=Schedule.of(rows, trained.batch_size, trained.epochs),
        budget=budget(method, params, trained, rows) if spent is None else spent,
        train=data.train,
        validation=data.validation,
        inference=data.inference,
        domain=table.domain,
        groups=groups_for(method, params, table.attributes, data.train.rows),
    )
