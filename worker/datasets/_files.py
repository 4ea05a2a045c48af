"""Files of data sets that people provide: where they lie, how they are read, and what is said where they cannot be."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from backend.errors import DataDamaged, DataMissing
from backend.settings import get_settings


@dataclass(frozen=True)
class Source:
    """What is known of a dataset's files before they are loaded."""

    rows: int
    #: SHA-256 of their contents, uncompressed.
    digest: str
    #: Whether they are the published files, byte for byte; None where nobody knows those.
    published: bool | None = None


#: Path, size and time of change of some files: what is known of them holds as long as these are the same.
Stamp = tuple[tuple[str, int, int], ...]


def folder_of(name: str) -> Path:
    """Where the files of the dataset `name` are looked for."""
    return get_settings().datasets() / name


def find(folders: Sequence[Path], names: Sequence[str], fix: str) -> list[Path]:
    """The files `names`, each as it is or with `.gz` added, all from the first folder that has any of them.

    Raises `DataMissing`, which names the first that is not there, or `DataDamaged` for a folder that is none.
    """
    for folder in folders:
        with _explained(folder, fix):
            is_file = folder.exists() and not folder.is_dir()
            found = {name: [p for p in (folder / name, folder / f"{name}.gz") if _exists(p)] for name in names}
        if is_file:
            raise DataDamaged(f"{folder} is a file; expected a folder.", fix=fix)
        if any(found.values()):
            for name, paths in found.items():
                if not paths:
                    raise DataMissing(f"{folder} has no file {name}.", fix=fix)
            return [paths[0] for paths in found.values()]
    raise DataMissing(f"{folders[0]} has no file {names[0]}.", fix=fix)


def find_one(folder: Path, names: Sequence[str], fix: str) -> Path:
    """The first of the files `names` that is there. Raises as `find` does, with the first of the names."""
    with _explained(folder, fix):
        there = [name for name in names if _exists(folder / name) or _exists(folder / f"{name}.gz")]
    (path,) = find([folder], there[:1] or names[:1], fix)
    return path


def _exists(path: Path) -> bool:
    """Also of a link that leads nowhere: reading it says so."""
    return path.is_symlink() or path.exists()


def stamp(paths: Sequence[Path], fix: str) -> Stamp:
    """Of these files. Raises `DataDamaged` for one that is not a file or cannot be reached."""
    stamps = []
    for path in paths:
        with _explained(path, fix):
            about = path.stat()
        if not path.is_file():
            raise DataDamaged(f"{path} is a folder; expected a file.", fix=fix)
        stamps.append((str(path), about.st_size, about.st_mtime_ns))
    return tuple(stamps)


@contextmanager
def reading(path: Path, fix: str) -> Iterator[BinaryIO]:
    """The file's bytes, uncompressed. What goes wrong becomes `DataDamaged` with the path and the reason."""
    with _explained(path, fix), path.open("rb") as raw:
        packed = raw.read(2) == b"\x1f\x8b"
        raw.seek(0)
        if not packed:
            yield raw
            return
        with gzip.open(raw, "rb") as unpacked:
            yield cast(BinaryIO, unpacked)


@contextmanager
def _explained(path: Path, fix: str) -> Iterator[None]:
    try:
        yield
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataDamaged(f"{path} is damaged: it cannot be unpacked ({error}).", fix=fix) from error
    except OSError as error:
        raise DataDamaged(f"{path} cannot be read: {error.strerror or error}.", fix=fix) from error
