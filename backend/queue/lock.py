"""One process at a time under a fixed worker id."""

from __future__ import annotations

import os
from pathlib import Path
from types import TracebackType

from backend.errors import Conflict


class WorkerLock:
    """Held on a file in the data folder for as long as the process lives; the kernel lets go of it in any case.

    Two workers under one id would each take the other's running jobs for its own leftovers.
    """

    def __init__(self, data_dir: Path, worker_id: str) -> None:
        self.path = data_dir / f"worker-{worker_id}.lock"
        self._file: int | None = None

    def acquire(self) -> None:
        """Takes the lock or raises `Conflict` with who holds it."""
        import fcntl

        self.path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.read(descriptor, 32).decode(errors="replace").strip() or "unknown"
            os.close(descriptor)
            raise Conflict(
                f"Another worker (process {holder}) already works on {self.path.parent}.",
                fix="Stop it first, or give this one its own folder with --data-dir.",
            ) from error
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, str(os.getpid()).encode(), 0)
        self._file = descriptor

    def release(self) -> None:
        """Lets go; the file stays, so that there is never a moment with two of them."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def __enter__(self) -> WorkerLock:
        self.acquire()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()
