"""Seconds from the click to the first and to the last point of whole studies, on this machine.

    python -m benchmarks.study                quickstart, and 4 private methods x 6 epsilons x 10 seeds with their
                                      baseline (250 runs), 20 epochs

It starts a server with its worker on an empty folder, submits over HTTP and watches the job as the page does. The
second study of the same shape differs in its learning rate, so nothing of it was measured before.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.e2e._server import Server, running

#: The last is a method of its own: smooth clipping at a threshold that stays.
PRIVATE: list[tuple[str, dict[str, Any]]] = [
    ("dp_sgd", {}),
    ("adaptive_dp_sgd", {}),
    ("soft_ada_clip", {}),
    ("soft_ada_clip", {"adaptive": False, "threshold": 1}),
]
EPSILONS = [0.25, 0.5, 1, 2, 4, 8]


def study(learning_rate: float, seeds: int) -> dict[str, Any]:
    """Four methods at six budgets and one without privacy, all metrics of sex, race and both, and the loss attack."""
    return {
        "name": f"Benchmark, learning rate {learning_rate:g}",
        "dataset": {"name": "adult", "subgroups": ["sex", "race", ["sex", "race"]]},
        "model": {"name": "mlp", "params": {"hidden": [256]}},
        "methods": [{"name": "sgd"}, *({"name": n, "params": {"epsilon": EPSILONS, **p}} for n, p in PRIVATE)],
        "training": {"epochs": 20, "batch_size": 256, "learning_rate": learning_rate},
        "seeds": seeds,
    }


def timed(server: Server, spec: dict[str, Any]) -> dict[str, Any]:
    """Submits and waits; seconds since the submission."""
    started = time.perf_counter()
    job, first = server.submit(spec), None
    while job["status"] in ("queued", "running"):
        time.sleep(0.05)
        job = server.job(job["id"])
        if first is None and job["finished"]:
            first = time.perf_counter() - started
    last = time.perf_counter() - started
    assert job["status"] == "succeeded", job
    return {"runs": job["runs"], "first_point": round(first or last, 2), "last_point": round(last, 2)}


def studies(seeds: int) -> dict[str, Any]:
    """Quickstart, a study, and a changed study, on an empty folder."""
    with tempfile.TemporaryDirectory() as folder, running(Path(folder)) as server:
        time.sleep(3)  # What starts with the worker has settled, as when a person comes to the page.
        preset = next(p for p in server.get("/api/presets")["items"] if p["name"] == "quickstart")
        return {
            "quickstart": timed(server, preset["spec"]),
            "study": timed(server, study(0.1, seeds)),
            "changed study": timed(server, study(0.2, seeds)),
        }


def main() -> None:
    """Prints a table, or JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--seeds", type=int, default=10)
    arguments = parser.parse_args()
    answer = studies(arguments.seeds)
    if arguments.json:
        sys.stdout.write(json.dumps(answer, indent=2) + "\n")
        return
    for name, found in answer.items():
        points = f"first point {found['first_point']:6.2f} s, last {found['last_point']:7.2f} s"
        print(f"{name:14} {found['runs']:4} runs: {points}")


if __name__ == "__main__":
    main()
