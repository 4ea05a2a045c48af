"""What defences and adversarial training cost beside plain training, in turns on one pinned core.

    python -m benchmarks.defences --json -          CPU time, ratios to plain training, medians over turns

All run in the same engine (torch, one run at a time), so that the ratio is what the method adds and not what another
engine saves. Each turn trains every method once, in an order that moves on from turn to turn; ratios are taken within a
turn. `compiled` is plain training in the compiled engine, for comparison.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from typing import Any

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(variable, "1")

import numpy as np

from backend.contracts.expansion import expand
from backend.contracts.spec import JobSpec
from worker.catalogue import build_catalogue
from worker.measure import prepare
from worker.training.engine import Engine, Work
from worker.training.engines import ENGINES
from worker.training.opacus_trainer import OpacusEngine

#: Name, method, parameters. Half of PAST's epochs are tuning epochs, as 50 after 100 nearly are.
METHODS: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("plain", "sgd", {}),
    ("compiled", "sgd", {}),
    ("l1", "l1", {}),
    ("dropout", "dropout", {}),
    ("label_smoothing", "label_smoothing", {}),
    ("relax_loss", "relax_loss", {}),
    ("ccl", "ccl", {}),
    ("mixup_mmd", "mixup_mmd", {}),
    ("adv_reg", "adv_reg", {}),
    ("past, once", "past", {"recompute": "once", "tuning_epochs": 4}),
    ("past, each epoch", "past", {"recompute": "epoch", "tuning_epochs": 4}),
    ("past, each step", "past", {"recompute": "step", "tuning_epochs": 4}),
    ("pgd, 10 steps", "pgd", {"steps": 10}),
    ("trades, 10 steps", "trades", {"steps": 10}),
)
EPOCHS = 8


def works(dataset: str, model: str, params: dict[str, Any]) -> dict[str, Work]:
    """The same seed of every method, as a worker prepares it."""
    spec = JobSpec.model_validate(
        {
            "dataset": {"name": dataset},
            "model": {"name": model, "params": params},
            "methods": [{"name": method, "params": chosen} for _, method, chosen in METHODS],
            "training": {"epochs": EPOCHS, "batch_size": 128},
            "seeds": 1,
            "evaluation": {"attacks": []},
        }
    )
    found = {}
    for config in expand(spec, build_catalogue(), max_runs=100).configs:
        setting = config.setting.method
        for name, method, chosen in METHODS:
            if method == setting.name and all(setting.params[key] == value for key, value in chosen.items()):
                found[name] = prepare(config).work
    return found


def seconds(engine: Engine, work: Work) -> float:
    """CPU time of one training."""
    began = time.process_time()
    (trained,) = engine.train([work])
    assert trained.diverged is None, trained.diverged
    return time.process_time() - began


def measure(dataset: str, model: str, params: dict[str, Any], turns: int) -> dict[str, Any]:
    """Median ratio to plain training, with quartiles, of each method."""
    runs = works(dataset, model, params)
    engines = {name: ENGINES[0] if name == "compiled" else OpacusEngine() for name in runs}
    names = [name for name in runs if engines[name].refuses(runs[name]) is None]
    for name in names:
        seconds(engines[name], runs[name])
    taken = {name: np.empty(turns) for name in names}
    for turn in range(turns):
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            taken[name][turn] = seconds(engines[name], runs[name])
    steps = runs["plain"].schedule.steps
    return {
        "dataset": dataset,
        "model": model,
        "turns": turns,
        "plain_ms_per_step": round(1e3 * float(np.median(taken["plain"])) / steps, 3),
        "ratios": {
            name: [round(float(q), 3) for q in np.quantile(taken[name] / taken["plain"], (0.5, 0.25, 0.75))]
            for name in names
        },
    }


def main() -> None:
    """Prints a table or JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", metavar="FILE", help="write results as JSON, '-' for standard output")
    parser.add_argument("--turns", type=int, default=9)
    given = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    found = []
    for dataset, model, params in (
        ("mnist_5k", "mlp", {"hidden": [256, 128]}),
        ("mnist_5k", "cnn", {}),
    ):
        found.append(measure(dataset, model, params, given.turns))
        shown = found[-1]
        print(f"{dataset}, {model}: plain {shown['plain_ms_per_step']:.2f} ms a step", file=sys.stderr)
        for name, (middle, low, high) in shown["ratios"].items():
            print(f"  {name:>18} {middle:7.2f} times (quartiles {low:.2f} to {high:.2f})", file=sys.stderr)
    if given.json == "-":
        print(json.dumps(found, indent=2))
    elif given.json:
        with open(given.json, "w", encoding="utf-8") as file:
            json.dump(found, file, indent=2)


if __name__ == "__main__":
    main()
