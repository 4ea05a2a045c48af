"""Fashion-MNIST: which of ten articles of clothing does a small grey image show?"""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path

import numpy as np

from backend.errors import DataDamaged
from worker.datasets._fetch import Download
from worker.datasets._files import Source, Stamp, find, folder_of, stamp
from worker.datasets._idx import read_idx
from worker.datasets._labelled import Bytes, Labelled, LabelledParams
from worker.datasets._table import Domain, Integers

#: Images and labels of both published parts, with the SHA-256 of the uncompressed bytes.
FILES = {
    "train-images-idx3-ubyte": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
    "train-labels-idx1-ubyte": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
    "t10k-images-idx3-ubyte": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
    "t10k-labels-idx1-ubyte": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
}
#: Where Debian's package puts them.
DEBIAN = Path("/usr/share/datasets/fashion-mnist")
ADDRESS = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com"
IMAGE = (1, 28, 28)
CLASSES = (
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
)  # fmt: skip


class FashionMnist(Labelled[LabelledParams]):
    """Both published parts as one set of images; the published division is not kept.

    There are no people in it: the class is the attribute, so that figures of each class can be asked for.
    """

    name = "fashion_mnist"
    title = "Fashion-MNIST"
    summary = "70,000 grey images of clothing, 28 by 28 pixels: which of ten articles does one show?"
    citation = "Xiao, Rasul and Vollgraf 2017, Fashion-MNIST: a novel image dataset, arXiv:1708.07747"
    Params = LabelledParams
    domain = Domain(bounds=(0.0, 1.0), image=IMAGE)
    greatest = 255
    rows = 70_000
    target = "article of clothing"
    licence = "MIT"
    origin = "https://github.com/zalandoresearch/fashion-mnist"
    downloads = tuple(Download(f"{ADDRESS}/{name}.gz", digest, unpacked=True) for name, digest in FILES.items())

    def classes(self, params: LabelledParams) -> tuple[str, ...]:
        """In the order of their numbers."""
        return CLASSES

    def source(self, params: LabelledParams) -> Source:
        """Read and hashed once, as long as the files are the same."""
        return _source(stamp(_paths(), _fix()))

    def read(self, params: LabelledParams) -> tuple[Bytes, Integers]:
        """Training part, then test part."""
        images, labels, _ = _read(_paths())
        return images, labels


def _paths() -> list[Path]:
    return find([folder_of("fashion_mnist"), DEBIAN], list(FILES), _fix())


@lru_cache(maxsize=2)
def _source(files: Stamp) -> Source:
    _, labels, digests = _read([Path(path) for path, _, _ in files])
    digest = hashlib.sha256("".join(digests).encode()).hexdigest()
    return Source(len(labels), digest, digests == list(FILES.values()))


def _read(paths: list[Path]) -> tuple[Bytes, Integers, list[str]]:
    parts, digests = [], []
    for images_path, labels_path in (paths[:2], paths[2:]):
        images, digest = read_idx(images_path, 3, _fix())
        labels, digest_of_labels = read_idx(labels_path, 1, _fix())
        if images.shape[1:] != IMAGE[1:]:
            got = " x ".join(map(str, images.shape[1:]))
            raise DataDamaged(f"{images_path} has images of {got} pixels; expected 28 x 28.", fix=_fix())
        if len(images) != len(labels):
            raise DataDamaged(f"{labels_path} has {len(labels)} labels; expected {len(images)}.", fix=_fix())
        if len(labels) and labels.max() >= len(CLASSES):
            raise DataDamaged(f"{labels_path} has the label {labels.max()}; expected 0 to 9.", fix=_fix())
        parts.append((images.reshape(len(images), -1), labels))
        digests += [digest, digest_of_labels]
    images = np.concatenate([images for images, _ in parts])
    return images, np.concatenate([labels for _, labels in parts]).astype(np.int64), digests


def _fix() -> str:
    names = ", ".join(FILES)
    return (
        f"Install Debian's package dataset-fashion-mnist, run 'equipoise fetch fashion_mnist', or put {names} "
        f"(with .gz or without) into {folder_of('fashion_mnist')}; then start the worker again."
    )


PLUGIN = FashionMnist()
