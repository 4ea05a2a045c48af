"""CIFAR-10: which of ten things does a small photograph show?"""

from __future__ import annotations

from worker.datasets._cifar import Cifar, archive

FOLDER = "cifar-10-batches-py"
#: Files with images and their MD5, as their authors and torchvision state them.
FILES = {
    "data_batch_1": "c99cafc152244af753f735de768cd75f",
    "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
    "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
    "data_batch_4": "634d18415352ddfa80567beed471001a",
    "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
    "test_batch": "40351d587109b95175f43aff81a1287e",
}
SHA256 = "6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce"


class Cifar10(Cifar):
    """60,000 photographs; the class is the attribute, since there are no people in it."""

    name = "cifar10"
    title = "CIFAR-10"
    summary = "60,000 colour photographs of 32 by 32 pixels: which of ten animals and vehicles does one show?"
    citation = "Krizhevsky 2009, Learning multiple layers of features from tiny images, University of Toronto"
    folder = FOLDER
    files = FILES
    labels = "labels"
    names = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
    downloads = archive("cifar-10-python.tar.gz", SHA256, FOLDER, list(FILES))


PLUGIN = Cifar10()
