"""What the command line says when something is in the way, and what it hands on."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from backend import __version__, serve
from backend.cli import app
from backend.contracts.public import Job, ProblemDetails
from backend.contracts.results import Problem, Progress
from backend.errors import Conflict, InvalidRequest
from backend.settings import Settings

runner = CliRunner()


class TestServe:
    def test_taken_port(self, tmp_path: Path) -> None:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            result = runner.invoke(app, ["serve", "--port", str(port), "--data-dir", str(tmp_path), "--no-worker"])
        assert result.exit_code == 1
        assert str(port) in result.stderr
        assert "--port" in result.stderr
        assert "Traceback" not in result.stderr

    def test_any_free_port(self) -> None:
        with serve.listen("127.0.0.1", 0) as bound:
            assert bound.getsockname()[1] > 0

    def test_data_folder_that_is_a_file(self, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        with pytest.raises(Conflict) as caught:
            serve.require_writable(Settings(data_dir=tmp_path / "file" / "data"))
        assert "cannot be written" in caught.value.detail
        assert "--data-dir" in caught.value.fix

    @pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.5", "::", "example.org"])
    def test_refuses_what_others_could_reach(self, host: str, tmp_path: Path) -> None:
        result = runner.invoke(app, ["serve", "--host", host, "--data-dir", str(tmp_path)])
        assert result.exit_code == 1
        assert "no login" in result.stderr

    @pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "127.1.2.3"])
    def test_loopback_is_fine(self, host: str) -> None:
        serve.require_loopback(host)

    def test_refusal_is_an_error_of_ours(self) -> None:
        with pytest.raises(InvalidRequest):
            serve.require_loopback("0.0.0.0")

    def test_settings_reach_the_worker(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        settings = Settings(data_dir=tmp_path, max_attempts=7, allowed_hosts=["a.example"], log_json=True)
        for name, value in serve.environment(settings).items():
            monkeypatch.setenv(name, value)
        assert Settings() == settings

    def test_says_what_is_missing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(serve, "WORKER_PACKAGES", ("json", "surely_not_installed"))
        assert serve.missing_packages() == ["surely_not_installed"]


class TestKeeper:
    def test_starts_a_dead_worker_again_and_stops_in_order(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        started: list[int] = []
        again = threading.Event()

        def spawn(keeper: serve.WorkerKeeper) -> "subprocess.Popen[bytes]":
            process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
            started.append(process.pid)
            if len(started) == 1:
                process.kill()
            else:
                again.set()
            return process

        monkeypatch.setattr(serve.WorkerKeeper, "_spawn", spawn)
        keeper = serve.WorkerKeeper(Settings(data_dir=tmp_path))
        keeper.start()
        assert again.wait(60)
        keeper.stop()
        assert len(started) == 2
        with pytest.raises(ProcessLookupError):
            os.kill(started[-1], signal.SIGTERM)


class TestMigrate:
    def test_creates_then_leaves_as_it_is(self, tmp_path: Path) -> None:
        first = runner.invoke(app, ["migrate", "--data-dir", str(tmp_path)])
        assert first.exit_code == 0, first.output
        assert "was empty" in first.stdout
        second = runner.invoke(app, ["migrate", "--data-dir", str(tmp_path)])
        assert "as before" in second.stdout


def test_version() -> None:
    assert runner.invoke(app, ["version"]).stdout.strip() == __version__


def test_help_names_every_command() -> None:
    text = runner.invoke(app, ["--help"]).stdout
    for command in ("serve", "worker", "migrate", "submit", "watch", "cancel", "studies", "tag", "archive", "version"):
        assert command in text


def test_help_is_quick_to_import() -> None:
    code = "import sys, backend.cli; print([m for m in ('dbos', 'fastapi', 'sqlalchemy', 'torch') if m in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def test_the_worker_process_itself_loads_no_torch() -> None:
    code = "import sys, worker.main; print('torch' in sys.modules)"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "False"


# --- studies from the shell, against a server of a few lines ---------------------------------------------------------

SPEC = {
    "name": "mine",
    "dataset": {"name": "adult"},
    "model": {"name": "mlp"},
    "methods": [{"name": "sgd"}],
}
LISTED: dict[str, Any] = Job(
    id="3f8k2m",
    name="A study",
    status="succeeded",
    created_at=datetime(2025, 1, 2, tzinfo=UTC),
    started_at=None,
    finished_at=None,
    runs=3,
    finished=3,
    reused=1,
    attempt=1,
    progress=Progress(message="Done"),
    dataset="adult",
    model="mlp",
    methods=["sgd"],
    tags=[],
    priority=0,
    preset=None,
).model_dump(mode="json")
JOB: dict[str, Any] = {**LISTED, "spec": SPEC, "subgroups": []}
PRESET = {
    "name": "quickstart",
    "title": "",
    "question": "",
    "citation": "",
    "spec": {**SPEC, "name": "from the preset"},
}


class Stub(BaseHTTPRequestHandler):
    asked: list[tuple[str, str, Any]] = []
    job = JOB

    def do_GET(self) -> None:
        self._answer("GET")

    def do_POST(self) -> None:
        self._answer("POST")

    def _answer(self, method: str) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(length)) if length else None
        self.asked.append((method, self.path, body))
        status, answer = 200, type(self).job
        if self.path.startswith("/api/presets"):
            answer = {"items": [PRESET], "next": None}
        elif self.path.startswith("/api/jobs?"):
            answer = {"items": [LISTED], "next": None}
        elif body == {"bad": True}:
            problem = Problem(field="bad", expected="nothing by that name", fix="Remove it.")
            problem_details = ProblemDetails(type="/x", title="No", status=422, detail="Change it.", problems=[problem])
            status, answer = 422, problem_details.model_dump(mode="json")
        text = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def url() -> Any:
    Stub.asked, Stub.job = [], JOB
    server = HTTPServer(("127.0.0.1", 0), Stub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


class TestStudies:
    def test_submit_a_file_and_wait(self, url: str, tmp_path: Path) -> None:
        (tmp_path / "study.json").write_text(json.dumps(SPEC))
        result = runner.invoke(app, ["submit", str(tmp_path / "study.json"), "--url", url, "--wait"])
        assert result.exit_code == 0, result.output
        assert result.stdout.strip() == "3f8k2m"
        assert Stub.asked[0] == ("POST", "/api/jobs", SPEC)

    def test_submit_a_preset(self, url: str) -> None:
        assert runner.invoke(app, ["submit", "quickstart", "--url", url]).exit_code == 0
        assert Stub.asked[-1][:2] == ("POST", "/api/jobs")
        assert Stub.asked[-1][2]["name"] == "from the preset"

    def test_submit_from_standard_input(self, url: str) -> None:
        assert runner.invoke(app, ["submit", "-", "--url", url], input='{"name": "piped"}').exit_code == 0
        assert Stub.asked[-1][2] == {"name": "piped"}

    def test_unknown_preset_names_those_there_are(self, url: str) -> None:
        result = runner.invoke(app, ["submit", "quikstart", "--url", url])
        assert result.exit_code == 1
        assert "Use one of: quickstart" in result.stderr

    def test_broken_json(self, url: str) -> None:
        result = runner.invoke(app, ["submit", "-", "--url", url], input="{")
        assert result.exit_code == 1
        assert "not JSON" in result.stderr

    def test_json_that_is_no_specification(self, url: str) -> None:
        result = runner.invoke(app, ["submit", "-", "--url", url], input="[1]")
        assert result.exit_code == 1
        assert "expected a JSON object" in result.stderr

    def test_a_refusal_names_field_and_fix(self, url: str) -> None:
        result = runner.invoke(app, ["submit", "-", "--url", url], input='{"bad": true}')
        assert result.exit_code == 1
        assert "bad: expected nothing by that name. Remove it." in result.stderr

    @pytest.mark.parametrize(("status", "code"), [("succeeded", 0), ("failed", 1), ("cancelled", 2)])
    def test_watch_ends_with_the_jobs_end(self, url: str, status: str, code: int) -> None:
        Stub.job = {**JOB, "status": status}
        assert runner.invoke(app, ["watch", "3f8k2m", "--url", url]).exit_code == code

    def test_cancel_and_list(self, url: str) -> None:
        assert runner.invoke(app, ["cancel", "3f8k2m", "--url", url]).exit_code == 0
        assert Stub.asked[-1][:2] == ("POST", "/api/jobs/3f8k2m/cancel")
        assert "A study" in runner.invoke(app, ["studies", "--url", url]).stdout

    def test_no_server(self) -> None:
        result = runner.invoke(app, ["studies", "--url", "http://127.0.0.1:9"])
        assert result.exit_code == 1
        assert "equipoise serve" in result.stderr
