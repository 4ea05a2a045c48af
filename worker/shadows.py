"""Shadow models: the models of an attacker who trains as the target was trained, on other splits of the same table.

A shadow of a setting is a run of that setting (method, parameters, sigma and epochs alike; its attacks and subgroups
left out) with a seed from a range of its own. Its split is another one: the rows of its training part are IN, all
others are OUT. So one set of shadows serves every seed of a setting, every attack and every later job.

Of each shadow the answers for all rows of the table are kept, `[rows, outputs]` float32, and the rows it was trained
on, as bits, in `cache_dir/shadows/<hash of the setting>/<number>.npy`. A file holds both arrays and a checksum, is
renamed into place, and is made anew where it is damaged. The settings used least recently go first. Without
a cache folder, or where it cannot be written, shadows stay in memory.
"""

from __future__ import annotations

import io
import os
import tempfile
import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from backend.contracts.results import RunResult
from backend.contracts.runs import RunConfig, Setting
from backend.logs import get_logger
from worker.attacks._target import Shadows
from worker.datasets._prepared import _pruned
from worker.registry import registry
from worker.training.engine import Trained

log = get_logger(__name__)

Array = np.ndarray[Any, Any]
#: Seeds of shadows begin here: above those that a study can ask for.
FIRST_SEED = 2**31
#: Seeds that are kept for shadows.
MOST = 4096


def is_shadow(config: RunConfig) -> bool:
    """Whether a run is a shadow of its setting."""
    return FIRST_SEED <= config.seed < FIRST_SEED + MOST


def wanted(setting: Setting) -> int:
    """How many shadows the attacks of a setting ask for: the largest number of any."""
    attacks = ((registry().find("attack", part.name).plugin, part.params) for part in setting.attacks)
    return max((attack.references(attack.Params.model_validate(params)) for attack, params in attacks), default=0)


def bare(setting: Setting) -> Setting:
    """The setting that its shadows have: what is measured afterwards does not matter to them."""
    return setting.model_copy(update={"attacks": [], "subgroups": []})


@dataclass(frozen=True, eq=False)
class References:
    """Shadows of one setting: `logits[models, rows, outputs]` of the whole table, `members[models, rows]`."""

    logits: Array
    members: Array
    left_out: int

    def of(self, rows: Array) -> Shadows:
        """As they see some rows of the table."""
        if not len(self.logits):
            return Shadows(np.zeros((0, len(rows), 1), np.float32), np.zeros((0, len(rows)), bool), self.left_out)
        return Shadows(self.logits[:, rows], self.members[:, rows], self.left_out)


class Store:
    """Keeps the shadows of one setting. Several processes may share its folder."""

    def __init__(self, setting: Setting, cache_dir: Path | None) -> None:
        self._setting = bare(setting)
        self._folder = None if cache_dir is None else cache_dir / "shadows" / self._setting.hash()[:32]
        self._memory: dict[int, tuple[Array, Array]] = {}
        #: Diverged or failed, with the reason.
        self._left_out: dict[int, str] = {}

    def missing(self, count: int) -> list[RunConfig]:
        """Those of the first `count` shadows that were not trained yet. One that failed before gets another chance."""
        there = set(self._memory) | set(self._left_out)
        if self._folder is not None and self._folder.is_dir():
            there |= {int(file.stem) for file in self._folder.iterdir() if file.suffix in (".npy", ".diverged")}
        return [self.config(number) for number in range(count) if number not in there]

    def config(self, number: int) -> RunConfig:
        """The run that a shadow is."""
        return RunConfig(setting=self._setting, seed=FIRST_SEED + number)

    def keep(self, seed: int, logits: Array, members: Array) -> None:
        """A shadow's answers for all rows, and which of them it was trained on."""
        number = seed - FIRST_SEED
        body = io.BytesIO()
        np.save(body, np.asarray(logits, np.float32), allow_pickle=False)
        np.save(body, np.packbits(members), allow_pickle=False)
        content = body.getvalue()
        if not self._write(f"{number:04d}.npy", content + zlib.crc32(content).to_bytes(4, "big")):
            self._memory[number] = np.asarray(logits, np.float32), np.asarray(members, bool)

    def leave_out(self, seed: int, reason: str, *, for_good: bool) -> None:
        """A shadow that diverged (for good: it would again) or failed (this time)."""
        number = seed - FIRST_SEED
        if not self._write(f"{number:04d}.{'diverged' if for_good else 'failed'}", reason.encode()):
            self._left_out[number] = reason

    def load(self, count: int) -> References | None:
        """The first `count` shadows less those that diverged or failed; None where any was not trained yet."""
        found, left_out = [], 0
        for number in range(count):
            one = self._memory.get(number) or self._read(number)
            if one is not None:
                found.append(one)
            elif number in self._left_out or self._marked(number):
                left_out += 1
            else:
                return None
        if self._folder is not None and self._folder.is_dir():
            os.utime(self._folder)
        if not found:
            return References(np.zeros((0, 0, 0), np.float32), np.zeros((0, 0), bool), left_out)
        return References(np.stack([one[0] for one in found]), np.stack([one[1] for one in found]), left_out)

    def _marked(self, number: int) -> bool:
        folder = self._folder
        return folder is not None and any((folder / f"{number:04d}.{mark}").exists() for mark in ("diverged", "failed"))

    def _read(self, number: int) -> tuple[Array, Array] | None:
        if self._folder is None:
            return None
        file = self._folder / f"{number:04d}.npy"
        try:
            content = file.read_bytes()
            if zlib.crc32(content[:-4]).to_bytes(4, "big") != content[-4:]:
                raise ValueError("it is not what was written")
            body = io.BytesIO(content[:-4])
            logits, bits = np.load(body, allow_pickle=False), np.load(body, allow_pickle=False)
            return logits, np.unpackbits(bits, count=len(logits)).astype(bool)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, EOFError) as error:
            log.warning("a shadow model is damaged and trained anew", file=str(file), reason=str(error))
            file.unlink(missing_ok=True)
            return None

    def _write(self, name: str, content: bytes) -> bool:
        folder, temporary = self._folder, None
        if folder is None:
            return False
        try:
            folder.mkdir(parents=True, exist_ok=True)
            handle, temporary = tempfile.mkstemp(prefix=".", dir=folder)
            with os.fdopen(handle, "wb") as file:
                file.write(content)
            os.replace(temporary, folder / name)
            _pruned(folder.parent, keep=folder)
        except OSError as error:
            log.warning("a shadow model cannot be kept and stays in memory", folder=str(folder), reason=str(error))
            if temporary is not None:
                Path(temporary).unlink(missing_ok=True)
            return False
        return True


@lru_cache(maxsize=2)
def _store(setting: str, cache_dir: Path | None) -> Store:
    return Store(Setting.model_validate_json(setting), cache_dir)


def store(setting: Setting, cache_dir: Path | None) -> Store:
    """Of a setting; the same object for its last users, so that what stays in memory is found again."""
    return _store(bare(setting).model_dump_json(), cache_dir)


def keep(config: RunConfig, data: Any, trained: Trained, cache_dir: Path | None) -> RunResult:
    """Stores what a trained shadow says of every row of the table; the result says only how it went."""
    to = store(config.setting, cache_dir)
    if trained.diverged is not None:
        to.leave_out(config.seed, trained.diverged, for_good=True)
        return RunResult(key=config.key(), status="diverged", message=trained.diverged)
    rows = np.concatenate([part.rows for part in data.parts])
    logits = np.empty((len(rows), data.outputs), np.float32)
    logits[rows] = np.concatenate([trained.logits(part) for part in data.parts])
    members = np.zeros(len(rows), bool)
    members[data.train.rows] = True
    to.keep(config.seed, logits, members)
    return RunResult(key=config.key(), status="succeeded", engine=trained.engine, wall_seconds=trained.seconds)


def failed(config: RunConfig, message: str, cache_dir: Path | None) -> None:
    """Notes that a shadow could not be trained this time."""
    store(config.setting, cache_dir).leave_out(config.seed, message, for_good=False)


@lru_cache(maxsize=2)
def _loaded(setting: str, count: int, cache_dir: Path | None) -> References:
    found = _store(setting, cache_dir).load(count)
    if found is None:
        raise LookupError
    return found


def references(
    setting: Setting, cache_dir: Path | None, train: Callable[[Sequence[RunConfig]], Iterable[RunResult]]
) -> References | None:
    """The shadows that a setting's attacks ask for, or None where they ask for none.

    What nobody trained before, or is damaged, is trained here.
    """
    count = wanted(setting)
    if not count:
        return None
    name = bare(setting).model_dump_json()
    try:
        return _loaded(name, count, cache_dir)
    except LookupError:
        pass
    kept = _store(name, cache_dir)
    kept.load(count)  # removes what is damaged
    by_key = {config.key(): config for config in kept.missing(count) if not kept._marked(config.seed - FIRST_SEED)}
    for result in train(list(by_key.values())):
        if result.status == "failed":
            failed(by_key[result.key], result.message or "", cache_dir)
    return _loaded(name, count, cache_dir)


def stages(configs: Sequence[RunConfig], cache_dir: Path | None) -> list[tuple[list[RunConfig], list[RunConfig]]]:
    """Which shadows to train before which runs: none, then setting by setting, so that points appear as these end."""
    plain: list[RunConfig] = []
    counts: dict[str, int] = {}
    settings: dict[str, list[RunConfig]] = {}
    names: dict[int, str] = {}
    for config in configs:
        name = names.get(id(config.setting))
        if name is None:
            count = wanted(config.setting)
            name = names[id(config.setting)] = bare(config.setting).model_dump_json() if count else ""
            counts[name] = max(count, counts.get(name, 0))
        (settings.setdefault(name, []) if name else plain).append(config)
    first: list[tuple[list[RunConfig], list[RunConfig]]] = [([], plain)] if plain else []
    return first + [(_store(name, cache_dir).missing(counts[name]), runs) for name, runs in settings.items()]
