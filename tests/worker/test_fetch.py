"""Downloads from a copy on this machine: kept where the hash is right, and nothing kept where it is not."""

import gzip
import hashlib
import io
import os
import subprocess
import sys
import tarfile
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest

from backend.settings import get_settings
from tests.worker import files
from worker import fetch
from worker.datasets import fashion_mnist
from worker.datasets._fetch import Download
from worker.datasets._labelled import LabelledParams
from worker.datasets.cifar10 import FILES, FOLDER
from worker.datasets.cifar10 import PLUGIN as CIFAR10
from worker.datasets.fashion_mnist import PLUGIN as FASHION

ALL = LabelledParams()


@pytest.fixture
def home(tmp_path, monkeypatch):
    """The folder of data sets, not made yet."""
    monkeypatch.setenv("EQUIPOISE_DATASETS_DIR", str(tmp_path / "sets"))
    monkeypatch.setattr(fashion_mnist, "DEBIAN", tmp_path / "no-package")
    get_settings.cache_clear()
    yield tmp_path / "sets"
    get_settings.cache_clear()


class Quiet(SimpleHTTPRequestHandler):
    """Cuts off whatever is named so."""

    def log_message(self, *_):
        pass

    def do_GET(self):
        if self.path.startswith("/cut"):
            self.send_response(200)
            self.send_header("Content-Length", "100000")
            self.end_headers()
            self.wfile.write(b"x" * 100)
        else:
            super().do_GET()


@pytest.fixture
def copy(tmp_path):
    """A folder, and its address over HTTP."""
    folder = tmp_path / "copy"
    folder.mkdir()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield folder, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def publish_fashion(folder, monkeypatch):
    """Four small files with the hashes that the plugin is made to expect."""
    images, labels = files.fashion(folder)
    downloads = tuple(
        Download(one.url, hashlib.sha256(gzip.decompress((folder / one.name).read_bytes())).hexdigest(), unpacked=True)
        for one in FASHION.downloads
    )
    monkeypatch.setattr(type(FASHION), "downloads", downloads)
    return images, labels


def publish_cifar(folder, monkeypatch, **more):
    """An archive with the batches and what else it is given."""
    source = folder.parent / "source"
    images, labels = files.cifar(source, FILES, "labels", 10)
    (one,) = CIFAR10.downloads
    with tarfile.open(folder / one.name, "w:gz") as tar:
        for name in FILES:
            tar.add(source / name, f"{FOLDER}/{name}")
        for name, content in more.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    digest = hashlib.sha256((folder / one.name).read_bytes()).hexdigest()
    monkeypatch.setattr(type(CIFAR10), "downloads", (Download(one.url, digest, members=one.members),))
    return images, labels


@pytest.mark.parametrize("scheme", ["http", "file"])
def test_what_is_fetched_is_what_was_published(home, copy, monkeypatch, scheme, capsys):
    folder, address = copy
    _, labels = publish_fashion(folder, monkeypatch)
    assert fetch.main(["fashion_mnist", "--from", address if scheme == "http" else folder.as_uri()]) == 0
    assert "4 files" in capsys.readouterr().out
    assert FASHION.facts(ALL).available
    assert FASHION.load(ALL).target.tolist() == labels.tolist()
    assert {path.name for path in (home / "fashion_mnist").iterdir()} == {one.name for one in FASHION.downloads}


def test_files_packed_otherwise_are_the_same(home, copy, monkeypatch):
    folder, address = copy
    publish_fashion(folder, monkeypatch)
    for path in folder.iterdir():
        path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes()), compresslevel=1, mtime=12345))
    assert fetch.main(["fashion_mnist", "--from", address]) == 0
    assert FASHION.facts(ALL).available


def test_of_an_archive_only_the_batches_are_taken(home, copy, monkeypatch):
    folder, address = copy
    _, labels = publish_cifar(folder, monkeypatch, **{"../outside": b"x", f"{FOLDER}/readme.html": b"x"})
    assert fetch.main(["cifar10", "--from", address]) == 0
    assert {path.name for path in (home / "cifar10" / FOLDER).iterdir()} == set(FILES)
    assert [path.name for path in (home / "cifar10").iterdir()] == [FOLDER]
    assert not (home / "outside").exists()
    assert CIFAR10.load(ALL).target.tolist() == labels.tolist()


def test_a_wrong_hash_keeps_nothing_of_the_whole_set(home, copy, monkeypatch, capsys):
    folder, address = copy
    publish_fashion(folder, monkeypatch)
    last = folder / FASHION.downloads[-1].name
    last.write_bytes(gzip.compress(gzip.decompress(last.read_bytes())[:-1] + b"\x01"))
    assert fetch.main(["fashion_mnist", "--from", address]) == 1
    said = capsys.readouterr().err
    assert last.name in said
    assert FASHION.downloads[-1].sha256 in said
    assert "Nothing was kept" in said
    assert not list((home / "fashion_mnist").iterdir())
    assert not FASHION.facts(ALL).available


def test_what_was_there_stays_where_fetching_fails(home, copy, monkeypatch):
    folder, address = copy
    publish_fashion(folder, monkeypatch)
    files.fashion(home / "fashion_mnist", seed=5)
    before = FASHION.facts(ALL).data_hash
    (folder / FASHION.downloads[2].name).unlink()
    assert fetch.main(["fashion_mnist", "--from", address]) == 1
    assert FASHION.facts(ALL).data_hash == before


FAILS = {
    "no such file": ("{http}/nowhere", "could not be fetched: "),
    "nobody listens": ("http://127.0.0.1:9", "could not be fetched: "),
    "cut off": ("{http}/cut", "has SHA-256"),
    "another scheme": ("ftp://127.0.0.1", "begins with http, https or file"),
    "no scheme": ("somewhere", "begins with http, https or file"),
    "no folder": ("file:///nowhere/at/all", "could not be fetched: "),
}


@pytest.mark.parametrize("what", FAILS)
def test_what_cannot_be_fetched_is_a_sentence(home, copy, monkeypatch, capsys, what):
    folder, address = copy
    publish_cifar(folder, monkeypatch)
    base, expected = FAILS[what]
    assert fetch.main(["cifar10", "--from", base.format(http=address)]) == 1
    said = capsys.readouterr().err
    assert expected in said
    assert "Traceback" not in said
    assert not list((home / "cifar10").iterdir())


def test_a_folder_that_cannot_be_written_to_is_a_sentence(home, copy, monkeypatch, capsys):
    folder, address = copy
    publish_fashion(folder, monkeypatch)
    home.write_text("a file")
    assert fetch.main(["fashion_mnist", "--from", address]) == 1
    assert "EQUIPOISE_DATASETS_DIR" in capsys.readouterr().err


def test_data_that_are_not_published_are_not_offered(home, capsys):
    assert fetch.main(["purchase100"]) == 1
    said = capsys.readouterr().err
    assert "no such data set to fetch" in said
    assert "cifar10, cifar100, fashion_mnist" in said


def test_every_download_is_held_to_a_hash():
    assert set(fetch.fetchable()) == {"cifar10", "cifar100", "fashion_mnist"}
    for plugin in fetch.fetchable().values():
        for one in plugin.downloads:
            assert len(bytes.fromhex(one.sha256)) == 32
            assert one.url.endswith(one.name)


def test_the_command_puts_data_into_the_data_folder(tmp_path, copy):
    folder, _ = copy
    files.fashion(folder)
    environment = {name: value for name, value in os.environ.items() if name != "EQUIPOISE_DATASETS_DIR"}
    command = [sys.executable, "-c", "from backend.cli import main; main()", "fetch", "fashion_mnist"]
    command += ["--data-dir", str(tmp_path / "data"), "--from", folder.as_uri()]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    # These files are not the published ones: the command says so and keeps none.
    assert done.returncode == 1
    assert "expected c59f468a" in done.stderr
    assert (tmp_path / "data" / "datasets" / "fashion_mnist").is_dir()
    assert "Traceback" not in done.stderr
