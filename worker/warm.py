"""Compiles the kernels, so that nobody waits for it later: `python -m worker.warm`, which set-up runs."""

from __future__ import annotations

import sys
import time

import numpy as np

from backend.contracts.training import Training
from worker.plugins import NoParams
from worker.privacy.accounting import Schedule
from worker.registry import registry
from worker.training.engine import Examples, Work
from worker.training.engines import ENGINES
from worker.training.secure import HAS_NUMBA
from worker.training.streams import Streams


def warm() -> None:
    """Trains two tiny networks; the compiled code is kept on disk for this machine's processor."""
    rng = np.random.default_rng(0)
    rows = np.arange(64)
    numeric = rng.normal(size=(64, 3)).astype(np.float32)
    active = (3 + rng.integers(0, 4, (64, 1))).astype(np.int32)
    dense = np.zeros((64, 7), np.float32)
    examples = Examples(rows, dense, numeric, active, rng.integers(0, 2, 64))
    model = registry().find("model", "mlp").plugin
    work = Work(
        key="warm",
        streams=Streams.of(0, "warm"),
        task="binary",
        inputs=7,
        outputs=2,
        model=model,
        model_params=model.Params(hidden=[8, 8]),
        method=registry().find("method", "sgd").plugin,
        method_params=NoParams(),
        training=Training(epochs=1, batch_size=16),
        schedule=Schedule.of(64, 16, 1),
        budget=None,
        train=examples,
        validation=examples,
    )
    for _ in ENGINES[0].train([work]):
        pass


if __name__ == "__main__":
    started = time.perf_counter()
    warm()
    done = "Kernels are compiled" if HAS_NUMBA else "Without Numba there is nothing to compile"
    sys.stderr.write(f"{done} ({time.perf_counter() - started:.1f} s).\n")
