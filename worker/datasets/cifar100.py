"""CIFAR-100: which of a hundred things does a small photograph show?"""

from __future__ import annotations

from worker.datasets._cifar import Cifar, archive

FOLDER = "cifar-100-python"
#: Files with images and their MD5, as their authors and torchvision state them.
FILES = {"train": "16019d7e3df5f24257cddd939b257f8d", "test": "f0ef6b0ae62326f3e7ffdfab6717acfc"}
SHA256 = "85cd44d02ba6437773c5bbd22e183051d648de2e7d6b014e1ef29b855ba677a7"
CLASSES = (
    "apple", "aquarium fish", "baby", "bear", "beaver", "bed", "bee", "beetle", "bicycle", "bottle", "bowl", "boy",
    "bridge", "bus", "butterfly", "camel", "can", "castle", "caterpillar", "cattle", "chair", "chimpanzee", "clock",
    "cloud", "cockroach", "couch", "crab", "crocodile", "cup", "dinosaur", "dolphin", "elephant", "flatfish", "forest",
    "fox", "girl", "hamster", "house", "kangaroo", "keyboard", "lamp", "lawn mower", "leopard", "lion", "lizard",
    "lobster", "man", "maple tree", "motorcycle", "mountain", "mouse", "mushroom", "oak tree", "orange", "orchid",
    "otter", "palm tree", "pear", "pickup truck", "pine tree", "plain", "plate", "poppy", "porcupine", "possum",
    "rabbit", "raccoon", "ray", "road", "rocket", "rose", "sea", "seal", "shark", "shrew", "skunk", "skyscraper",
    "snail", "snake", "spider", "squirrel", "streetcar", "sunflower", "sweet pepper", "table", "tank", "telephone",
    "television", "tiger", "tractor", "train", "trout", "tulip", "turtle", "wardrobe", "whale", "willow tree", "wolf",
    "woman", "worm",
)  # fmt: skip


class Cifar100(Cifar):
    """60,000 photographs with the finer of their two labels; the class is the attribute."""

    name = "cifar100"
    title = "CIFAR-100"
    summary = "60,000 colour photographs of 32 by 32 pixels: which of a hundred things does one show?"
    citation = "Krizhevsky 2009, Learning multiple layers of features from tiny images, University of Toronto"
    folder = FOLDER
    files = FILES
    labels = "fine_labels"
    names = CLASSES
    downloads = archive("cifar-100-python.tar.gz", SHA256, FOLDER, list(FILES))


PLUGIN = Cifar100()
