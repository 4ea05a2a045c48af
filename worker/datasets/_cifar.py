"""CIFAR-10 and CIFAR-100 in the layout of their authors, which torchvision uses too: pickles of numpy arrays.

A pickle can run code. This reader knows only how arrays of plain numbers are put together again and refuses
everything else by name before it happens.
"""

from __future__ import annotations

import hashlib
import pickle
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO, ClassVar

import numpy as np

from backend.errors import DataDamaged
from worker.datasets._fetch import Download
from worker.datasets._files import Source, Stamp, find, folder_of, reading, stamp
from worker.datasets._labelled import Bytes, Labelled, LabelledParams
from worker.datasets._table import Domain, Integers

IMAGE = (3, 32, 32)
ADDRESS = "https://www.cs.toronto.edu/~kriz"
#: Types that the arrays of such files have: bytes, integers and truth values of any size.
NUMBERS = frozenset({"b1", "u1", "u2", "u4", "u8", "i1", "i2", "i4", "i8"})


class Cifar(Labelled[LabelledParams]):
    """Images of 32 by 32 pixels in three colours; both published parts as one set."""

    Params = LabelledParams
    domain = Domain(bounds=(0.0, 1.0), image=IMAGE)
    greatest = 255
    rows = 60_000
    target = "what the image shows"
    licence = "none stated; free use with citation"
    origin = "https://www.cs.toronto.edu/~kriz/cifar.html"
    #: Folder, files with their MD5 as published, and the key of the labels in them.
    folder: ClassVar[str]
    files: ClassVar[Mapping[str, str]]
    labels: ClassVar[str]

    @property
    @abstractmethod
    def names(self) -> tuple[str, ...]:
        """Of the classes, by number."""

    def classes(self, params: LabelledParams) -> tuple[str, ...]:
        """In the order of their numbers."""
        return self.names

    def source(self, params: LabelledParams) -> Source:
        """Read and hashed once, as long as the files are the same."""
        fix = self._fix()
        return _source(stamp(self._paths(), fix), self.labels, len(self.names), tuple(self.files.values()), fix)

    def read(self, params: LabelledParams) -> tuple[Bytes, Integers]:
        """Training part, then test part; channel by channel, row by row."""
        parts = [_batch(path, self.labels, len(self.names), self._fix())[:2] for path in self._paths()]
        return np.concatenate([images for images, _ in parts]), np.concatenate([labels for _, labels in parts])

    def _paths(self) -> list[Path]:
        """The files lie in the dataset's folder, in the archive's folder within it, or in that beside it."""
        own = folder_of(self.name)
        return find([own / self.folder, own, own.parent / self.folder], list(self.files), self._fix())

    def _fix(self) -> str:
        return (
            f"Run 'equipoise fetch {self.name}', or put the folder {self.folder} (with {', '.join(self.files)}) into "
            f"{folder_of(self.name)}; then start the worker again."
        )


def archive(name: str, sha256: str, folder: str, files: Sequence[str]) -> tuple[Download, ...]:
    """The authors' archive, of which the files with images are kept."""
    return (Download(f"{ADDRESS}/{name}", sha256, members=tuple(f"{folder}/{file}" for file in files)),)


@lru_cache(maxsize=4)
def _source(files: Stamp, key: str, classes: int, published: tuple[str, ...], fix: str) -> Source:
    rows, digest, sums = 0, hashlib.sha256(), []
    for path, _, _ in files:
        _, labels, content = _batch(Path(path), key, classes, fix)
        rows += len(labels)
        digest.update(hashlib.sha256(content).digest())
        # What the authors published; it tells files apart and protects nothing.
        sums.append(hashlib.md5(content, usedforsecurity=False).hexdigest())
    return Source(rows, digest.hexdigest(), tuple(sums) == published)


def _batch(path: Path, key: str, classes: int, fix: str) -> tuple[Bytes, Integers, bytes]:
    """Images `[rows, 3072]`, class numbers, and the file's bytes. Raises `DataDamaged`."""
    with reading(path, fix) as file:
        content = file.read()
    found = unpickle(content, path, fix)
    if not isinstance(found, dict) or not {"data", key} <= set(found):
        raise DataDamaged(f"{path} has no entries 'data' and {key!r}.", fix=fix)
    images, labels = found["data"], found[key]
    inputs = int(np.prod(IMAGE))
    if not isinstance(images, np.ndarray) or images.dtype != np.uint8 or images.shape[1:] != (inputs,):
        what = f"{images.dtype} {images.shape}" if isinstance(images, np.ndarray) else type(images).__name__
        raise DataDamaged(f"{path} has {what} as 'data'; expected bytes, images x {inputs}.", fix=fix)
    numbers = isinstance(labels, list) and all(isinstance(one, int) and 0 <= one < classes for one in labels)
    if not numbers or len(labels) != len(images):
        raise DataDamaged(
            f"{path} has no label from 0 to {classes - 1} for each of its {len(images):,} images in {key!r}.", fix=fix
        )
    return images, np.array(labels, np.int64), content


def unpickle(content: bytes, path: Path, fix: str) -> Any:
    """What a pickle of dicts, lists, text, numbers and arrays of numbers holds. Raises `DataDamaged` for any other."""
    import io

    try:
        return _Numbers(io.BytesIO(content)).load()
    except _Refused as error:
        raise DataDamaged(
            f"{path} asks for {error}, which data have no need of: it was not opened any further.",
            fix=f"Do not use this file. {fix}",
        ) from error
    except Exception as error:
        raise DataDamaged(f"{path} is damaged: it cannot be read as a pickle ({error}).", fix=fix) from error


class _Refused(Exception):
    """A name that data have no need of."""


class _Numbers(pickle.Unpickler):
    """Knows the few functions by which numpy's arrays of numbers come out of a pickle, in versions of its own."""

    def __init__(self, file: BinaryIO) -> None:
        # Written by Python 2: text comes as bytes of Latin-1.
        super().__init__(file, encoding="latin1")

    def find_class(self, module: str, name: str) -> Any:
        """Never an attribute of a module."""
        known = _KNOWN.get((module.replace("numpy._core", "numpy.core"), name))
        if known is None:
            raise _Refused(f"{module}.{name}")
        return known

    def persistent_load(self, pid: Any) -> Any:
        """Data refer to nothing outside."""
        raise _Refused("an object outside of the file")


class _ArrayType:
    """Stands for numpy.ndarray: only passed on, never called."""


def _dtype(code: Any, *_: Any) -> np.dtype[Any]:
    text = code if isinstance(code, str) else ""
    if text.lstrip("<>|=") not in NUMBERS:
        raise _Refused(f"an array of {code!r}")
    # A copy, since what follows in the pickle sets the order of its bytes.
    return np.dtype(text, False, True)


def _empty(kind: Any, shape: Any, code: Any) -> np.ndarray[Any, Any]:
    """What the pickle then fills."""
    if kind is not _ArrayType:
        raise _Refused(f"an array of the kind {kind!r}")
    return np.empty(0, np.uint8)


def _from_buffer(buffer: Any, dtype: Any, shape: Any, order: Any) -> np.ndarray[Any, Any]:
    if not isinstance(dtype, np.dtype):
        raise _Refused(f"an array of {dtype!r}")
    return np.frombuffer(buffer, dtype).reshape(shape, order=order)


def _latin1(text: Any, encoding: Any = "latin1", *_: Any) -> bytes:
    if not isinstance(text, str) or encoding != "latin1":
        raise _Refused(f"the encoding {encoding!r}")
    return text.encode("latin1")


_KNOWN: dict[tuple[str, str], type | Callable[..., Any]] = {
    ("numpy", "ndarray"): _ArrayType,
    ("numpy", "dtype"): _dtype,
    ("numpy.core.multiarray", "_reconstruct"): _empty,
    ("numpy.core.numeric", "_frombuffer"): _from_buffer,
    ("_codecs", "encode"): _latin1,
}
