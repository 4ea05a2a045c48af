"""Adult as it is shipped; splitting and encoding any table."""

import hashlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.errors import DataMissing
from worker.datasets import adult
from worker.datasets._table import strata_of, train_rows
from worker.datasets.adult import PLUGIN, AdultParams
from worker.testing import toy_table


@pytest.fixture(scope="module")
def table():
    return PLUGIN.load(AdultParams())


def test_adult_has_the_published_counts(table):
    assert table.rows == 45_222
    sex = table.attributes["sex"]
    women = sex.codes == sex.labels.index("Female")
    assert women.sum() == 14_695
    assert (~women).sum() == 30_527
    assert table.target[women].mean() == pytest.approx(0.114, abs=5e-4)
    assert table.target[~women].mean() == pytest.approx(0.312, abs=5e-4)
    assert table.classes == ("<=50K", ">50K")
    assert table.data_hash == hashlib.sha256(adult.FILE.read_bytes()).hexdigest()
    assert adult.FILE.with_name("NOTICE").read_text().count("CC BY 4.0")


def test_adult_keeps_rows_with_missing_values_as_a_category_when_asked():
    whole = PLUGIN.load(AdultParams(missing="category"))
    assert whole.rows == 48_842
    assert whole.target.sum() == 11_687
    assert "?" in whole.categories[whole.categorical_names.index("workclass")]


@pytest.mark.parametrize("missing", ["drop", "category"])
@pytest.mark.parametrize("balance", ["sex", "race"])
def test_adult_balanced_has_groups_of_one_size_and_the_stated_rows(missing, balance):
    params = AdultParams(missing=missing, balance=balance)
    table = PLUGIN.load(params)
    assert len(set(np.bincount(table.attributes[balance].codes))) == 1
    assert table.rows == PLUGIN.facts(params).rows
    assert len(table.split(0).train) == PLUGIN.facts(params).train_rows
    assert np.array_equal(table.numeric, PLUGIN.load(params).numeric)


def test_adult_categories_all_occur(table):
    for column, values in enumerate(table.categories):
        assert "?" not in values
        assert set(table.categorical[:, column]) == set(range(len(values)))


def test_adult_without_sensitive_features_still_has_subgroups():
    table = PLUGIN.load(AdultParams(sensitive_features=False, limit=500))
    assert not {"age", "sex", "race"} & {*table.numeric_names, *table.categorical_names}
    assert set(table.attributes) == {"sex", "race", "age_band"}
    assert table.rows == 500


def test_adult_columns_follow_the_parameters(table):
    assert "fnlwgt" not in table.numeric_names
    assert "fnlwgt" in PLUGIN.load(AdultParams(fnlwgt=True, limit=500)).numeric_names


def test_age_bands_follow_the_age(table):
    ages = table.numeric[:, table.numeric_names.index("age")]
    band = table.attributes["age_band"]
    assert ages[band.codes == band.labels.index("30-44")].min() == 30
    assert ages[band.codes == band.labels.index("30-44")].max() == 44
    assert ages[band.codes == band.labels.index("under 30")].max() == 29


def test_missing_file_says_what_to_do(monkeypatch, tmp_path):
    monkeypatch.setattr(adult, "FILE", tmp_path / "adult.parquet")
    with pytest.raises(DataMissing) as error:
        PLUGIN.load(AdultParams())
    assert "make_adult" in error.value.sentence()
    facts = PLUGIN.facts(AdultParams())
    assert not facts.available
    assert "Reinstall" in facts.unavailable_because


def test_split_is_stratified_and_the_same_whatever_the_subgroups(table):
    split = table.split(3)
    parts = (split.train, split.validation, split.test)
    assert np.array_equal(np.sort(np.concatenate(parts)), np.arange(table.rows))
    assert len(split.train) == train_rows(table.rows) == PLUGIN.facts(AdultParams()).train_rows
    sex, race = table.attributes["sex"].codes, table.attributes["race"].codes
    for cell in np.unique(strata_of(table.target, sex, race, table.attributes["age_band"].codes)):
        rows = np.flatnonzero(table.strata == cell)
        for part, share in zip(parts, (0.6, 0.2, 0.2), strict=True):
            assert abs(np.isin(rows, part).sum() - share * len(rows)) <= 2
    again = table.split(3)
    assert all(np.array_equal(a, b) for a, b in zip(parts, (again.train, again.validation, again.test), strict=True))
    assert not np.array_equal(split.train, table.split(4).train)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 300), st.integers(0, 1000))
def test_split_of_any_table_is_a_partition_of_the_stated_sizes(rows, seed):
    split = toy_table(rows).split(seed)
    everything = np.concatenate([split.train, split.validation, split.test])
    assert sorted(everything) == list(range(rows))
    assert len(split.train) == train_rows(rows)


def test_every_row_is_tested_about_as_often():
    table = toy_table(200)
    tested = np.zeros(200)
    for seed in range(300):
        tested[table.split(seed).test] += 1
    assert tested.min() > 30
    assert tested.max() < 95


def test_encoding_standardises_with_training_rows_and_agrees_with_its_sparse_form(table):
    split = table.split(0)
    encoded = table.encode(split.train)
    k = len(table.numeric_names)
    train = encoded.dense[split.train]
    assert train[:, :k].mean(axis=0, dtype=np.float64) == pytest.approx(0, abs=1e-5)
    assert train[:, :k].std(axis=0, dtype=np.float64) == pytest.approx(1, abs=1e-5)
    assert np.all(encoded.dense[:, k:].sum(axis=1) == len(table.categories))
    sparse = np.zeros_like(encoded.dense)
    sparse[:, :k] = encoded.numeric
    for row, columns in enumerate(encoded.active):
        sparse[row, columns] = 1
    assert np.array_equal(sparse, encoded.dense)
    column = encoded.names.index("sex=Female")
    assert np.array_equal(encoded.dense[:, column] == 1, table.attributes["sex"].codes == 0)
    assert len(encoded.names) == encoded.inputs == encoded.dense.shape[1]


def test_a_constant_column_is_encoded_as_zero():
    table = toy_table(50)
    table.numeric[:, 1] = 4.0
    assert np.all(table.encode(np.arange(30)).dense[:, 1] == 0)
