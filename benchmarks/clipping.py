"""What looking at clipping costs: training of private runs on Adult with it and without, in turns.

    python -m benchmarks.clipping --json -          one pinned core, CPU time, medians over turns

Runs are those of a study with default settings but for the network: `sex`, `race` and both together, DP-SGD. Each
turn trains the same run twice, with looking and without, and the order changes from turn to turn. Ratios are taken
within a turn, and their median is printed with its quartiles, so that a machine whose speed drifts favours nobody.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from dataclasses import replace
from typing import Any

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(variable, "1")

import numpy as np

from backend.contracts.expansion import expand
from backend.contracts.spec import JobSpec
from worker.catalogue import build_catalogue
from worker.measure import prepare
from worker.training.clipping import times
from worker.training.engine import Work
from worker.training.fleet.cpu import FleetEngine

CHOICES = [["sex"], ["race"], ["sex", "race"]]
#: Hidden units, with how many turns keep the benchmark short.
NETWORKS = (([64], 60), ([256], 25), ([256, 128], 12))


def works(hidden: list[int], method: str, seeds: int) -> list[Work]:
    """One run per seed, as a worker prepares it."""
    spec = JobSpec.model_validate(
        {
            "dataset": {"name": "adult", "subgroups": CHOICES},
            "model": {"name": "mlp", "params": {"hidden": hidden}},
            "methods": [{"name": method}],
            "seeds": seeds,
        }
    )
    return [prepare(config).work for config in expand(spec, build_catalogue(), max_runs=seeds).configs]


def seconds(work: Work) -> float:
    """CPU time of one training."""
    began = time.process_time()
    (trained,) = FleetEngine().train([work])
    assert trained.diverged is None
    return time.process_time() - began


def measure(hidden: list[int], turns: int, method: str) -> dict[str, Any]:
    """Medians of both ways, and of their ratio."""
    runs = works(hidden, method, 3)
    pairs = [(run, replace(run, sample=None)) for run in runs]
    for pair in pairs:
        for work in pair:
            seconds(work)
    taken = np.empty((turns, 2))
    for turn in range(turns):
        for way in (0, 1) if turn // len(pairs) % 2 else (1, 0):
            taken[turn, way] = seconds(pairs[turn % len(pairs)][way])
    ratios = taken[:, 0] / taken[:, 1]
    sample = runs[0].sample
    assert sample is not None
    return {
        "hidden": hidden,
        "method": method,
        "looks": len(times(runs[0].training.epochs)),
        "rows": len(sample),
        "groups": len(sample.names),
        "without_ms": round(1e3 * float(np.median(taken[:, 1])), 2),
        "cost_percent": round(100 * float(np.median(ratios) - 1), 2),
        "quartiles_percent": [round(100 * float(q - 1), 2) for q in np.quantile(ratios, (0.25, 0.75))],
    }


def main() -> None:
    """Prints a table or JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", metavar="FILE", help="write results as JSON, '-' for standard output")
    parser.add_argument("--methods", nargs="+", default=["dp_sgd"])
    parser.add_argument("--turns", type=float, default=1.0, help="times as many turns as usual")
    given = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    found = []
    for method in given.methods:
        for hidden, turns in NETWORKS:
            found.append(measure(hidden, max(2, round(turns * given.turns)), method))
            shown = found[-1]
            low, high = shown["quartiles_percent"]
            print(
                f"{method} {'-'.join(map(str, hidden)):>8}: {shown['without_ms']:7.1f} ms without, "
                f"{shown['cost_percent']:5.1f} % more with {shown['looks']} looks at {shown['rows']} rows, "
                f"{shown['groups']} groups (quartiles {low:.1f} to {high:.1f})",
                file=sys.stderr,
            )
    if given.json == "-":
        print(json.dumps(found, indent=2))
    elif given.json:
        with open(given.json, "w", encoding="utf-8") as file:
            json.dump(found, file, indent=2)


if __name__ == "__main__":
    main()
