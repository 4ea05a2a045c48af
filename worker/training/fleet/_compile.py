"""How the kernels are compiled, and the numbers and tuples that they and their callers share."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numba
import numpy as np
from numba import njit

from worker.training import streams

f32 = np.float32

#: Columns of `meta`, one row per layer.
INPUTS, PADDED, OUTPUTS, STRIDE, WEIGHTS, BIAS, H, Z, D, NARROW, LOGICAL = range(11)
RELU, TANH, GELU = range(3)
CROSS_ENTROPY, SQUARED_ERROR = range(2)
SGD, ADAM, ADAMW = range(3)
#: Up to this many numeric columns the first layer takes them one by one; beyond, as a product of matrices.
FEW_COLUMNS = 16


class Rows(NamedTuple):
    """The training rows. `pool` lists those that may be drawn.

    `numeric` and `active` are flat: `columns` numbers a row and `hot` one-hot columns, by the number of the input.
    """

    pool: Any
    numeric: Any
    columns: Any
    active: Any
    hot: Any
    squares: Any
    labels: Any
    values: Any


class Network(NamedTuple):
    """Weights, the sum of scaled gradients and the optimizer's two moments, all in one layout; see `layout.py`."""

    meta: Any
    weights: Any
    sums: Any
    first: Any
    second: Any


class Buffers(NamedTuple):
    """What one step works in. The length of `norms`, `ones`, `losses` and the squares is the capacity.

    The last four are empty but in audits: `added` joins the sum at `places` of the weights, where `before` keeps what
    the rows alone had made of it, and `noisy`, laid out as the weights are, receives the sum with its noise.
    """

    work: Any
    x: Any
    turned: Any
    zeros: Any
    noise: Any
    batch: Any
    norms: Any
    ones: Any
    losses: Any
    logits: Any
    errors: Any
    input_squares: Any
    error_squares: Any
    codes: Any
    registers: Any
    places: Any
    added: Any
    before: Any
    noisy: Any


class Rules(NamedTuple):
    """What stays the same over all steps of a run. `inverse_batch` is 1 / expected batch size."""

    activation: Any
    loss: Any
    optimizer: Any
    momentum: Any
    decay: Any
    inverse_batch: Any
    log_keep: Any
    mask0: Any
    mask1: Any
    own0: Any
    own1: Any


# Without `nnan` and `ninf`, which would let the compiler hide a run that diverges.
FAST = {"contract", "reassoc", "nsz", "arcp"}
# Inlined before anything is compiled: of a function that several others call, the compiler would keep several
# versions that differ in the last bit, and which one runs would depend on whether it was compiled now or loaded.
inlined: Any = njit(nogil=True, fastmath=FAST, boundscheck=False, inline="always")


def compiled(function: Callable[..., Any]) -> Any:
    """A kernel whose machine code is kept on disk.

    Numba looks at the file of the function alone when it asks whether kept code is still good, and everything that is
    inlined lies in other files. So the folder is named after all of them.
    """
    settings: Any = numba.config  # made at run time, unknown to type checkers
    before = settings.CACHE_DIR
    settings.CACHE_DIR = str(folder())
    try:
        return njit(nogil=True, cache=True, fastmath=FAST, boundscheck=False)(function)
    finally:
        settings.CACHE_DIR = before


def folder() -> Path:
    """Where kernels of this very code are kept."""
    here = Path(__file__).parent
    sources = [*sorted(here.glob("_*.py")), Path(str(streams.__file__))]
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()[:12]
    asked, caches = os.environ.get("NUMBA_CACHE_DIR"), os.environ.get("XDG_CACHE_HOME")
    home = Path(caches or Path.home() / ".cache") / "equipoise"
    beside = here / "__pycache__" if os.access(here, os.W_OK) else home
    return (Path(asked) if asked else beside) / f"kernels-{digest}"
