"""IDX files, as MNIST and its successors come: a header of sizes, then the values, all big-endian.

The format is described at the end of the MNIST page (LeCun, Cortes and Burges): two zero bytes, a type (8 is unsigned
byte), the number of dimensions, each dimension as 32-bit integer, then the values row by row.
"""

from __future__ import annotations

import hashlib
import math
from pathlib import Path
from typing import Any

import numpy as np

from backend.errors import DataDamaged
from worker.datasets._files import reading

Bytes = np.ndarray[Any, np.dtype[np.uint8]]
UNSIGNED_BYTE = 8


def read_idx(path: Path, dimensions: int, fix: str) -> tuple[Bytes, str]:
    """The values of a file, compressed or not, with so many dimensions; and the SHA-256 of its uncompressed bytes.

    Raises `DataDamaged`: for a wrong magic number, a file that is cut off, and one that goes on after its end.
    """
    with reading(path, fix) as file:
        content = file.read()
    magic = bytes([0, 0, UNSIGNED_BYTE, dimensions])
    if content[:4] != magic:
        found = f"begins with {content[:4].hex(' ')}" if content else "is empty"
        expected = f"{magic.hex(' ')} (IDX, bytes in {dimensions} dimension{'s' if dimensions > 1 else ''})"
        raise DataDamaged(f"{path} {found}; expected {expected}.", fix=fix)
    start = 4 + 4 * dimensions
    if len(content) < start:
        raise DataDamaged(f"{path} is cut off: it ends within its header of {start} bytes.", fix=fix)
    shape = tuple(int(size) for size in np.frombuffer(content, ">u4", dimensions, 4))
    wanted = start + math.prod(shape)
    if len(content) != wanted:
        what = "is cut off" if len(content) < wanted else "is too long"
        sizes = " x ".join(map(str, shape))
        raise DataDamaged(
            f"{path} {what}: it has {len(content):,} bytes; expected {wanted:,} for {sizes} values.", fix=fix
        )
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape), hashlib.sha256(content).hexdigest()
