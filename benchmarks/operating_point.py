"""Milliseconds to judge 100,000 settings under 10 constraints, on this machine.

    python -m benchmarks.operating_point                3 seeds each; 6 means, 2 interval ends, 2 shares of seeds

`verdicts` is what a moved slider needs once effective values are known; `whole` begins with the numbers of all runs.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable

import numpy as np

from backend.analysis import operating_point as op


def best(work: Callable[[], object], times: int = 7) -> float:
    """Median milliseconds."""
    found = []
    for _ in range(times):
        started = time.perf_counter()
        work()
        found.append(1000 * (time.perf_counter() - started))
    return round(float(np.median(found)), 1)


def measure(settings: int, seeds: int) -> dict[str, float]:
    """Medians by what is done."""
    rng = np.random.default_rng(0)
    sizes = np.full(settings, seeds, dtype=np.int64)
    place = np.repeat(np.arange(settings), seeds)
    starts = np.arange(settings, dtype=np.int64) * seeds
    blocks = op.Blocks(starts, sizes, place, np.tile(np.arange(seeds), settings), np.zeros(len(place), dtype=bool))
    kinds: tuple[op.Judge, ...] = ("mean", "mean", "mean", "mean", "mean", "mean", "sure", "sure", "share", "share")
    limits = [op.Limit(i % 2 == 0, 0.5 + (0.3 if i % 2 == 0 else -0.3), k, 0.9) for i, k in enumerate(kinds)]
    columns = [rng.random(len(place)) for _ in limits]
    out = np.zeros(settings, dtype=bool)

    def effective() -> np.ndarray:
        return np.stack([op.effective(v, blocks, k)[0] for v, k in zip(columns, limits, strict=True)], axis=1)

    known = effective()
    return {
        "verdicts": best(lambda: op.judge(known, limits, out)),
        "effective values": best(effective),
        "joint seeds": best(lambda: op.jointly(columns, limits, blocks)),
        "whole": best(lambda: (op.judge(effective(), limits, out), op.jointly(columns, limits, blocks))),
    }


def main() -> None:
    """Prints a table, or JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--settings", type=int, default=100_000)
    parser.add_argument("--seeds", type=int, default=3)
    arguments = parser.parse_args()
    answer = measure(arguments.settings, arguments.seeds)
    if arguments.json:
        sys.stdout.write(json.dumps(answer, indent=2) + "\n")
        return
    for name, found in answer.items():
        sys.stdout.write(f"{name:20} {found:8.1f} ms\n")


if __name__ == "__main__":
    main()
