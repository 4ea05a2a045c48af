"""Images from files: IDX, CIFAR's pickles, the embedded digits; and what is said of files that are wrong."""

import gzip
import hashlib
import os
import pickle
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.errors import DataDamaged, DataMissing
from backend.settings import get_settings
from tests.worker import files
from worker.datasets import _cifar, fashion_mnist, mnist_5k
from worker.datasets import _prepared as prepared
from worker.datasets._idx import read_idx
from worker.datasets._labelled import LabelledParams
from worker.datasets.cifar10 import PLUGIN as CIFAR10
from worker.datasets.cifar100 import PLUGIN as CIFAR100
from worker.datasets.fashion_mnist import PLUGIN as FASHION
from worker.datasets.mnist_5k import PLUGIN as DIGITS

ALL = LabelledParams()


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """The folder of data sets, empty; and no package of Debian's."""
    monkeypatch.setenv("EQUIPOISE_DATASETS_DIR", str(tmp_path / "sets"))
    monkeypatch.setattr(fashion_mnist, "DEBIAN", tmp_path / "no-package")
    get_settings.cache_clear()
    yield tmp_path / "sets"
    get_settings.cache_clear()


def said(plugin, params=ALL):
    """What the facts say is missing, after checking that loading says the same."""
    facts = plugin.facts(params)
    assert not facts.available
    assert facts.data_hash is None
    with pytest.raises(DataMissing) as caught:
        plugin.load(params)
    assert caught.value.sentence() == facts.unavailable_because
    return facts.unavailable_because


def test_the_digits_are_embedded_and_are_what_their_labels_say():
    facts, table = DIGITS.facts(ALL), DIGITS.load(ALL)
    assert facts.available
    assert (table.rows, table.numeric.shape, table.domain.image) == (5000, (5000, 784), (1, 28, 28))
    assert facts.image == (1, 28, 28)
    assert np.array_equal(np.bincount(table.target), np.full(10, 500))
    assert table.numeric.dtype == np.float32
    assert (table.numeric.min(), table.numeric.max()) == (0.0, 1.0)
    # Nearest mean of the training rows: far better than chance only if images and labels belong together.
    split = table.split(0)
    means = np.stack([table.numeric[split.train][table.target[split.train] == digit].mean(0) for digit in range(10)])
    distance = ((table.numeric[split.test][:, None] - means) ** 2).sum(-1)
    assert (distance.argmin(1) == table.target[split.test]).mean() > 0.7


def test_the_digits_are_small_and_have_their_licence():
    shipped = list(mnist_5k.FOLDER.glob("mnist_5k-*"))
    assert len(shipped) == 2
    assert sum(path.stat().st_size for path in shipped) < 1_200_000
    notice = (mnist_5k.FOLDER / "NOTICE").read_text()
    assert all(path.name in notice for path in shipped)
    assert "CC BY-SA 3.0" in notice
    assert "Sebastian Raschka" in notice


def test_lost_digits_say_how_to_remake_them(monkeypatch, tmp_path):
    monkeypatch.setattr(mnist_5k, "FOLDER", tmp_path)
    assert "make_mnist_5k" in said(DIGITS)


@pytest.mark.parametrize("packed", [True, False])
def test_fashion_mnist_is_read_whole_and_stays_in_its_units(home, packed):
    images, labels = files.fashion(home / "fashion_mnist", packed=packed)
    facts, table = FASHION.facts(ALL), FASHION.load(ALL)
    assert (facts.available, facts.rows, facts.bounds, facts.image) == (True, 80, (0.0, 1.0), (1, 28, 28))
    assert "not the published" in facts.source
    assert table.data_hash == facts.data_hash
    assert np.array_equal(table.target, labels)
    assert np.allclose(table.numeric, images.reshape(80, 784) / 255, rtol=0, atol=1e-7)
    encoded = table.encode(table.split(0).train)
    assert np.shares_memory(encoded.dense, table.numeric), "bounded features are neither scaled nor copied"
    assert table.attributes["class"].labels[9] == "Ankle boot"


def test_the_hash_is_of_the_content_whether_packed_or_not(home):
    files.fashion(home / "fashion_mnist", packed=True)
    first = FASHION.facts(ALL).data_hash
    for path in (home / "fashion_mnist").iterdir():
        path.unlink()
    files.fashion(home / "fashion_mnist", packed=False)
    assert FASHION.facts(ALL).data_hash == first
    files.fashion(home / "fashion_mnist", packed=False, seed=1)
    assert FASHION.facts(ALL).data_hash != first


def test_published_files_are_known_as_such(home, monkeypatch):
    files.fashion(home / "fashion_mnist", packed=False)
    digests = {n: hashlib.sha256((home / "fashion_mnist" / n).read_bytes()).hexdigest() for n in fashion_mnist.FILES}
    monkeypatch.setattr(fashion_mnist, "FILES", digests)
    fashion_mnist._source.cache_clear()
    assert FASHION.facts(ALL).source == FASHION.origin


def test_debians_package_is_found(home, tmp_path):
    files.fashion(tmp_path / "no-package")
    assert FASHION.facts(ALL).available


def test_a_limit_is_a_fixed_sample_and_the_split_keeps_classes_in_proportion(home):
    files.fashion(home / "fashion_mnist", rows=(400, 100))
    some = FASHION.load(LabelledParams(limit=200))
    assert some.rows == FASHION.facts(LabelledParams(limit=200)).rows == 200
    assert np.array_equal(some.numeric, FASHION.load(LabelledParams(limit=200)).numeric)
    whole = FASHION.load(ALL)
    train = np.bincount(whole.target[whole.split(0).train])
    assert np.array_equal(train, np.full(10, 30))


def test_prepared_images_are_mapped_and_nobody_copies_them(home, tmp_path):
    files.fashion(home / "fashion_mnist")
    prepared.prepared_data.cache_clear()
    data = prepared.prepared_data("fashion_mnist", "{}", 0, tmp_path / "cache")
    assert data.domain.image == (1, 28, 28)
    assert data.train.features is data.train.numeric
    assert isinstance(data.train.numeric.base, np.memmap)
    memory = prepared.Data.of(FASHION.load(ALL), 0)
    assert np.array_equal(memory.train.numeric, data.train.numeric)
    prepared.prepared_data.cache_clear()


def test_a_large_table_is_not_kept_between_seeds(home, monkeypatch):
    files.fashion(home / "fashion_mnist")
    prepared.load_table.cache_clear()
    prepared._made("fashion_mnist", "{}", 0)
    assert prepared.load_table.cache_info().currsize == 1
    monkeypatch.setattr(prepared, "KEPT_BYTES", 1000)
    prepared._made("fashion_mnist", "{}", 1)
    assert prepared.load_table.cache_info().currsize == 0


def test_nothing_there_names_package_command_files_and_folder(home):
    words = said(FASHION)
    for word in ("dataset-fashion-mnist", "equipoise fetch fashion_mnist", "train-images-idx3-ubyte", str(home)):
        assert word in words


def test_one_file_that_lacks_is_named(home):
    files.fashion(home / "fashion_mnist")
    (home / "fashion_mnist" / "t10k-labels-idx1-ubyte.gz").unlink()
    assert "has no file t10k-labels-idx1-ubyte" in said(FASHION)


IMAGES = "train-images-idx3-ubyte"
WRONG = {
    "cut off within": lambda content: content[:-10],
    "cut off in the header": lambda content: content[:9],
    "too long": lambda content: content + b"more",
    "wrong magic": lambda content: b"\x00\x00\x0d\x03" + content[4:],
    "labels for images": lambda content: files.idx(np.zeros(60)),
    "empty": lambda content: b"",
    "a page": lambda content: b"<html>not found</html>",
    "other size": lambda content: files.idx(np.zeros((60, 32, 32))),
    "fewer": lambda content: files.idx(np.zeros((59, 28, 28))),
    "packed and cut off": lambda content: gzip.compress(content)[:-20],
    "packed and altered": lambda content: gzip.compress(content)[:-8] + b"\x00" * 8,
}
SAID = {
    "cut off within": "is cut off: it has 47,046 bytes; expected 47,056 for 60 x 28 x 28 values",
    "cut off in the header": "it ends within its header of 16 bytes",
    "too long": "is too long: it has 47,060 bytes; expected 47,056",
    "wrong magic": "begins with 00 00 0d 03; expected 00 00 08 03",
    "labels for images": "begins with 00 00 08 01; expected 00 00 08 03",
    "empty": "is empty; expected 00 00 08 03",
    "a page": "begins with 3c 68 74 6d",
    "other size": "has images of 32 x 32 pixels; expected 28 x 28",
    "fewer": "train-labels-idx1-ubyte has 60 labels; expected 59",
    "packed and cut off": "cannot be unpacked",
    "packed and altered": "cannot be unpacked",
}


@pytest.mark.parametrize("what", WRONG)
def test_a_damaged_file_is_named_with_what_was_expected(home, what):
    files.fashion(home / "fashion_mnist", packed=False)
    path = home / "fashion_mnist" / IMAGES
    path.write_bytes(WRONG[what](path.read_bytes()))
    words = said(FASHION)
    assert SAID[what] in words
    assert str(home / "fashion_mnist") in words
    assert "equipoise fetch fashion_mnist" in words


def test_a_label_out_of_range_is_named(home):
    files.fashion(home / "fashion_mnist", packed=False)
    (home / "fashion_mnist" / "train-labels-idx1-ubyte").write_bytes(files.idx(np.full(60, 10)))
    assert "has the label 10; expected 0 to 9" in said(FASHION)


def test_a_file_for_a_folder_and_a_folder_for_a_file(home):
    home.mkdir()
    (home / "fashion_mnist").write_text("not a folder")
    assert "is a file; expected a folder" in said(FASHION)
    (home / "fashion_mnist").unlink()
    files.fashion(home / "fashion_mnist", packed=False)
    (home / "fashion_mnist" / IMAGES).unlink()
    (home / "fashion_mnist" / IMAGES).mkdir()
    assert "is a folder; expected a file" in said(FASHION)


def test_links_that_lead_nowhere_or_in_circles_cannot_be_read(home):
    files.fashion(home / "fashion_mnist", packed=False)
    path = home / "fashion_mnist" / IMAGES
    path.unlink()
    path.symlink_to(home / "gone")
    assert "cannot be read: No such file" in said(FASHION)
    path.unlink()
    path.symlink_to(path)
    assert "cannot be read: Too many levels" in said(FASHION)


def test_a_file_that_this_account_may_not_read_says_so(home):
    files.fashion(home / "fashion_mnist", packed=False)
    (home / "fashion_mnist").chmod(0)
    everything = os.geteuid() == 0  # Who may read everything becomes somebody else for a moment.
    try:
        if everything:
            os.seteuid(65534)
        words = said(FASHION)
    finally:
        if everything:
            os.seteuid(0)
        (home / "fashion_mnist").chmod(0o755)
    assert "cannot be read: Permission denied" in words


def test_files_that_change_are_read_anew(home):
    files.fashion(home / "fashion_mnist", packed=False)
    before = FASHION.facts(ALL)
    files.fashion(home / "fashion_mnist", rows=(70, 20), packed=False)
    after = FASHION.facts(ALL)
    assert (before.rows, after.rows) == (80, 90)
    assert before.data_hash != after.data_hash


@given(st.lists(st.integers(0, 5), min_size=1, max_size=4), st.data())
def test_any_idx_file_comes_back_and_no_part_of_it_does(tmp_path_factory, shape, data):
    values = np.random.default_rng(0).integers(0, 256, shape)
    content = files.idx(values)
    path = tmp_path_factory.mktemp("idx") / "values"
    path.write_bytes(content)
    read, digest = read_idx(path, len(shape), "")
    assert np.array_equal(read, values)
    assert digest == hashlib.sha256(content).hexdigest()
    path.write_bytes(content[: data.draw(st.integers(0, len(content) - 1))])
    with pytest.raises(DataDamaged):
        read_idx(path, len(shape), "")


WRITERS = {
    "protocol 2": lambda found: pickle.dumps(found, protocol=2),
    "protocol 4": lambda found: pickle.dumps(found, protocol=4),
    "protocol 5": lambda found: pickle.dumps(found, protocol=5),
    "Python 2": files.python2_pickle,
}


@pytest.mark.parametrize("writer", WRITERS)
@pytest.mark.parametrize("place", ["cifar10/cifar-10-batches-py", "cifar10", "cifar-10-batches-py"])
def test_cifar10_is_read_in_torchvisions_layout(home, writer, place):
    images, labels = files.cifar(home / place, CIFAR10.files, "labels", 10, dump=WRITERS[writer])
    facts, table = CIFAR10.facts(ALL), CIFAR10.load(ALL)
    assert (facts.available, facts.rows, facts.image) == (True, 180, (3, 32, 32))
    assert np.array_equal(table.target, labels)
    assert np.allclose(table.numeric, images / 255, rtol=0, atol=1e-7)
    assert table.data_hash == facts.data_hash


def test_cifar100_has_a_hundred_classes(home):
    _, labels = files.cifar(home / "cifar100" / "cifar-100-python", CIFAR100.files, "fine_labels", 100)
    table = CIFAR100.load(ALL)
    assert np.array_equal(table.target, labels)
    assert len(set(table.classes)) == 100
    assert table.classes == tuple(sorted(table.classes))


class Runs:
    """Leaves a file behind where it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def evil(trace):
    yield pickle.dumps(Runs(trace)), "mkdir"
    yield pickle.dumps({"data": Runs(trace), "labels": []}, protocol=2), "mkdir"
    yield b"cbuiltins\neval\n(S'1'\ntR.", "builtins.eval"
    yield b"\x80\x04\x8c\x05numpy\x8c\x08fromfile\x93.", "numpy.fromfile"
    yield b"\x80\x04\x8c\x16numpy._core.multiarray\x8c\x06scalar\x93.", "scalar"
    yield b"\x80\x04\x8c\x05numpy\x8c\x11ndarray.__class__\x93.", "ndarray.__class__"
    yield b"Pname\n.", "outside of the file"
    yield pickle.dumps({"data": np.array([None, "x"], object), "labels": [0, 0]}, protocol=2), "an array of 'O8'"
    yield b"c_codecs\nencode\n(Vx\nVzlib\ntR.", "the encoding 'zlib'"
    yield b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\ndtype\nI0\nVb\ntR.", "an array of the kind"


@pytest.mark.parametrize("number", range(len(list(evil(Path())))))
def test_a_pickle_that_would_run_code_is_refused_before_it_does(home, tmp_path, number):
    content, named = list(evil(tmp_path / "trace"))[number]
    files.cifar(home / "cifar10", CIFAR10.files, "labels", 10)
    (home / "cifar10" / "data_batch_3").write_bytes(content)
    words = said(CIFAR10)
    assert named in words
    assert "data_batch_3" in words
    assert "Do not use this file" in words
    assert not (tmp_path / "trace").exists()


def test_the_array_type_itself_cannot_be_called():
    # 2^40 bytes, were it numpy's.
    with pytest.raises(DataDamaged):
        _cifar.unpickle(b"cnumpy\nndarray\n(L1099511627776L\ntR.", Path("x"), "")


BATCHES = {
    "cut off": (lambda found: pickle.dumps(found, protocol=2)[:-100], "cannot be read as a pickle"),
    "empty": (lambda found: b"", "cannot be read as a pickle"),
    "no labels": (lambda found: pickle.dumps({"data": found["data"]}), "no entries 'data' and 'labels'"),
    "a list": (lambda found: pickle.dumps([1, 2]), "no entries 'data' and 'labels'"),
    "other images": (lambda found: pickle.dumps({**found, "data": found["data"][:, :784]}), "bytes, images x 3072"),
    "numbers": (lambda found: pickle.dumps({**found, "data": found["data"].astype("i4")}), "has int32 (30, 3072)"),
    "no array": (lambda found: pickle.dumps({**found, "data": "x"}), "has str as 'data'"),
    "a label too many": (lambda found: pickle.dumps({**found, "labels": [1] * 31}), "30 images in 'labels'"),
    "label 10": (lambda found: pickle.dumps({**found, "labels": [10] * 30}), "no label from 0 to 9"),
    "words": (lambda found: pickle.dumps({**found, "labels": ["cat"] * 30}), "no label from 0 to 9"),
}  # fmt: skip


@pytest.mark.parametrize("what", BATCHES)
def test_a_damaged_batch_is_named_with_what_was_expected(home, what):
    change, expected = BATCHES[what]
    files.cifar(home / "cifar10", CIFAR10.files, "labels", 10, dump=change)
    words = said(CIFAR10)
    assert expected in words
    assert "data_batch_1" in words


def test_cifar_that_lacks_says_what_to_put_where(home):
    for plugin in (CIFAR10, CIFAR100):
        words = said(plugin)
        for word in (f"equipoise fetch {plugin.name}", plugin.folder, *plugin.files, str(home / plugin.name)):
            assert word in words
