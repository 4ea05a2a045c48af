"""Small files in the formats of published data sets, made by tests."""

import gzip
import pickle
import struct

import numpy as np


def idx(values):
    """An IDX file's bytes."""
    values = np.asarray(values, np.uint8)
    return struct.pack(f">HBB{values.ndim}I", 0, 8, values.ndim, *values.shape) + values.tobytes()


def fashion(folder, rows=(60, 20), packed=True, seed=0):
    """The four files of Fashion-MNIST with so many rows; answers images and labels."""
    random = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    images, labels = [], []
    for part, count in zip(("train", "t10k"), rows, strict=True):
        images.append(random.integers(0, 256, (count, 28, 28), dtype=np.uint8))
        labels.append((np.arange(count) % 10).astype(np.uint8))
        for kind, values in (("images-idx3", images[-1]), ("labels-idx1", labels[-1])):
            content = idx(values)
            name = f"{part}-{kind}-ubyte" + (".gz" if packed else "")
            (folder / name).write_bytes(gzip.compress(content) if packed else content)
    return np.concatenate(images), np.concatenate(labels)


def cifar(folder, names, key, classes, rows=30, seed=0, dump=lambda found: pickle.dumps(found, protocol=2)):
    """Batches of CIFAR; answers images `[rows, 3072]` and labels."""
    random = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    images, labels = [], []
    for name in names:
        images.append(random.integers(0, 256, (rows, 3072), dtype=np.uint8))
        labels.append(random.integers(0, classes, rows).tolist())
        (folder / name).write_bytes(dump({"data": images[-1], key: labels[-1], "batch_label": name}))
    return np.concatenate(images), np.concatenate(labels)


def python2_pickle(found):
    """As Python 2 wrote it: text and arrays are byte strings. Written out opcode by opcode."""
    images, labels = found["data"], found["labels"]
    raw = images.tobytes()
    rows, columns = images.shape
    return b"".join(
        [
            b"\x80\x02}q\x01(U\x04dataq\x02",
            b"cnumpy.core.multiarray\n_reconstruct\nq\x03cnumpy\nndarray\nq\x04K\x00\x85U\x01b\x87Rq\x05",
            b"(K\x01" + b"J" + struct.pack("<i", rows) + b"J" + struct.pack("<i", columns) + b"\x86",
            b"cnumpy\ndtype\nq\x06U\x02u1K\x00K\x01\x87Rq\x07(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb",
            b"\x89T" + struct.pack("<i", len(raw)) + raw + b"tb",
            b"U\x06labelsq\x08](" + b"".join(b"K" + bytes([label]) for label in labels) + b"e",
            b"u.",
        ]
    )


def bits(path, rows=50, columns=600, classes=100, seed=0, label=True):
    """A table of bits as CSV; answers bits and labels from 1."""
    random = np.random.default_rng(seed)
    values, labels = random.integers(0, 2, (rows, columns)), np.arange(rows) % classes + 1
    lines = [",".join(map(str, ([c] if label else []) + row)) for c, row in zip(labels, values.tolist(), strict=True)]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n")
    return values, labels
