"""Equipoise's worker: trains, evaluates and attacks. It stands on backend.contracts, .store and .queue."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path


def _separate_compiled_code() -> None:
    """Keeps compiled kernels apart by the code they were compiled from.

    Numba looks at the file of the function it compiled and not at the files that this function calls into: after a
    change of `streams.py` it would go on running the old code inside the kernels. Where the folder cannot be written,
    numba takes one of the user's.
    """
    here = Path(__file__).parent
    compiled = [here / "training" / "streams.py", *sorted((here / "training" / "fleet").glob("_*.py"))]
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in compiled)).hexdigest()[:12]
    os.environ.setdefault("NUMBA_CACHE_DIR", str(here / "__pycache__" / f"kernels-{digest}"))


_separate_compiled_code()
