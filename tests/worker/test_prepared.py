"""Data that were prepared once are mapped by everybody else, whole or not at all."""

import json
import os
import shutil
import subprocess
import sys
import time

import numpy as np
import pytest

from worker.datasets import _prepared as prepared
from worker.datasets._prepared import ARRAYS, PARTS, Data, prepared_data
from worker.registry import registry
from worker.testing import toy_table

NAME, PARAMS = "adult", json.dumps({"limit": 500})


def forget():
    prepared_data.cache_clear()
    prepared._IN_USE.clear()


@pytest.fixture(autouse=True)
def fresh():
    forget()
    yield
    forget()


def test_runs_of_many_seeds_share_their_data_while_they_use_them():
    held = [prepared_data(NAME, PARAMS, seed) for seed in range(8)]
    assert [prepared_data(NAME, PARAMS, seed) for seed in range(8)] == held
    del held
    assert len(prepared._IN_USE) == prepared_data.cache_info().maxsize


@pytest.fixture
def said(monkeypatch):
    sentences = []
    monkeypatch.setattr(prepared.log, "warning", lambda message, **more: sentences.append(message))
    return sentences


def reopened(cache, seed=0):
    """As another process would find it; fails where it would have to be prepared."""
    forget()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(prepared, "load_table", lambda *_: pytest.fail("prepared again"))
        return prepared_data(NAME, PARAMS, seed, cache)


def folders(cache):
    return sorted(path for path in (cache / "data").iterdir())


def arrays(data):
    found = {f"{part}.{array}": getattr(getattr(data, part), array) for part in PARTS for array in ARRAYS}
    return found | {name: attribute.codes for name, attribute in data.attributes.items()}


def same(one, other):
    mine, its = arrays(one), arrays(other)
    assert mine.keys() == its.keys()
    for name, array in mine.items():
        assert array.dtype == its[name].dtype
        assert np.array_equal(array, its[name])
    for name in ("task", "inputs", "outputs", "data_hash"):
        assert getattr(one, name) == getattr(other, name)
    assert [(n, a.title, a.labels) for n, a in one.attributes.items()] == [
        (n, a.title, a.labels) for n, a in other.attributes.items()
    ]


def test_kept_data_are_those_in_memory_bit_for_bit_and_mapped(tmp_path):
    memory = prepared_data(NAME, PARAMS, 0)
    same(memory, prepared_data(NAME, PARAMS, 0, tmp_path))
    again = reopened(tmp_path)
    same(memory, again)
    for array in arrays(again).values():
        assert isinstance(array.base, np.memmap)
        assert type(array) is np.ndarray
        assert array.flags.writeable
    assert again.train.features.dtype == np.float32
    assert np.array_equal(memory.train.features, again.train.features)
    choices = [["sex"], ["sex", "race"]]
    assert np.array_equal(memory.groups("candidates", choices).masks, again.groups("candidates", choices).masks)


def test_what_a_process_does_to_its_arrays_reaches_nobody(tmp_path):
    first = prepared_data(NAME, PARAMS, 0, tmp_path)
    first.train.numeric[:] = 7
    same(prepared_data(NAME, PARAMS, 0), reopened(tmp_path))


def test_dense_features_are_made_when_they_are_asked_for():
    data = Data.of(toy_table(50), 0)
    assert "features" not in vars(data.train)
    assert data.train.features.shape == (30, data.inputs) == (30, data.train.inputs)
    assert data.train.features is data.train.features


def test_seed_parameters_data_and_code_have_folders_of_their_own(tmp_path, monkeypatch):
    def count(seed=0, params=PARAMS):
        forget()
        prepared_data(NAME, params, seed, tmp_path)
        return len(folders(tmp_path))

    assert [count(), count(), count(seed=1), count(params=json.dumps({"limit": 501}))] == [1, 1, 2, 3]
    monkeypatch.setattr(prepared, "engine_version", lambda: "other")
    assert count() == 4
    plugin = registry().find("dataset", NAME).plugin
    load, facts = plugin.load, plugin.facts
    monkeypatch.setattr(type(plugin), "facts", lambda self, p: facts(p).model_copy(update={"data_hash": "new"}))
    assert count() == 4, "data that are not what they should be are not kept"
    table = load(plugin.Params(limit=500))
    monkeypatch.setattr(prepared, "load_table", lambda *_: prepared.Table(**{**vars(table), "data_hash": "new"}))
    assert count() == 5


def spoil_content(folder):
    file = folder / "train.numeric.npy"
    content = bytearray(file.read_bytes())
    content[-5] ^= 64
    file.write_bytes(content)


def cut(folder):
    file = folder / "test.active.npy"
    os.truncate(file, file.stat().st_size - 100)


def empty(folder):
    os.truncate(folder / "train.rows.npy", 0)


def lose(folder):
    (folder / "train.rows.npy").unlink()


def scribble(folder):
    (folder / "about.json").write_text("{")


@pytest.mark.parametrize("damage", [spoil_content, cut, empty, lose, scribble], ids=lambda f: f.__name__)
def test_damaged_data_are_made_anew(tmp_path, damage, said):
    memory = prepared_data(NAME, PARAMS, 0)
    prepared_data(NAME, PARAMS, 0, tmp_path)
    (folder,) = folders(tmp_path)
    damage(folder)
    forget()
    same(memory, prepared_data(NAME, PARAMS, 0, tmp_path))
    assert folders(tmp_path) == [folder]
    said.clear()
    same(memory, reopened(tmp_path))
    assert not said


def test_mapped_arrays_stay_readable_when_their_folder_is_removed(tmp_path):
    prepared_data(NAME, PARAMS, 0, tmp_path)
    data = reopened(tmp_path)
    shutil.rmtree(folders(tmp_path)[0])
    same(prepared_data(NAME, PARAMS, 0), data)


def test_a_full_disk_leaves_the_data_in_memory(tmp_path, monkeypatch, said):
    def full(*_args, **_more):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(prepared.np, "save", full)
    same(prepared_data(NAME, PARAMS, 0), prepared_data(NAME, PARAMS, 0, tmp_path))
    assert len(said) == 1
    assert "memory" in said[0]
    assert folders(tmp_path) == []


def test_a_folder_that_cannot_be_written_leaves_the_data_in_memory(tmp_path, said):
    (tmp_path / "data").write_text("not a folder")
    same(prepared_data(NAME, PARAMS, 0), prepared_data(NAME, PARAMS, 0, tmp_path))
    assert said


def test_what_was_not_used_for_longest_goes_first(tmp_path, monkeypatch):
    prepared_data(NAME, PARAMS, 0, tmp_path)
    (first,) = folders(tmp_path)
    size = sum(file.stat().st_size for file in first.iterdir())
    prepared_data(NAME, PARAMS, 1, tmp_path)
    (second,) = set(folders(tmp_path)) - {first}
    os.utime(first, (1, 1))
    os.utime(second, (2, 2))
    reopened(tmp_path, seed=0)  # used: now the second is the oldest
    monkeypatch.setattr(prepared, "LIMIT", int(2.5 * size))
    prepared_data(NAME, PARAMS, 2, tmp_path)
    assert len(folders(tmp_path)) == 2
    assert first in folders(tmp_path)
    assert second not in folders(tmp_path)
    monkeypatch.setattr(prepared, "LIMIT", 1000)
    prepared_data(NAME, PARAMS, 3, tmp_path)
    assert len(folders(tmp_path)) == 2, "larger than everything that may be kept"


def test_what_a_dead_process_left_half_written_is_cleared_away(tmp_path):
    for name, age in ((".old", 2 * prepared.ABANDONED_SECONDS), (".new", 0)):
        (tmp_path / "data" / name).mkdir(parents=True)
        os.utime(tmp_path / "data" / name, (time.time() - age,) * 2)
    prepared_data(NAME, PARAMS, 0, tmp_path)
    assert [folder.name for folder in folders(tmp_path) if folder.name.startswith(".")] == [".new"]


RACE = """
import sys
from pathlib import Path
from worker.datasets import _prepared as prepared
prepared.engine_version = lambda: "the same"
prepared.load_table(sys.argv[1], sys.argv[2])
print("ready", flush=True)
sys.stdin.readline()
data = prepared.prepared_data(sys.argv[1], sys.argv[2], 0, Path(sys.argv[3]))
print(type(data.train.numeric.base).__name__, float(data.train.numeric.sum()), flush=True)
"""


def test_two_processes_may_prepare_the_same_at_once(tmp_path):
    command = [sys.executable, "-c", RACE, NAME, PARAMS, str(tmp_path)]
    both = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    for one in both:
        assert one.stdout.readline() == "ready\n"
    for one in both:
        one.stdin.write("\n")
        one.stdin.flush()
    said = [one.communicate(timeout=60)[0] for one in both]
    memory = prepared_data(NAME, PARAMS, 0)
    assert said == [f"memmap {float(memory.train.numeric.sum())}\n"] * 2
    assert len(folders(tmp_path)) == 1


@pytest.mark.parametrize("theirs", ["whole", "damaged"])
def test_a_folder_that_appears_meanwhile_is_taken_if_it_is_whole(tmp_path, monkeypatch, theirs, said):
    prepared_data(NAME, PARAMS, 0, tmp_path)
    (folder,) = folders(tmp_path)
    kept = tmp_path / "kept"
    folder.rename(kept)
    load = prepared.load_table

    def meanwhile(*key):
        kept.rename(folder)
        if theirs == "damaged":
            spoil_content(folder)
        return load(*key)

    forget()
    monkeypatch.setattr(prepared, "load_table", meanwhile)
    node = kept.stat().st_ino
    data = prepared_data(NAME, PARAMS, 0, tmp_path)
    assert isinstance(data.train.rows.base, np.memmap)
    assert (folder.stat().st_ino == node) == (theirs == "whole")
    monkeypatch.undo()
    same(prepared_data(NAME, PARAMS, 0), data)
    assert folders(tmp_path) == [folder]
