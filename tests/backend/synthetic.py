"""A made-up catalogue and made-up results: the backend is tested without a worker and without torch."""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np

from backend.contracts.catalogue import Attribute, Catalogue, DatasetFacts, MethodFacts, MetricInfo, Plugin
from backend.contracts.results import Measurement, Roc, RunResult, Series
from backend.contracts.runs import RunConfig
from backend.contracts.training import Training
from backend.store import jobs, runs
from backend.store.database import Database

SEXES = {"sex=Female": 3000, "sex=Male": 6000}
RACES = {"race=Black": 900, "race=Other": 12, "race=White": 8088}
SUBGROUPS = {"all": 9000, **SEXES, **RACES}


def _schema(**properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "additionalProperties": False}


def _number(title: str, default: float, **more: Any) -> dict[str, Any]:
    return {"type": "number", "title": title, "default": default, "sweepable": True, "exclusiveMinimum": 0, **more}


_EPSILON = _number("Privacy budget ε", 3.0, maximum=1000)
_DELTA = {
    "anyOf": [{"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1}, {"type": "null"}],
    "default": None,
}
_HIDDEN = {"type": "array", "items": {"type": "integer", "minimum": 1}, "title": "Hidden layers", "default": [64]}
_LIMIT = {
    "anyOf": [{"type": "integer", "minimum": 100, "maximum": 45222}, {"type": "null"}],
    "default": None,
    "sweepable": True,
}


def _plugin(kind: Any, name: str, title: str, schema: dict[str, Any], **more: Any) -> Plugin:
    return Plugin(kind=kind, name=name, title=title, summary=title, version=f"{name}-1", params_schema=schema, **more)


def _metric(name: str, title: str, better: bool | None, **more: Any) -> MetricInfo:
    return MetricInfo(name=name, title=title, explanation=title, family="made_up", higher_is_better=better, **more)


def catalogue(**changes: Any) -> Catalogue:
    """A catalogue of one dataset, one model, four methods, one attack and nine metrics."""
    content: dict[str, Any] = {
        "version": "made-up-1",
        "engine_version": "engine-1",
        "training_schema": Training.model_json_schema(),
        "plugins": [
            _plugin(
                "dataset",
                "adult",
                "Adult (census income)",
                _schema(limit=_LIMIT),
                dataset=DatasetFacts(
                    data_hash="aa" * 32,
                    rows=45222,
                    train_rows=27133,
                    attributes=[
                        Attribute(name="sex", title="Sex", values=["Female", "Male"]),
                        Attribute(name="race", title="Race", values=["Black", "Other", "White"]),
                    ],
                ),
            ),
            _plugin("model", "mlp", "Multilayer perceptron", _schema(hidden=_HIDDEN)),
            _plugin("method", "sgd", "SGD", _schema(), method=MethodFacts(private=False)),
            *(
                _plugin(
                    "method",
                    name,
                    title,
                    _schema(epsilon=_EPSILON, delta=_DELTA, clip=_number("Clipping threshold", 1.0, maximum=1e4)),
                    method=MethodFacts(private=True),
                )
                for name, title in (
                    ("dp_sgd", "DP-SGD"),
                    ("adaptive_dp_sgd", "Adaptive DP-SGD"),
                    ("soft_ada_clip", "SoftAdaClip"),
                )
            ),
            _plugin("attack", "loss_threshold", "Loss-threshold attack", _schema()),
            _plugin("metric", "made_up", "Made up", _schema()),
        ],
        "metrics": [
            _metric("loss", "Loss", False, unit="nats", low=0.0),
            _metric("accuracy", "Accuracy", True, unit="share of rows", low=0.0, high=1.0),
            _metric("loss_gap", "Loss gap", False, unit="nats", low=0.0, kind="fairness"),
            _metric("selection_rate", "Share predicted positive", None, unit="share of rows", low=0.0, high=1.0),
            _metric("epsilon", "Privacy budget ε", False, low=0.0, log=True, per_subgroup=False, kind="privacy"),
            _metric("wall_seconds", "Training time", False, unit="s", log=True, per_subgroup=False, kind="cost"),
            _metric("loss_threshold_auc", "Attack AUC", False, low=0.0, high=1.0, kind="attack"),
        ],
    }
    return Catalogue.model_validate({**content, **changes})


def spec(**changes: Any) -> dict[str, Any]:
    """A study of four methods: 1 + 3 x 2 settings, three seeds."""
    private = [{"name": name, "params": {"epsilon": [1, 4]}} for name in ("dp_sgd", "adaptive_dp_sgd", "soft_ada_clip")]
    return {
        "name": "A made-up study",
        "dataset": {"name": "adult", "subgroups": ["sex", "race"]},
        "model": {"name": "mlp"},
        "methods": [{"name": "sgd"}, *private],
        "training": {"epochs": 5},
        "seeds": 3,
        **changes,
    }


#: Added to the loss gap of each method.
EFFECT = {"sgd": 0.0, "dp_sgd": 0.08, "adaptive_dp_sgd": 0.04, "soft_ada_clip": 0.01}


def _clipping(error: float) -> list[Series]:
    """What clipping does to gradients: women keep less of them than men, most of all after the first epoch."""
    steps = [0.0, 1.0, 5.0]
    found = [Series(name="gradient_limit", unit="gradient norm", steps=steps, values=[1.0, 0.8, 0.3])]
    by_name: dict[str, dict[str, list[float | None]]] = {}
    for group, less in {"all": 0.1, "sex=Female": 0.3, "sex=Male": 0.0, "sex=Female & race=Black": 0.35}.items():
        kept: list[float | None] = [0.7 - less / 2 + error, 0.63 - less + error, 0.6 - less / 3 - error]
        values: dict[str, list[float | None]] = {
            "gradient_cosine": [1 - less / 9, 0.99 - less / 9, 0.98],
            "gradient_length_kept": kept,
            "share_clipped_sample": [0.8, 0.7, None],
            "gradient_norm_p05": [0.1, 0.1, 0.01],
            "gradient_norm_p50": [1.0 + less, 0.8, 0.5],
            "gradient_norm_p95": [3.0 + less, 4.0, 6.0],
        }
        for name, course in values.items():
            by_name.setdefault(name, {})[group] = course
    found += [Series(name=name, steps=steps, values=v.pop("all"), groups=v) for name, v in by_name.items()]
    return found


def result(
    config: RunConfig, *, status: Any = "succeeded", degenerate: bool = False, noise: float = 0.002
) -> RunResult:
    """What a run might have left behind: plausible, and the same for the same configuration."""
    rng = np.random.default_rng(zlib.crc32(config.hash().encode()))
    method = config.setting.method.name
    epsilon = config.setting.epsilon()
    if status != "succeeded":
        return RunResult(key=config.key(), status=status, message="The loss became infinite.", wall_seconds=0.5)
    loss = 0.32 + (0.05 / epsilon if epsilon else 0.0) + noise * rng.standard_normal()
    gap = 0.15 + EFFECT.get(method, 0.05) + (0.02 / epsilon if epsilon else 0.0) + noise * rng.standard_normal()
    found: list[Measurement] = []
    for split in ("test", "validation"):
        for i, (subgroup, n) in enumerate(SUBGROUPS.items()):
            at = loss + 0.02 * i
            found += [
                _one("loss", subgroup, split, at, n, 0.01),
                _one("accuracy", subgroup, split, 0.85 - 0.1 * at, n, 0.005),
                _one("selection_rate", subgroup, split, 0.2, n, 0.005),
            ]
        for family, n in (("sex", 3000), ("race", 12)):
            found.append(_one("loss_gap", family, split, gap, n))
    for subgroup, n in SUBGROUPS.items():
        found.append(_one("loss_threshold_auc", subgroup, "test", 0.5 + 0.01 * (epsilon or 4), n, 0.01))
    found += [
        _one("epsilon", "all", "test", epsilon, None),
        _one("wall_seconds", "all", "test", 0.5, None),
    ]
    grid = np.geomspace(1 / 9000, 1, 60)
    rate = np.minimum(1, grid**0.9)
    private = epsilon is not None
    history = [Series(name="train_loss", unit="nats", steps=[1, 2, 3, 4, 5], values=[0.6, 0.5, 0.4, 0.35, loss])]
    if private:
        steps = [1.0, 2.0, 3.0, 4.0, 5.0]
        history.append(Series(name="threshold", unit="gradient norm", steps=steps, values=[1.0, 0.8, 0.5, None, 0.3]))
        history += _clipping(noise * rng.standard_normal())
    return RunResult(
        key=config.key(),
        status="succeeded",
        engine="made-up",
        wall_seconds=0.5,
        degenerate=degenerate,
        measurements=found,
        history=history,
        rocs=[
            Roc(
                attack="loss_threshold",
                subgroup=subgroup,
                fpr=[0.0, *grid.tolist()],
                tpr=[0.0, *rate.tolist()],
                members=3 * n,
                non_members=n,
            )
            for subgroup, n in SUBGROUPS.items()
        ],
    )


def _one(metric: str, subgroup: str, split: Any, value: float | None, n: int | None, half: float = 0.0) -> Measurement:
    low, high = (value - half, value + half) if half and value is not None else (None, None)
    return Measurement(metric=metric, subgroup=subgroup, split=split, value=value, n=n, low=low, high=high)


def measure(database: Database, job_id: str, *, only: int | None = None, finish: bool = True, **how: Any) -> list[str]:
    """Does what a worker would: claims the job, writes results of its runs, ends it. Answers the runs' keys."""
    with database.write() as session:
        attempt = jobs.claim(session, job_id, "worker-1")
        assert attempt is not None
        configs = runs.pending(session, job_id)[:only]
        runs.claim(session, job_id, attempt, [c.key() for c in configs])
    for config in configs:
        chosen = {name: value(config) if callable(value) else value for name, value in how.items()}
        with database.write() as session:
            assert runs.write_result(session, job_id, attempt, result(config, **chosen))
    if finish:
        with database.write() as session:
            jobs.finish(session, job_id, attempt, "succeeded")
    return [config.key() for config in configs]
