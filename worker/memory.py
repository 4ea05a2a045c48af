"""How much memory there is on a device, and how processes that train share it out.

What a run takes is estimated before it starts (`Engine.demand`, `evaluation_bytes`), so that too many runs at a time
become fewer, and one that cannot fit becomes a sentence instead of a process that the kernel kills.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

from backend.errors import InvalidRequest

#: Left alone on the host: for the server, the database's writes and whatever else grows meanwhile.
RESERVE = 256 * 2**20
#: Left alone on a GPU: what libraries allocate beside our arrays, and what is lost between blocks.
DEVICE_RESERVE = 512 * 2**20
#: What a process takes that trains anything: pages it no longer shares with its parent, tables, subgroups.
PROCESS_BYTES = 100 * 2**20
#: The same of one that uses a GPU: the driver's and the libraries' share of the host's memory.
DEVICE_PROCESS_BYTES = 2 * 2**30

#: Asks for memory of the host: the least and the most bytes that can be used. Answers how many may be, between the
#: two, or fewer than the least where they are not there however long one waits.
Room = Callable[[int, int], int]


def unlimited(least: int, most: int) -> int:
    """Where nobody counts: a notebook, a test."""
    return max(least, most)


def gpu_number(device: str) -> int | None:
    """N of `cuda:N`, None for `cpu`. Raises `InvalidRequest` for anything else.

    >>> gpu_number("cuda:1"), gpu_number("cpu")
    (1, None)
    """
    if device == "cpu":
        return None
    found = re.fullmatch(r"cuda:(\d{1,3})", device)
    if found is None:
        raise InvalidRequest(f"Expected cpu or cuda:N, got {device!r}.", fix="Use for example --device cuda:0.")
    return int(found.group(1))


def lacking(device: str) -> str:
    """What keeps this machine from training on `device`; empty where nothing does. It initialises CUDA."""
    number = gpu_number(device)
    if number is None:
        return ""
    import torch

    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if number < count:
        return ""
    build = "" if torch.version.cuda or torch.version.hip else ", and this PyTorch is built without CUDA"
    return f"{device} asked for, this machine has {count} GPU{'' if count == 1 else 's'}{build}."


def available(device: str = "cpu") -> int:
    """Bytes that can be taken now without harm to others. On a GPU it initialises CUDA in this process."""
    number = gpu_number(device)
    if number is None:
        return max(0, host_bytes() - RESERVE)
    import torch

    free, _ = torch.cuda.mem_get_info(number)
    # Blocks that torch keeps for reuse look taken to the driver.
    kept = torch.cuda.memory_reserved(number) - torch.cuda.memory_allocated(number)
    return max(0, free + kept - DEVICE_RESERVE)


def host_bytes(root: Path = Path("/")) -> int:
    """Free memory of the host, or of the control groups (containers) that this process is in, whichever is less."""
    free = [_meminfo(root), *_groups(root)]
    return max(0, min(free))


def _meminfo(root: Path) -> int:
    try:
        lines = (root / "proc/meminfo").read_text().splitlines()
        return next(1024 * int(line.split()[1]) for line in lines if line.startswith("MemAvailable:"))
    except (OSError, StopIteration, ValueError):
        # Not Linux: all that is built in, which limits nothing too early.
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _groups(root: Path) -> list[int]:
    """Limit minus usage of every memory group around this process, versions 2 and 1."""
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return []
    free = []
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            base, limit, usage, reclaimable = "sys/fs/cgroup", "memory.max", "memory.current", "inactive_file"
        elif "memory" in controllers.split(","):
            base, limit = "sys/fs/cgroup/memory", "memory.limit_in_bytes"
            usage, reclaimable = "memory.usage_in_bytes", "total_inactive_file"
        else:
            continue
        # In a container the path may be the host's, and its own group is mounted at the base.
        names = [name for name in path.split("/") if name not in ("", "..")]
        for depth in range(len(names), -1, -1):
            found = _group(root.joinpath(base, *names[:depth]), limit, usage, reclaimable)
            free += [] if found is None else [found]
    return free


def _group(folder: Path, limit: str, usage: str, reclaimable: str) -> int | None:
    """None where it has no limit. Files that the kernel keeps in memory and may drop do not count as used."""
    try:
        allowed = (folder / limit).read_text().strip()
        if allowed == "max":
            return None
        stat = dict(line.split()[:2] for line in (folder / "memory.stat").read_text().splitlines())
        used = int((folder / usage).read_text()) - int(stat.get(reclaimable, 0))
        return int(allowed) - max(0, used)
    except (OSError, ValueError):
        return None


class Account:
    """Shares the host's memory out between processes, by what they ask for before they train.

    What is there is measured when nobody holds anything: after that, what was granted and is not yet taken would
    look free.
    """

    def __init__(self, available: Callable[[], int]) -> None:
        self._available = available
        self._total = 0
        self._held: dict[int, int] = {}

    def ask(self, who: int, least: int, most: int, sharers: int) -> int | None:
        """Bytes for `who`, replacing what it held: no more than an even share unless it needs more.

        Less than `least` where that is all there is; None where others hold what it would need.
        """
        self.release(who)
        if not self._held:
            self._total = self._available()
        free = self._total - sum(self._held.values())
        if least > free and self._held:
            return None
        granted = min(free, max(least, min(most, self._total // max(1, sharers))))
        self._held[who] = granted
        return granted

    def release(self, who: int) -> None:
        """It has ended, or is done with its runs."""
        self._held.pop(who, None)


def too_little(needed: int, there: int, place: str) -> str:
    """What is said of a run that does not fit, not even alone.

    >>> too_little(3_210_000_000, 1_100_000_000, "cpu")[:93]
    'Training this run takes about 3.2 GB of memory, and 1.1 GB are free on this machine. Use smal'
    """
    where = "this machine" if place == "cpu" else place
    return (
        f"Training this run takes about {_size(needed)} of memory, and {_size(there)} are free on {where}. "
        "Use smaller batches or a smaller model, or start a worker where there is more memory."
    )


def _size(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 95e6 else f"{count / 1e6:.0f} MB"
