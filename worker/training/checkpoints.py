"""What a run needs to go on after a crash, kept on disk every few seconds.

A run's draws depend on (key, purpose, step, index) alone, so weights, optimizer, the method's state and the step number
are all there is to keep: a resumed run ends with the same bits as one that was never interrupted.

A checkpoint is one `.npz` file without pickled objects, written beside its final name and renamed: it is there whole or
not at all. One that is damaged, or of another engine, counts as absent: the run starts anew and loses nothing but time.
"""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
import time
import warnings
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

#: Raised where the layout of what is kept changes.
FORMAT = 2
#: Of a run that has trained this long since the last one.
SECONDS = 5.0
#: Files that nobody came back for are removed after this long.
STALE_SECONDS = 7 * 24 * 3600.0

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Snapshot:
    """A run after `step` steps. `arrays` are the engine's own; `facts` is JSON (state, history)."""

    step: int
    seconds: float
    arrays: Mapping[str, Array]
    facts: Mapping[str, Any] = field(default_factory=dict)


class Checkpoints:
    """A folder of checkpoints, one file per run and engine. Processes may share it: each run has one writer."""

    def __init__(self, folder: Path, *, seconds: float = SECONDS) -> None:
        self.folder = folder
        self.seconds = seconds
        self._last: dict[str, float] = {}

    def started(self, key: str) -> None:
        """The run has begun (or gone on): its first checkpoint is due `seconds` from now."""
        self._last[key] = time.monotonic()

    def due(self, key: str) -> bool:
        """Whether it is time for the run's next checkpoint."""
        return time.monotonic() - self._last.get(key, -1e9) >= self.seconds

    def save(self, key: str, engine: str, snapshot: Snapshot) -> None:
        """Keep it. A full disk costs the checkpoint and not the run."""
        self._last[key] = time.monotonic()
        head = {"format": FORMAT, "key": key, "engine": engine, "step": snapshot.step, "seconds": snapshot.seconds}
        text = json.dumps({**head, "facts": snapshot.facts})
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=self.folder, suffix=".tmp", delete=False) as file:
                try:
                    np.savez(file, head=np.frombuffer(text.encode(), np.uint8), **snapshot.arrays)  # type: ignore[arg-type]
                except OSError:
                    os.unlink(file.name)
                    raise
            os.replace(file.name, self._path(key))
        except OSError as error:
            warnings.warn(f"No checkpoint could be written to {self.folder}: {error}.", stacklevel=2)

    def load(self, key: str, engine: str) -> Snapshot | None:
        """The run's last checkpoint by that engine, or None where there is none that can be used."""
        try:
            with self._path(key).open("rb") as file, np.load(file, allow_pickle=False) as stored:
                arrays = {name: stored[name] for name in stored.files}
            head = json.loads(arrays.pop("head").tobytes())
            known = (head["format"], head["key"], head["engine"]) == (FORMAT, key, engine)
            return Snapshot(head["step"], head["seconds"], arrays, head["facts"]) if known else None
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
            warnings.warn(f"A damaged checkpoint of run {key} is left aside: {error}.", stacklevel=2)
            return None

    def discard(self, key: str) -> None:
        """The run's result is safe: its checkpoint is of no more use."""
        self._last.pop(key, None)
        with contextlib.suppress(OSError):
            self._path(key).unlink()

    def tidy(self) -> None:
        """Removes what nobody came back for, such as runs of jobs that were cancelled long ago."""
        for path in self.folder.glob("*"):
            with contextlib.suppress(OSError):
                if time.time() - path.stat().st_mtime > STALE_SECONDS:
                    path.unlink()

    def _path(self, key: str) -> Path:
        return self.folder / f"{key}.npz"
