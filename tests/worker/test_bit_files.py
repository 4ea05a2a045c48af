"""Tables of bits: against numpy's own reader, with errors by line and column; and the synthetic stand-in."""

import gzip
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.contracts.expansion import expand
from backend.contracts.spec import JobSpec
from backend.errors import DataDamaged, DataMissing
from backend.settings import get_settings
from tests.worker import files
from worker.catalogue import build_catalogue
from worker.datasets import _bits, purchase_like, texas100
from worker.datasets import _prepared as prepared
from worker.datasets._bits import Layout
from worker.datasets._labelled import LabelledParams
from worker.datasets.location30 import PLUGIN as LOCATION
from worker.datasets.purchase100 import PLUGIN as PURCHASE
from worker.datasets.purchase_like import PLUGIN as LIKE
from worker.datasets.purchase_like import PurchaseLikeParams
from worker.datasets.texas100 import PLUGIN as TEXAS
from worker.measure import measure_run

ALL = LabelledParams()
PINNED = "938fd4305971ba4129dfbb12ae67766db042eb18688cd02c2470ac237df92e67"


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """The folder of data sets, empty."""
    monkeypatch.setenv("EQUIPOISE_DATASETS_DIR", str(tmp_path / "sets"))
    get_settings.cache_clear()
    yield tmp_path / "sets"
    get_settings.cache_clear()


def said(plugin):
    facts = plugin.facts(ALL)
    with pytest.raises(DataMissing) as caught:
        plugin.load(ALL)
    if not facts.available:
        assert caught.value.sentence() == facts.unavailable_because
    return caught.value.sentence()


SETS = {
    "purchase100": (PURCHASE, "dataset_purchase", 600, 100),
    "location30": (LOCATION, "bangkok", 446, 30),
}


@pytest.mark.parametrize("name", SETS)
@pytest.mark.parametrize("packed", [False, True])
def test_a_table_is_what_numpy_reads(home, name, packed):
    plugin, file, columns, classes = SETS[name]
    path = home / name / file
    files.bits(path, rows=130, columns=columns, classes=classes)
    expected = np.genfromtxt(path, delimiter=",")
    if packed:
        path.with_name(f"{file}.gz").write_bytes(gzip.compress(path.read_bytes()))
        path.unlink()
    facts, table = plugin.facts(ALL), plugin.load(ALL)
    assert (facts.available, facts.rows, facts.bounds, facts.image) == (True, 130, (0.0, 1.0), None)
    assert np.array_equal(table.numeric, expected[:, 1:])
    assert np.array_equal(table.target, expected[:, 0] - 1)
    assert table.classes == tuple(str(c + 1) for c in range(classes))
    assert table.data_hash == facts.data_hash


def test_the_second_name_is_as_good(home):
    files.bits(home / "purchase100" / "purchase100.csv")
    assert PURCHASE.facts(ALL).rows == 50


@pytest.mark.parametrize("place", ["", "100", "texas/100"])
def test_texas_is_two_files(home, place):
    folder = home / "texas100" / place
    values, _ = files.bits(folder / "feats", rows=40, columns=6169, label=False)
    (folder / "labels").write_text("".join(f"{row % 100 + 1}\n" for row in range(40)))
    table = TEXAS.load(ALL)
    assert np.array_equal(table.numeric, values)
    assert np.array_equal(table.target, np.arange(40))
    before = TEXAS.facts(ALL).data_hash
    assert before == table.data_hash
    (folder / "labels").write_text("".join(f"{(row + 1) % 100 + 1}\n" for row in range(40)))
    assert TEXAS.facts(ALL).data_hash != before, "the labels are data too"
    (folder / "labels").write_text("1\n" * 39)
    assert "labels has 39 rows; expected 40" in said(TEXAS)


lines = st.fixed_dictionaries(
    {
        "rows": st.integers(1, 25),
        "columns": st.integers(1, 6),
        "end": st.sampled_from(["\n", "\r\n"]),
        "last": st.booleans(),
        "header": st.booleans(),
        "blank": st.booleans(),
        "label": st.booleans(),
        "zero": st.sampled_from(["0", "0.0", " 0", '"0"']),
        "block": st.integers(1, 40),
        "seed": st.integers(0, 1000),
    }
)


@given(case=lines)
@settings(max_examples=150, deadline=None)
def test_any_form_of_the_file_reads_the_same_whatever_the_blocks(tmp_path_factory, case):
    random = np.random.default_rng(case["seed"])
    values = random.integers(0, 2, (case["rows"], case["columns"]))
    labels = random.integers(1, 1001, case["rows"])
    # Some cells are written otherwise, which takes the slow way.
    cells = [[case["zero"] if v == 0 and random.random() < 0.1 else str(v) for v in row] for row in values]
    table = [[str(label), *row] if case["label"] else row for label, row in zip(labels, cells, strict=True)]
    text = [",".join(row) for row in table]
    if case["header"]:
        text = [",".join(f"c{i}" for i in range(len(table[0]))), *text]
    if case["blank"]:
        text = ["", *text[:1], "", *text[1:]]
    content = case["end"].join(text) + (case["end"] if case["last"] else "")
    path = tmp_path_factory.mktemp("bits") / "table"
    path.write_bytes(content.encode())
    _bits.counted.cache_clear()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_bits, "BLOCK", case["block"])
        assert _bits.counted((), path, "").rows == case["rows"]
        read, numbers, where = _bits.read(Layout(path, case["columns"], case["label"], ""), case["rows"])
    assert np.array_equal(read, values)
    assert np.array_equal(numbers, labels if case["label"] else np.zeros(case["rows"]))
    kept = content.replace("\r\n", "\n").split("\n")
    assert [kept[line - 1] for line in where] == [",".join(row) for row in table]


def changed(home, line, change):
    """Purchase100 with one line another."""
    path = home / "purchase100" / "dataset_purchase"
    files.bits(path)
    content = path.read_text().split("\n")
    content[line - 1] = change(content[line - 1])
    path.write_text("\n".join(content))


def cell(column, text):
    def change(line):
        cells = line.split(",")
        cells[column - 1] = text
        return ",".join(cells)

    return change


WRONG = {
    "a column less": (7, lambda line: line[:-2], "line 7: expected 601 (the class, then 600 bits), got 600 columns"),
    "a column more": (7, lambda line: line + ",0", "line 7: expected 601 (the class, then 600 bits), got 602 columns"),
    "another separator": (7, lambda line: line.replace(",", ";"), "line 7: expected 601 (the class, then 600 bits)"),
    "a two": (12, cell(340, "2"), "line 12, column 340: expected 0 or 1, got '2'"),
    "a word": (12, cell(2, "yes"), "line 12, column 2: expected 0 or 1, got 'yes'"),
    "nothing": (50, cell(601, ""), "line 50, column 601: expected 0 or 1, got ''"),
    "a slash": (12, cell(3, "/"), "line 12, column 3: expected 0 or 1, got '/'"),
    "a class too large": (3, cell(1, "101"), "line 3, column 1: expected a class from 1 to 100, got 101"),
    "a negative class": (3, cell(1, "-1"), "line 3, column 1: expected a class from 1 to 100, got -1"),
    "a class that is a word": (3, cell(1, "cat"), "line 3, column 1: expected the number of a class, got 'cat'"),
    "half a class": (3, cell(1, "1.5"), "line 3, column 1: expected the number of a class, got '1.5'"),
    "no number": (3, cell(1, "nan"), "line 3, column 1: expected the number of a class, got 'nan'"),
    "endless": (3, cell(1, "1e999"), "line 3, column 1: expected the number of a class, got '1e999'"),
    "huge": (3, cell(1, "1e300"), "line 3, column 1: expected the number of a class, got '1e300'"),
    "a line of nothing": (3, lambda line: "   ", "line 3: expected 601 (the class, then 600 bits), got 1 column."),
    "no text": (3, lambda line: "\x00\x01", "line 3: expected 601 (the class, then 600 bits), got 1 column."),
}  # fmt: skip


@pytest.mark.parametrize("what", WRONG)
def test_a_wrong_line_is_named_with_its_column(home, what):
    line, change, expected = WRONG[what]
    changed(home, line, change)
    words = said(PURCHASE)
    assert expected in words
    assert str(home / "purchase100" / "dataset_purchase") in words


def test_classes_count_from_0_or_from_1_and_not_from_both(home):
    path = home / "purchase100" / "dataset_purchase"
    values, labels = files.bits(path, rows=100)
    rows = [",".join(map(str, [c - 1, *row])) for c, row in zip(labels, values.tolist(), strict=True)]
    path.write_text("\n".join(rows))
    assert np.array_equal(PURCHASE.load(ALL).target, labels - 1)
    changed(home, 100 // 2, cell(1, "0"))
    assert PURCHASE.load(ALL).target[0] == 1, "counted from 0, the class 1 is the second"
    path.write_text("\n".join([*rows, ",".join(map(str, [100, *values[0]]))]))
    assert "line 101, column 1: expected a class from 0 to 99, got 100" in said(PURCHASE)


def test_a_file_without_rows_and_one_that_is_cut_off(home):
    path = home / "location30" / "bangkok"
    path.parent.mkdir(parents=True)
    path.write_text("\n\n")
    assert "has no rows" in said(LOCATION)
    files.bits(path, columns=446, classes=30)
    whole = gzip.compress(path.read_bytes())
    path.write_bytes(whole[: len(whole) // 2])
    assert "cannot be unpacked" in said(LOCATION)


def test_a_file_that_changes_while_it_is_read_is_noticed(tmp_path):
    path = tmp_path / "table"
    files.bits(path, columns=3)
    for rows in (49, 51):
        with pytest.raises(DataDamaged, match="changed while it was read"):
            _bits.read(Layout(path, 3, True, ""), rows)


@pytest.mark.parametrize("plugin", [PURCHASE, LOCATION, TEXAS], ids=lambda one: one.name)
def test_what_lacks_is_described_so_that_it_can_be_put_there(home, plugin):
    words = said(plugin)
    columns = texas100.BITS if plugin is TEXAS else plugin.bits
    for word in (str(home / plugin.name), f"{columns} columns of 0 or 1", "privacytrustlab", "class from 1 to"):
        assert word in words


def test_the_stand_in_says_that_it_is_made_up():
    facts = LIKE.facts(PurchaseLikeParams())
    assert "(synthetic)" in LIKE.title
    assert LIKE.summary.startswith("Synthetic")
    assert "Synthetic" in facts.licence
    assert "no real customers" in facts.source
    assert "synthetic" in facts.target


def test_the_same_parameters_make_the_same_customers_however_many():
    many, kinds = purchase_like.draw(PurchaseLikeParams(), 1700)
    few, _ = purchase_like.draw(PurchaseLikeParams(), 620)
    assert np.array_equal(many[:620], few)
    assert np.array_equal(kinds, np.arange(1700) % 100)
    other, _ = purchase_like.draw(PurchaseLikeParams(data_seed=1), 620)
    assert abs((few == other).mean() - 0.7) < 0.1
    assert len(np.unique(many, axis=0)) == 1700


def test_the_first_customers_are_those_of_this_release():
    """Pinned: another machine, or a change of the generator, must not make other data under the same hash."""
    assert LIKE.facts(PurchaseLikeParams()).data_hash == PINNED
    assert LIKE.facts(PurchaseLikeParams(separation=2.0, limit=500)).data_hash == PINNED


def test_items_are_bought_as_often_as_the_probabilities_say():
    params = PurchaseLikeParams(classes=2, separation=1.5, noise=0.3)
    bits, kinds = purchase_like.draw(params, 20_000)
    expected = purchase_like.probabilities(params)
    for kind in range(2):
        rows = bits[kinds == kind]
        z = (rows.mean(0) - expected[kind]) / np.sqrt(expected[kind] * (1 - expected[kind]) / len(rows))
        assert abs(z.mean()) < 0.2
        assert 0.85 < z.std() < 1.15
    # Independent within a kind: no pair of items goes together more than chance has it.
    correlation = np.corrcoef(bits[kinds == 0][:, :40].T)[np.triu_indices(40, 1)] * np.sqrt(10_000)
    assert np.abs(correlation).max() < 5
    assert 0.85 < correlation.std() < 1.15


def test_noise_and_no_separation_leave_nothing_to_tell_kinds_apart():
    for params in (PurchaseLikeParams(separation=0), PurchaseLikeParams(noise=1)):
        odds = purchase_like.probabilities(params)
        assert np.allclose(odds, odds[0])
    spread = purchase_like.probabilities(PurchaseLikeParams(separation=2.0))
    logits = np.log(spread / (1 - spread))
    assert np.allclose((logits - logits.mean(0)).std(), 2.0, rtol=0.03)
    assert np.allclose(logits.mean(), -2.0, atol=0.15)


def test_kinds_are_told_apart_by_the_best_rule_there_is_and_not_by_chance():
    """Bayes' rule with the probabilities themselves: what no model can exceed."""
    right = {}
    for noise in (0.0, 0.6):
        params = PurchaseLikeParams(noise=noise)
        bits, kinds = purchase_like.draw(params, 3000)
        p = purchase_like.probabilities(params)
        scores = bits @ np.log(p).T + (1 - bits) @ np.log1p(-p).T
        right[noise] = (scores.argmax(1) == kinds).mean()
    assert right[0.0] > 0.95
    assert 0.02 < right[0.6] < right[0.0]


def test_a_study_of_other_parameters_than_the_default_runs(tmp_path):
    def study(**params):
        spec = JobSpec.model_validate(
            {
                "dataset": {"name": "purchase_like", "params": {"limit": 600, **params}, "subgroups": ["class"]},
                "model": {"name": "mlp", "params": {"hidden": [16]}},
                "methods": [{"name": "sgd"}],
                "training": {"epochs": 2, "batch_size": 30, "learning_rate": 0.2},
                "seeds": 1,
            }
        )
        (config,) = expand(spec, build_catalogue(), max_runs=10).configs
        return config, measure_run(config, cache_dir=tmp_path)

    one, first = study(classes=3, separation=1.0)
    other, second = study(classes=3, separation=0.0)
    assert (first.status, second.status) == ("succeeded", "succeeded")
    assert one.key() != other.key()
    accuracy = [
        next(m.value for m in result.measurements if (m.metric, m.subgroup, m.split) == ("accuracy", "all", "test"))
        for result in (first, second)
    ]
    assert accuracy[0] > 0.8 > accuracy[1]
    assert {"class=1", "class=3"} <= {m.subgroup for m in first.measurements}
    assert len(list((tmp_path / "data").iterdir())) == 2
    prepared.prepared_data.cache_clear()


def test_the_catalogue_knows_how_many_rows_a_limit_leaves():
    plugin = next(one for one in build_catalogue().plugins if one.name == "purchase_like")
    for limit in (101, 777, 5000, 49_999, 60_000):
        table = LIKE.load(PurchaseLikeParams(limit=limit))
        assert plugin.dataset.train_rows_for({"limit": limit}) == len(table.split(0).train)
    assert json.loads(plugin.model_dump_json())["dataset"]["bounds"] == [0.0, 1.0]
