"""Seconds to train the shadow models of one attack: ours beside plain PyTorch and Opacus, one model after the other.

    python -m benchmarks.attacks --json -        64 models x 20 epochs on Adult-shaped rows, one core

Ours trains `--ours` models whole without privacy and with it; the others take `--steps` steps per round, and what all
models would take is extrapolated from those, for both alike. Rounds are interleaved in one process, and the median of
the ratios within a round is reported. PyTorch is compared with ours without privacy, Opacus with ours with it.
Encoding, answers for all rows and the attack itself are in none of the figures.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

from benchmarks.training import ROWS, Steps, opacus, plain_sgd, work
from worker.training.fleet.cpu import FleetEngine

HIDDEN, BATCH = [64], 256


def _seconds(action: Callable[[], object]) -> float:
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def _ours(method: str, models: int, epochs: int) -> float:
    """Seconds per model, trained whole."""
    works = [work(HIDDEN, BATCH, sparse=True, method=method, seed=seed, epochs=epochs) for seed in range(models)]
    return _seconds(lambda: list(FleetEngine().train(works))) / models


def measure(models: int, epochs: int, ours: int, steps: int, rounds: int) -> dict[str, Any]:
    """Medians over rounds: seconds for all models, and how many times as long the others take."""
    whole = epochs * ROWS // BATCH
    contenders: dict[str, tuple[str, Steps]] = {
        "pytorch": ("sgd", plain_sgd(HIDDEN, BATCH)),
        "opacus": ("dp_sgd", opacus(HIDDEN, BATCH, ghost=False)),
    }
    for method, contender in contenders.values():
        _ours(method, 1, 1)
        contender(0, 5)
    found: dict[str, list[float]] = {}
    for _ in range(rounds):
        for name, (method, contender) in contenders.items():
            mine = _ours(method, ours, epochs)
            theirs = _seconds(lambda run=contender: run(0, steps)) / steps * whole  # type: ignore[misc]
            for key, value in (
                (f"ours_{method}", mine * models),
                (name, theirs * models),
                (f"{name}_ratio", theirs / mine),
            ):
                found.setdefault(key, []).append(value)
    return {
        "models": models,
        "epochs": epochs,
        "rows": ROWS,
        "extrapolated_from": {"ours_models": ours, "others_steps": steps, "rounds": rounds},
        **{key: round(statistics.median(values), 3) for key, values in found.items()},
    }


def main() -> None:
    """Prints a sentence per contender, and JSON to a file or `-`."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=int, default=64)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--ours", type=int, default=4, help="Models that ours trains whole in each round.")
    parser.add_argument("--steps", type=int, default=150, help="Steps of the others in each round.")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", metavar="FILE")
    options = parser.parse_args()
    found = measure(options.models, options.epochs, options.ours, options.steps, options.rounds)
    if options.json == "-":
        json.dump(found, sys.stdout, indent=2)
        print()
        return
    for name, method in (("pytorch", "sgd"), ("opacus", "dp_sgd")):
        print(f"{name}: {found[name]:.0f} s, ours {found[f'ours_{method}']:.1f} s, ratio {found[f'{name}_ratio']:.1f}")
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump(found, file, indent=2)


if __name__ == "__main__":
    main()
