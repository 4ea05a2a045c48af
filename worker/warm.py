"""Compiles the kernels, so that nobody waits for it later: `python -m worker.warm`, which set-up runs."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np

from worker.execute import cores
from worker.metrics._predictions import Groups
from worker.metrics._ranking import rank
from worker.registry import registry
from worker.testing import toy_table, toy_work
from worker.training.clipping import Sample
from worker.training.engine import Work
from worker.training.engines import ENGINES
from worker.training.secure import HAS_NUMBA
from worker.training.streams import shared_key


def _work(**training: Any) -> Work:
    return toy_work(registry().find("method", "dp_sgd").plugin, epochs=1, **training)


def _train(work: Work) -> None:
    for _ in ENGINES[0].train([work]):
        pass


def many_steps() -> None:
    """Whole trainings of recorded methods, and predictions."""
    _train(_work())


def half_steps() -> None:
    """Steps between which a method's own code is called, and looks at clipping."""
    work, table = _work(noise_source="system"), toy_table()
    sample = Sample.draw(work.train, lambda rows: Groups.of(table.attributes, [["sex"]], rows), shared_key(0))
    _train(replace(work, sample=sample))


def ranks() -> None:
    """What attacks and AUROC stand on."""
    table = toy_table(20)
    groups = Groups.of(table.attributes, [["sex"]], np.arange(20))
    rank(np.arange(20.0)[None, :], table.target == 1, groups)


#: The longest first: they are compiled side by side.
PARTS: tuple[Callable[[], None], ...] = (many_steps, half_steps, ranks)


def warm() -> None:
    """Calls every kernel once; the compiled code is kept on disk for this machine's processor."""
    with ProcessPoolExecutor(min(cores(), len(PARTS))) as pool:
        for done in [pool.submit(part) for part in PARTS]:
            done.result()
    _tidy()


def _tidy() -> None:
    """Removes kernels of code that is no longer there."""
    if HAS_NUMBA:
        from worker.training.fleet._compile import folder

        for other in folder().parent.glob("kernels-*"):
            if other != folder():
                shutil.rmtree(other, ignore_errors=True)


if __name__ == "__main__":
    started = time.perf_counter()
    warm()
    done = "Kernels are compiled" if HAS_NUMBA else "Without Numba there is nothing to compile"
    sys.stderr.write(f"{done} ({time.perf_counter() - started:.1f} s).\n")
