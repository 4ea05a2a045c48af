"""Downloads of published data sets, checked before anything is put in its place."""

from __future__ import annotations

import gzip
import hashlib
import shutil
import tarfile
import tempfile
import urllib.request
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from urllib.parse import urlsplit

from backend.errors import JobFailed

#: Without an answer for this long a download is given up.
SECONDS = 30.0
BLOCK = 1 << 20


@dataclass(frozen=True)
class Download:
    """One file of the network and the hash that it must have."""

    url: str
    #: SHA-256: of the bytes, or of what they unpack to (gzip), which is the same however they were compressed.
    sha256: str
    unpacked: bool = False
    #: Of an archive, the files to take out, under the names that they have in it; nothing else is.
    members: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Of the file."""
        return urlsplit(self.url).path.rpartition("/")[2]


def fetch(
    downloads: Sequence[Download], folder: Path, base: str | None = None, say: Callable[[str], None] = lambda line: None
) -> list[Path]:
    """Downloads into `folder` what is there, whole and checked, or nothing; answers the files written.

    `base` is the address of a copy: a folder that has files of the same names. Raises `JobFailed`.
    """
    written: list[Path] = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".", dir=folder) as temporary:
            places = []
            for one in downloads:
                url = one.url if base is None else f"{base.rstrip('/')}/{one.name}"
                say(f"Fetching {url}")
                file = Path(temporary) / one.name
                _download(url, file)
                _check(one, url, file)
                places += (
                    [(file, folder / one.name)] if not one.members else _unpack(one, file, Path(temporary), folder)
                )
            for made, place in places:
                place.parent.mkdir(parents=True, exist_ok=True)
                made.replace(place)
                written.append(place)
    except OSError as error:
        raise JobFailed(
            f"Nothing can be written to {folder}: {error.strerror or error}.", fix=_by_hand(folder)
        ) from error
    return written


def _download(url: str, file: Path) -> None:
    if urlsplit(url).scheme not in ("http", "https", "file"):
        raise JobFailed(f"{url} cannot be fetched.", fix="Name an address that begins with http, https or file.")
    try:
        # What comes is checked against a known hash before it is used.
        with urllib.request.urlopen(url, timeout=SECONDS) as answer, file.open("wb") as out:
            shutil.copyfileobj(answer, out, BLOCK)
    except (OSError, HTTPException) as error:
        reason = getattr(error, "reason", None) or error
        raise JobFailed(f"{url} could not be fetched: {reason}.", fix="Check the network, or name a copy.") from error


def _check(one: Download, url: str, file: Path) -> None:
    digest = hashlib.sha256()
    try:
        with gzip.open(file) if one.unpacked else file.open("rb") as content:
            while block := content.read(BLOCK):
                digest.update(block)
    except (OSError, EOFError, zlib.error) as error:
        raise JobFailed(f"What {url} answered cannot be unpacked: {error}.", fix="Fetch it again.") from error
    if digest.hexdigest() != one.sha256:
        raise JobFailed(
            f"What {url} answered has SHA-256 {digest.hexdigest()}; expected {one.sha256}. Nothing was kept.",
            fix="Fetch it again, or from another copy.",
        )


def _unpack(one: Download, archive: Path, temporary: Path, folder: Path) -> list[tuple[Path, Path]]:
    """Only the members that are asked for, each as a plain file."""
    places = []
    with tarfile.open(archive) as tar:
        for number, member in enumerate(one.members):
            made = temporary / f"{number}.unpacked"
            # A file or a link to one: its hash says that the archive is the published one, which has them all.
            content = tar.extractfile(member)
            assert content is not None
            with content, made.open("wb") as out:
                shutil.copyfileobj(content, out, BLOCK)
            places.append((made, folder / member))
    return places


def _by_hand(folder: Path) -> str:
    return f"Make {folder} a folder that this account may write to, or name another one in EQUIPOISE_DATASETS_DIR."
