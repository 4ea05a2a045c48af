"""Adult: does a person of the 1994 US census earn more than 50,000 dollars a year?"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import numpy as np

from backend.contracts.catalogue import Attribute, DatasetFacts
from backend.errors import DataMissing
from worker.datasets._table import SensitiveAttribute, Table, file_hash, limited, strata_of, train_rows
from worker.plugins import Dataset, Params, param
from worker.training.streams import Purpose, shared_key, words

FILE = Path(__file__).with_name("data") / "adult.parquet"
NUMERIC = ("age", "fnlwgt", "education-num", "capital-gain", "capital-loss", "hours-per-week")
CATEGORICAL = (
    "workclass", "education", "marital-status", "occupation", "relationship", "race", "sex", "native-country",
)  # fmt: skip
#: Columns that are sensitive attributes, or from which one is made.
SENSITIVE = ("age", "race", "sex")
CLASSES = ("<=50K", ">50K")
AGE_EDGES = (30, 45, 60)
AGE_BANDS = ("under 30", "30-44", "45-59", "60 and over")
SEXES = ("Female", "Male")
RACES = ("Amer-Indian-Eskimo", "Asian-Pac-Islander", "Black", "Other", "White")
MISSING = "?"
ALL_ROWS, COMPLETE_ROWS = 48_842, 45_222
#: Rows with `missing` and `balance`: number of groups times the smallest of them. A test counts them in the file.
BALANCED_ROWS = {
    ("drop", "sex"): 2 * 14_695,
    ("category", "sex"): 2 * 16_192,
    ("drop", "race"): 5 * 353,
    ("category", "race"): 5 * 406,
}


class AdultParams(Params):
    """Which rows and columns."""

    sensitive_features: bool = param(
        True,
        "Sensitive attributes as features",
        "Let the model see sex, race and age, as most published work on Adult does. Off: they still form subgroups, "
        "but the model can only infer them from other columns (relationship nearly gives away sex).",
        sweepable=True,
    )
    missing: Literal["drop", "category"] = param(
        "drop",
        "Rows with missing values",
        "Drop them (45,222 rows stay), or keep all 48,842 with missing as a category of its own.",
    )
    fnlwgt: bool = param(
        False,
        "Use the census weight",
        "Keep the column fnlwgt, a sampling weight of the census that says nothing of the person.",
        advanced=True,
    )
    balance: Literal["none", "sex", "race"] = param(
        "none",
        "Balanced groups",
        "Keep of every group only as many rows as the smallest has, drawn before the split: as many women as men "
        "(Esipova et al. 2023), or as many of every race.",
        advanced=True,
    )
    limit: int | None = param(
        None,
        "Row limit",
        "Use a fixed random sample of this many rows, for quick trials. Empty: all rows.",
        unit="rows",
        ge=100,
        le=ALL_ROWS,
        sweepable=True,
        advanced=True,
    )


class Adult(Dataset[AdultParams]):
    """The merged training and test parts of UCI's Adult; the published division is not kept.

    Sensitive attributes are features by default: it is what the literature compares with, and a model without them
    is one parameter away. Splits are stratified by target x sex x race x age band.
    """

    name = "adult"
    title = "Adult (census income)"
    summary = "48,842 people of the 1994 US census: does a person earn more than 50,000 dollars a year?"
    citation = "Becker and Kohavi 1996, Adult, UCI Machine Learning Repository, doi:10.24432/C5XW20"
    Params = AdultParams

    def facts(self, params: AdultParams) -> DatasetFacts:
        """From the file's presence and hash; the rows follow from the parameters."""
        rows = ALL_ROWS if params.missing == "category" else COMPLETE_ROWS
        if params.balance != "none":
            rows = BALANCED_ROWS[params.missing, params.balance]
        rows = rows if params.limit is None else min(rows, params.limit)
        present = FILE.is_file()
        return DatasetFacts(
            available=present,
            unavailable_because=None if present else _help(),
            data_hash=_hash(FILE) if present else None,
            rows=rows,
            train_rows=train_rows(rows),
            task="binary",
            target="earns more than 50,000 dollars a year",
            attributes=[
                Attribute(name="sex", title="Sex", values=list(SEXES)),
                Attribute(name="race", title="Race", values=list(RACES)),
                Attribute(name="age_band", title="Age band", values=list(AGE_BANDS)),
            ],
            licence="CC BY 4.0",
            source="https://doi.org/10.24432/C5XW20",
        )

    def load(self, params: AdultParams) -> Table:
        """Reads the package's file. Raises `DataMissing`."""
        if not FILE.is_file():
            raise DataMissing(f"The file {FILE.name} of the Adult data set is missing.", fix=_help())
        # Here, since most processes find the data prepared. Not `read_table`, nor `to_numpy` below: they import pandas.
        import pyarrow.parquet as pq

        with pq.ParquetFile(FILE, read_dictionary=[*CATEGORICAL, "income"]) as file:
            raw = file.read(use_threads=False)
        numeric = {name: _array(raw.column(name)) for name in NUMERIC}
        coded = {name: _codes(raw.column(name)) for name in (*CATEGORICAL, "income")}
        complete = ~np.any([codes == values.index(MISSING) for codes, values in coded.values() if MISSING in values], 0)
        if params.missing == "drop":
            coded = {name: _occurring(column, complete) for name, column in coded.items()}
        kept = np.flatnonzero(complete) if params.missing == "drop" else np.arange(len(complete))
        if params.balance != "none":
            kept = _balanced_rows(kept, coded[params.balance][0])
        kept = kept[limited(len(kept), params.limit)]

        ages = np.digitize(numeric["age"][kept], AGE_EDGES)
        target, classes = _select(coded["income"], kept)
        sex, sexes = _select(coded["sex"], kept)
        race, races = _select(coded["race"], kept)
        if (classes, sexes, races) != (CLASSES, SEXES, RACES):
            raise DataMissing(f"{FILE.name} does not hold the values expected of Adult.", fix=_help())
        hidden = () if params.sensitive_features else SENSITIVE
        columns = [name for name in NUMERIC if name not in hidden and (name != "fnlwgt" or params.fnlwgt)]
        factors = [name for name in CATEGORICAL if name not in hidden]
        return Table(
            name=self.name,
            task="binary",
            target=target,
            classes=classes,
            numeric=np.stack([numeric[name][kept] for name in columns], axis=1).astype(np.float32),
            numeric_names=tuple(columns),
            **_factors({name: coded[name] for name in factors}, kept),
            attributes={
                "sex": SensitiveAttribute("Sex", sex, sexes),
                "race": SensitiveAttribute("Race", race, races),
                "age_band": SensitiveAttribute("Age band", ages, AGE_BANDS),
            },
            strata=strata_of(target, sex, race, ages),
            data_hash=_hash(FILE),
        )


#: Codes of one column and the values they stand for, in alphabetical order.
Coded = tuple[np.ndarray[Any, Any], tuple[str, ...]]


def _whole(column: Any) -> Any:
    """A column in one piece."""
    return column.combine_chunks() if hasattr(column, "combine_chunks") else column


def _array(column: Any) -> np.ndarray[Any, Any]:
    """A column of numbers without missing ones."""
    whole = _whole(column)
    return np.array(np.from_dlpack(whole))


def _codes(column: Any) -> Coded:
    """Alphabetical codes of a dictionary column, whatever the order in the file."""
    whole = _whole(_whole(column))
    values = np.asarray(whole.dictionary.to_pylist(), dtype=object).astype(str)
    ordered, place = np.unique(values, return_inverse=True)
    return place[_array(whole.indices)].astype(np.int64), tuple(ordered.tolist())


def _occurring(coded: Coded, rows: np.ndarray[Any, Any]) -> Coded:
    """Leave out the values that none of `rows` has, such as "?"; other rows get no meaningful code."""
    codes, values = coded
    present = np.bincount(codes[rows], minlength=len(values)) > 0
    return (np.cumsum(present) - 1)[codes], tuple(v for v, there in zip(values, present, strict=True) if there)


def _select(coded: Coded, kept: np.ndarray[Any, Any]) -> Coded:
    return coded[0][kept], coded[1]


def _balanced_rows(rows: np.ndarray[Any, Any], codes: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Of every group as many of `rows` as the smallest has; the same rows every time. `codes` is of the whole file."""
    drawn = words(shared_key(0), Purpose.SUBSET, 1, len(rows))
    order = rows[np.argsort(drawn, kind="stable")]
    groups = [order[codes[order] == code] for code in np.unique(codes[rows])]
    return np.sort(np.concatenate([group[: min(map(len, groups))] for group in groups]))


def _factors(coded: dict[str, Coded], kept: np.ndarray[Any, Any]) -> dict[str, Any]:
    return {
        "categorical": np.stack([codes[kept] for codes, _ in coded.values()], axis=1).astype(np.int32),
        "categorical_names": tuple(coded),
        "categories": tuple(values for _, values in coded.values()),
    }


@lru_cache(maxsize=1)
def _hash(path: Path) -> str:
    return file_hash(path)


def _help() -> str:
    return f"Reinstall Equipoise, or run scripts/make_adult.py of its source tree, which writes {FILE.name}."


PLUGIN = Adult()
