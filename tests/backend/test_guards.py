"""Who may ask, what is sent along, and the page around the API."""

import json
import subprocess
import sys
import time

import pytest

from backend.api import site
from backend.api.middleware import LocalOnly
from tests.backend import synthetic

OWN = ["localhost", "127.0.0.1", "[::1]", "LOCALHOST", "localhost:8000", "127.0.0.1:65535", "[::1]:9000"]
FOREIGN = [
    "example.org",
    "localhost.example.org",
    "127.0.0.1.example.org",
    "evil@localhost",
    "localhost:8000@evil.org",
    "localhost/evil",
    "localhost:port",
    "0.0.0.0",
    "[::ffff:7f00:1]",
    "localhost.",
    "",
]


@pytest.mark.parametrize("host", OWN)
def test_own_names_are_answered(client, host):
    assert client.get("/api/health", headers={"Host": host}).status_code == 200
    assert client.get("/", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize("host", FOREIGN)
@pytest.mark.parametrize("path", ["/api/health", "/", "/assets/x.js"])
def test_foreign_hosts_are_refused(client, host, path):
    answer = client.get(path, headers={"Host": host})
    assert answer.status_code == 403
    assert answer.headers["content-type"] == "application/problem+json"
    assert "EQUIPOISE_ALLOWED_HOSTS" in answer.json()["detail"]


@pytest.mark.parametrize(
    "origin", ["http://localhost", "http://localhost:5173", "http://127.0.0.1:8000", "http://[::1]"]
)
def test_own_origins_are_accepted(client, origin):
    assert client.post("/api/jobs", json=synthetic.spec(), headers={"Origin": origin}).status_code == 201


@pytest.mark.parametrize("method", ["get", "post", "delete", "options"])
@pytest.mark.parametrize(
    "origin", ["http://evil.org", "null", "file://", "http://localhost.evil.org", "chrome-extension://x"]
)
def test_foreign_origins_are_refused(client, stored, method, origin):
    before = stored()
    answer = client.request(method, "/api/jobs", headers={"Origin": origin})
    assert answer.status_code == 403
    assert stored() == before


def test_requests_that_other_sites_provoke_are_refused(client):
    headers = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}
    assert client.get("/api/jobs", headers=headers).status_code == 403
    # A link from elsewhere is a person who comes here.
    headers["Sec-Fetch-Mode"] = "navigate"
    assert client.get("/studies/x", headers=headers).status_code == 200


def test_further_hosts_can_be_named():
    guard = LocalOnly(None, ["Lab.example.org", " [fd00::1] "])
    assert guard.allowed >= {"lab.example.org", "fd00::1", "localhost"}


def test_every_answer_carries_the_security_headers(client, study):
    for path in (
        "/",
        "/api/health",
        "/api/nothing",
        "/api/jobs?limit=0",
        f"/api/measurements?job_id={study}&format=csv",
    ):
        headers = client.get(path).headers
        policy = headers["content-security-policy"]
        assert "script-src 'self';" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe-eval" not in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "same-origin"
    assert client.get("/", headers={"Host": "evil.org"}).headers["x-content-type-options"] == "nosniff"


# --- the page ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def page(tmp_path, monkeypatch, settings, queue):
    from backend.main import create_app
    from tests.backend.conftest import TestClient

    static = tmp_path / "static"
    (static / "assets").mkdir(parents=True)
    (static / "index.html").write_text("<!doctype html><title>The page</title>")
    (static / "assets" / "app-1a2b3c.js").write_text("export {}")
    (static / "favicon.svg").write_text("<svg/>")
    (tmp_path / "secret.txt").write_text("secret")
    monkeypatch.setattr(site.Site.__init__, "__defaults__", (static,))
    with TestClient(create_app(settings, queue=queue), base_url="http://localhost") as client:
        yield client


def test_the_page_is_served_at_every_address_but_the_api(page):
    for path in ("/", "/studies", "/studies/abc?x=epsilon", "/explore/deep/down", "/apiary"):
        answer = page.get(path)
        assert answer.status_code == 200
        assert "The page" in answer.text
        assert answer.headers["cache-control"] == "no-cache"
    assert page.get("/api").status_code == 404
    assert page.get("/api/unknown").status_code == 404
    assert page.head("/").status_code == 200
    assert page.post("/studies").status_code == 405


def test_hashed_files_are_kept_for_a_year_and_others_are_not(page):
    asset = page.get("/assets/app-1a2b3c.js")
    assert asset.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert "javascript" in asset.headers["content-type"]
    assert page.get("/favicon.svg").headers["cache-control"] == "no-cache"
    assert page.get("/assets/app-0old00.js").status_code == 404


@pytest.mark.parametrize(
    "path", ["/../secret.txt", "/%2e%2e/secret.txt", "/assets/../../secret.txt", "/..%2fsecret.txt", "//etc/passwd"]
)
def test_no_file_outside_the_folder_is_served(page, path):
    assert "secret" not in page.get(path).text
    assert "root:" not in page.get(path).text


def test_an_unbuilt_page_says_how_to_build_it(tmp_path, monkeypatch, settings, queue):
    from backend.main import create_app
    from tests.backend.conftest import TestClient

    monkeypatch.setattr(site.Site.__init__, "__defaults__", (tmp_path / "nothing",))
    with TestClient(create_app(settings, queue=queue), base_url="http://localhost") as client:
        answer = client.get("/")
        assert answer.status_code == 200
        assert "make web" in answer.text
        assert "<script" not in answer.text


# --- the boundary -----------------------------------------------------------------------------------------------------

HEAVY = (
    "torch",
    "opacus",
    "worker",
    "numba",
    "pandas",
    "sklearn",
    "pyarrow",
    "plotly",
    "dbos",
    "scipy.stats",
    "transformers",
)
EVERYTHING = """
import importlib, pkgutil, sys, time
before = time.perf_counter()
import backend.main
application = backend.main.create_app()
took = time.perf_counter() - before
early = {name for name in %r if name in sys.modules}
import backend
for module in pkgutil.walk_packages(backend.__path__, "backend."):
    if ".migrations" not in module.name:
        importlib.import_module(module.name)
late = {name for name in %r if name in sys.modules}
print(took, sorted(early), sorted(late))
"""


def test_importing_the_backend_loads_nothing_heavy():
    script = EVERYTHING % (HEAVY, tuple(name for name in HEAVY if name not in ("dbos", "scipy.stats")))
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    _, _, rest = done.stdout.partition(" ")
    assert rest.strip() == "[] []", done.stdout


def test_the_document_is_the_one_that_the_client_was_generated_from():
    from backend.api.export import TARGET, document

    text = document()
    assert TARGET.read_text(encoding="utf-8") == text, "run `make client` and commit the result"
    parsed = json.loads(text)
    ids = [o["operationId"] for path in parsed["paths"].values() for o in path.values()]
    assert len(ids) == len(set(ids)) >= 69
    assert all("-" in name for name in ids)
    errors = {
        media for path in parsed["paths"].values() for o in path.values()
        for status, answer in o["responses"].items() if status >= "4" for media in answer["content"]
    }  # fmt: skip
    assert errors == {"application/problem+json"}


def test_the_documents_examples_are_valid(client):
    from backend.api.routers._examples import SPECS

    for example in SPECS.values():
        assert client.post("/api/jobs/preview", json=example["value"]).status_code == 200


def test_the_first_answer_comes_soon(settings, queue):
    from backend.main import create_app
    from tests.backend.conftest import TestClient

    start = time.perf_counter()
    with TestClient(create_app(settings, queue=queue), base_url="http://localhost") as client:
        assert client.get("/api/health").status_code == 200
    assert time.perf_counter() - start < 3
