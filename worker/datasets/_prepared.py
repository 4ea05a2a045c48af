"""A dataset, split and encoded for one seed: made once per machine, mapped by every process after that.

With a cache folder the arrays lie in `cache_dir/data/<hash>/`, one .npy file each, and processes that train share one
copy in the page cache. The hash covers the data, the dataset's code and parameters, the seed and the engine's code. A
folder is written under another name and renamed, so that readers see all of it or nothing; each array is checked when
it is opened, and a damaged folder is made anew. Without a cache folder, or where it cannot be written, everything
stays in memory.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import time
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, cast
from weakref import WeakValueDictionary

import numpy as np

from backend.contracts.runs import canonical_hash
from backend.logs import get_logger
from worker.datasets._table import Domain, SensitiveAttribute, Table, Task
from worker.metrics._groups import Groups
from worker.registry import engine_version, registry
from worker.training.clipping import Sample
from worker.training.engine import Examples
from worker.training.streams import Purpose, shared_key, words

log = get_logger(__name__)

Array = np.ndarray[Any, Any]
Part = Literal["train", "validation", "test", "candidates"]
PARTS = ("train", "validation", "test")
ARRAYS = ("rows", "numeric", "active", "target")
#: What the folder may hold, in bytes; the least recently used data go first. Larger data stay in memory.
LIMIT = 2_000_000_000
#: A larger table is not kept in memory between seeds: loading it takes less than storing what is made of it.
KEPT_BYTES = 100_000_000
#: A folder half-written for this long is nobody's any more.
ABANDONED_SECONDS = 3600.0


@dataclass(frozen=True, eq=False)
class Data:
    """A dataset as the runs of one seed see it."""

    task: Task
    #: Columns of the features, and outputs that a model needs.
    inputs: int
    outputs: int
    data_hash: str
    #: Of all rows of the table, which `rows` of the parts number.
    attributes: Mapping[str, SensitiveAttribute]
    domain: Domain
    train: Examples
    validation: Examples
    test: Examples
    #: Rows that a defence may know beside its own, see `with_inference_set`.
    inference: Examples | None = None
    _groups: dict[tuple[object, ...], Groups] = field(default_factory=dict, compare=False, repr=False)
    _samples: dict[tuple[object, ...], Sample] = field(default_factory=dict, compare=False, repr=False)
    _halved: dict[int, Data] = field(default_factory=dict, compare=False, repr=False)

    @classmethod
    def of(cls, table: Table, seed: int) -> Data:
        """Split and encode."""
        split = table.split(seed)
        encoded = table.encode(split.train)
        train, validation, test = (Examples.of(table, encoded, r) for r in (split.train, split.validation, split.test))
        described = (table.task, encoded.inputs, table.outputs, table.data_hash, table.attributes, table.domain)
        return cls(*described, train, validation, test)

    def with_inference_set(self, seed: int) -> Data:
        """As a run sees the data whose method needs rows beside its own: half of the validation rows, at random.

        They are neither members nor candidates of an attack, and what remains of the validation rows is what settings
        are chosen by and what attacks take for the population. The halves depend on the seed alone.
        """
        if seed not in self._halved:
            rows = len(self.validation)
            drawn = words(shared_key(seed), Purpose.INFERENCE_SET, 0, 2 * rows)
            order = np.lexsort((drawn[1::2], drawn[0::2]))
            kept, taken = (np.sort(half) for half in (order[: (rows + 1) // 2], order[(rows + 1) // 2 :]))
            self._halved[seed] = replace(
                self, validation=self.validation.at(kept), inference=self.validation.at(taken), _groups={}, _halved={}
            )
        return self._halved[seed]

    @property
    def parts(self) -> list[Examples]:
        """All rows of the table, part by part; no row is in two."""
        parts = [self.train, self.validation, self.test]
        return parts if self.inference is None else [*parts, self.inference]

    def sample(self, choices: Sequence[Sequence[str]], seed: int) -> Sample:
        """Training rows through which clipping is looked at, with these subgroups; found once for all runs."""
        key = tuple(map(tuple, choices))
        if key not in self._samples:
            rows = self.train.rows
            self._samples[key] = Sample.draw(
                self.train, lambda places: Groups.of(self.attributes, choices, rows[places]), shared_key(seed)
            )
        return self._samples[key]

    def groups(self, part: Part, choices: Sequence[Sequence[str]]) -> Groups:
        """Subgroups of a part, found once for all runs; an attack's candidates are training rows, then test rows."""
        key = (part, *map(tuple, choices))
        if key not in self._groups:
            rows = {
                "train": self.train.rows,
                "validation": self.validation.rows,
                "test": self.test.rows,
                "candidates": np.concatenate([self.train.rows, self.test.rows]),
            }[part]
            self._groups[key] = Groups.of(self.attributes, choices, rows)
        return self._groups[key]


_IN_USE: WeakValueDictionary[tuple[str, str, int, Path | None], Data] = WeakValueDictionary()


@lru_cache(maxsize=4)
def prepared_data(name: str, params: str, seed: int, cache_dir: Path | None = None) -> Data:
    """The dataset `name` with `params` (JSON), as runs of this seed see it. Raises `DataMissing`.

    One object for as long as any run uses it, so that runs of many seeds in one fleet still share their data.
    """
    key = (name, params, seed, cache_dir)
    data = _IN_USE.get(key)
    if data is None:
        data = _IN_USE[key] = _prepared(*key)
    return data


def _prepared(name: str, params: str, seed: int, cache_dir: Path | None) -> Data:
    found = registry().find("dataset", name)
    data_hash = found.plugin.facts(found.plugin.Params.model_validate(json.loads(params))).data_hash
    if cache_dir is None or data_hash is None:
        return _made(name, params, seed)
    identity = {
        "data": data_hash,
        "dataset": [name, found.version, params],
        "seed": seed,
        "engine": engine_version(),
        "numpy": np.__version__,
    }
    folder = cache_dir / "data" / canonical_hash(identity)[:32]
    kept = _opened(folder, data_hash)
    if kept is not None:
        return kept
    data = _made(name, params, seed)
    if data.data_hash != data_hash or not _stored(data, folder):
        return data
    del data  # Before it is mapped: for a moment there would be two of it.
    return _opened(folder, data_hash) or _made(name, params, seed)


def _made(name: str, params: str, seed: int) -> Data:
    table = load_table(name, params)
    if table.numeric.nbytes > KEPT_BYTES:
        load_table.cache_clear()
    return Data.of(table, seed)


@lru_cache(maxsize=1)
def load_table(name: str, params: str) -> Table:
    """One load per process for all seeds that have to be prepared; a large table is not kept for them."""
    plugin = registry().find("dataset", name).plugin
    table: Table = plugin.load(plugin.Params.model_validate(json.loads(params)))
    return table


def _arrays(data: Data) -> dict[str, Array]:
    arrays = {f"{part}.{array}": getattr(getattr(data, part), array) for part in PARTS for array in ARRAYS}
    return arrays | {f"attribute.{name}": attribute.codes for name, attribute in data.attributes.items()}


def _opened(folder: Path, data_hash: str) -> Data | None:
    """The data in a folder, mapped; None where it is not there or not whole.

    Pages are mapped copy-on-write: they are shared, nothing that a process does to its arrays reaches the file or
    another process, and compiled kernels see the ordinary arrays that they were compiled for.
    """
    try:
        about = json.loads((folder / "about.json").read_text(encoding="utf-8"))
        arrays = {name: _mapped(folder / f"{name}.npy", mark) for name, mark in about["arrays"].items()}
        inputs = int(about["inputs"])
        train, validation, test = (
            Examples(rows, inputs, numeric, active, target)
            for rows, numeric, active, target in ([arrays[f"{part}.{one}"] for one in ARRAYS] for part in PARTS)
        )
        attributes = {
            name: SensitiveAttribute(title, arrays[f"attribute.{name}"], tuple(labels))
            for name, title, labels in about["attributes"]
        }
        domain = Domain(*(None if one is None else tuple(one) for one in about["domain"]))
        os.utime(folder)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        log.warning("prepared data are damaged and made anew", folder=str(folder), reason=str(error))
        return None
    described = (cast(Task, about["task"]), inputs, int(about["outputs"]), data_hash, attributes, domain)
    return Data(*described, train, validation, test)


def _mapped(path: Path, mark: list[Any]) -> Array:
    if path.stat().st_size == 0:
        raise ValueError(f"{path.name} is empty")
    array = np.asarray(np.load(path, mmap_mode="c", allow_pickle=False))
    if _mark(array) != mark:
        raise ValueError(f"{path.name} is not what was written")
    return array


def _mark(array: Array) -> list[Any]:
    """What an array is recognised by."""
    content = memoryview(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
    return [array.dtype.str, list(array.shape), zlib.crc32(content)]


def _stored(data: Data, folder: Path) -> bool:
    """Writes the folder, whole or not at all, and removes what has not been used for longest."""
    arrays = {name: np.ascontiguousarray(array) for name, array in _arrays(data).items()}
    if sum(array.nbytes for array in arrays.values()) > LIMIT:
        return False
    about = {
        "task": data.task,
        "inputs": data.inputs,
        "outputs": data.outputs,
        "domain": [data.domain.bounds, data.domain.image],
        "attributes": [[name, one.title, list(one.labels)] for name, one in data.attributes.items()],
        "arrays": {name: _mark(array) for name, array in arrays.items()},
    }
    temporary = None
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=".", dir=folder.parent))
        for name, array in arrays.items():
            np.save(temporary / f"{name}.npy", array, allow_pickle=False)
        (temporary / "about.json").write_text(json.dumps(about), encoding="utf-8")
        _placed(temporary, folder)
        _pruned(folder.parent, keep=folder)
    except OSError as error:
        log.warning("prepared data cannot be kept and stay in memory", folder=str(folder), reason=str(error))
        return False
    finally:
        if temporary is not None:
            shutil.rmtree(temporary, ignore_errors=True)
    return True


def _placed(temporary: Path, folder: Path) -> None:
    """Gives the folder its name, unless another process was as fast; what is there and damaged makes way."""
    temporary.chmod(0o755)
    for last in (False, True):
        try:
            temporary.rename(folder)
            return
        except OSError:
            if last or not folder.exists():
                raise
            if _opened(folder, "") is not None:
                return
            _removed(folder)


def _removed(folder: Path) -> None:
    """Renames first, so that nobody opens it meanwhile. Whoever has its files mapped goes on reading them."""
    doomed = Path(tempfile.mkdtemp(prefix=".", dir=folder.parent))
    try:
        folder.rename(doomed / "removed")
    except FileNotFoundError:
        pass
    finally:
        shutil.rmtree(doomed, ignore_errors=True)


def _pruned(parent: Path, keep: Path) -> None:
    """Keeps within `LIMIT`, and clears away what a process that died left half-written."""
    found = []
    for folder in parent.iterdir():
        try:
            used = folder.stat().st_mtime
            size = sum(file.stat().st_size for file in folder.iterdir())
        except (FileNotFoundError, NotADirectoryError):
            continue
        if folder.name.startswith("."):
            if time.time() - used > ABANDONED_SECONDS:
                shutil.rmtree(folder, ignore_errors=True)
        else:
            found.append((folder != keep, used, size, folder))
    total = sum(size for _, _, size, _ in found)
    for others, _, size, folder in sorted(found, key=lambda one: one[1]):
        if total <= LIMIT:
            return
        if others:
            _removed(folder)
            total -= size
